"""ReportPage: what an account did over a while, as text and as HTML for a mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import NamedTuple

from closingbell.core.amount import ZERO
from closingbell.trading.drawdown import drawdown_of


class TradeLine(NamedTuple):
    """One fill of the while; `at` is naive local time, as the reader's clock shows it."""

    at: datetime
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    cost: Decimal
    fee: Decimal


class PositionLine(NamedTuple):
    """One open position at the end."""

    symbol: str
    quantity: Decimal
    average_price: Decimal
    value: Decimal
    unrealized: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """The figures of a report; amounts are in `currency`.

    Attributes:
        begins_at, ends_at: the while, in naive local time.
        opening: the account's value at the beginning; None where it is not known.
        flows: deposits less withdrawals of the while.
        closing: the value at the end; deposits: all of them until then.
        initial: what the account began with; peak: its highest value.
        failures: tasks that failed last, with their errors.
    """

    title: str
    account: str
    currency: str
    begins_at: datetime
    ends_at: datetime
    opening: Decimal | None
    flows: Decimal
    closing: Decimal
    deposits: Decimal
    initial: Decimal
    peak: Decimal
    cash: Decimal
    exposure: Decimal
    realized: Decimal
    unrealized: Decimal
    positions: Sequence[PositionLine] = ()
    trades: Sequence[TradeLine] = ()
    failures: Sequence[tuple[str, str]] = ()

    @property
    def gain(self) -> Decimal | None:
        """What was earned in the while, deposits and withdrawals taken off."""
        return None if self.opening is None else self.closing - self.opening - self.flows

    @property
    def change(self) -> Decimal | None:
        """The gain as a fraction of the opening value; None where that is 0 or below."""
        if self.gain is None or self.opening is None or self.opening <= 0:
            return None
        return self.gain / self.opening

    @property
    def volume(self) -> Decimal:
        """Worth of all trades, purchases and sales together."""
        return sum((abs(trade.cost) for trade in self.trades), ZERO)

    @property
    def fees(self) -> Decimal:
        """Fees of all trades."""
        return sum((trade.fee for trade in self.trades), ZERO)

    @property
    def subject(self) -> str:
        """One line for a mailbox."""
        change = "" if self.change is None else f", {self.change:+.2%}"
        return f"{self.title} {self.ends_at:%Y-%m-%d}: {money(self.closing, self.currency)}{change}"

    def summary(self) -> list[tuple[str, str]]:
        """Return the lines above the tables, as (name, figure)."""
        currency = self.currency
        gain = "not known" if self.gain is None else money(self.gain, currency, sign=True)
        if self.change is not None:
            gain += f" ({self.change:+.2%})"
        lines = [
            ("Account", self.account),
            ("From", f"{self.begins_at:%Y-%m-%d %H:%M}"),
            ("To", f"{self.ends_at:%Y-%m-%d %H:%M}"),
            ("Value", money(self.closing, currency)),
            ("Gain", gain),
        ]
        if self.flows:
            lines.append(("Deposits less withdrawals", money(self.flows, currency, sign=True)))
        if self.initial > 0:
            since = self.closing / self.initial - 1
            lines.append(("Since the beginning", f"{since:+.2%}"))
        return [
            *lines,
            ("Below the peak", f"{drawdown_of(self.closing, self.peak):.2%}"),
            ("Cash", money(self.cash, currency)),
            ("Exposure", money(self.exposure, currency)),
            ("Realised gains", money(self.realized, currency, sign=True)),
            ("Unrealised gains", money(self.unrealized, currency, sign=True)),
            ("Trades", str(len(self.trades))),
            ("Volume", money(self.volume, currency)),
            ("Fees", money(self.fees, currency)),
            ("Open positions", str(len(self.positions))),
        ]

    def tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """Return the tables that have rows, as (title, column names, rows)."""
        positions = [
            [p.symbol, plain(p.quantity), f"{p.average_price:,.4f}", f"{p.value:,.2f}",
             f"{p.unrealized:+,.2f}"]
            for p in self.positions
        ]  # fmt: skip
        trades = [
            [f"{t.at:%m-%d %H:%M}", t.symbol, t.side, plain(t.quantity), f"{t.price:,.4f}",
             f"{t.fee:,.2f}"]
            for t in self.trades
        ]  # fmt: skip
        failures = [[name, error] for name, error in self.failures]
        every = [
            ("Positions", ["Symbol", "Quantity", "Average", "Value", "Unrealised"], positions),
            ("Trades", ["Time", "Symbol", "Side", "Quantity", "Price", "Fee"], trades),
            ("Failed tasks", ["Task", "Error"], failures),
        ]
        return [table for table in every if table[2]]

    def to_text(self) -> str:
        """Return the report as plain text."""
        heading = f"{self.title} {self.ends_at:%Y-%m-%d}"
        lines = [heading, "=" * len(heading), ""]
        width = max(len(name) for name, _ in self.summary())
        lines += [f"{name:<{width}}  {figure}" for name, figure in self.summary()]
        for title, columns, rows in self.tables():
            lines += ["", title]
            widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
            for row in (columns, *rows):
                cells = [cell.ljust(size) for cell, size in zip(row, widths, strict=True)]
                lines.append("  " + "  ".join(cells).rstrip())
        return "\n".join(lines) + "\n"

    def to_html(self) -> str:
        """Return the report as an HTML page that needs nothing but itself."""
        # Styles are within the elements: many mail readers drop everything else.
        cell = 'style="padding:2px 12px 2px 0;text-align:left"'
        figures = "".join(
            f"<tr><td {cell}>{escape(name)}</td><td {cell}><b>{escape(figure)}</b></td></tr>"
            for name, figure in self.summary()
        )
        tables = "".join(
            f"<h2>{escape(title)}</h2><table><tr>"
            + "".join(f"<th {cell}>{escape(column)}</th>" for column in columns)
            + "</tr>"
            + "".join(
                "<tr>" + "".join(f"<td {cell}>{escape(value)}</td>" for value in row) + "</tr>"
                for row in rows
            )
            + "</table>"
            for title, columns, rows in self.tables()
        )
        heading = escape(f"{self.title} {self.ends_at:%Y-%m-%d}")
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{heading}</title>'
            f'</head><body style="font-family:sans-serif"><h1>{heading}</h1>'
            f"<table>{figures}</table>{tables}</body></html>\n"
        )


def money(amount: Decimal, currency: str, *, sign: bool = False) -> str:
    """Return an amount as people read it: two decimals, thousands apart, its currency behind."""
    return f"{amount:+,.2f} {currency}" if sign else f"{amount:,.2f} {currency}"


def plain(quantity: Decimal) -> str:
    """Return a quantity without zeros at its end."""
    text = format(quantity, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
