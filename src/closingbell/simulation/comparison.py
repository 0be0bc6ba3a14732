"""Comparison: two backtests side by side, and where they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from closingbell.core.entry import Entry
from closingbell.simulation.account_report import AccountReport
from closingbell.simulation.figure import FIGURES, Figure, Unit
from closingbell.simulation.figure_text import NONE, figure_text, instant_text, window_text
from closingbell.simulation.plain import decimal_text, plain
from closingbell.simulation.report import Report
from closingbell.simulation.summary import aligned


class Difference(NamedTuple):
    """An input that differs; a side that lacks it has None."""

    name: str
    left: Any
    right: Any


class FigurePair(NamedTuple):
    """One metric of both; `change` is right less left, None where there is no number."""

    figure: Figure
    left: Any
    right: Any
    change: Any


class Parting(NamedTuple):
    """The first trade that only one of them made, or that they made differently.

    Attributes:
        at: when, in microseconds.
        number: which trade it is, from 1; all before are the same.
        left, right: the trades, or None where that side made no more.
    """

    at: int
    number: int
    left: Entry | None
    right: Entry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two backtests differ in.

    Attributes:
        account: the accounts that are compared, of the left and the right one.
        inputs: windows, seeds, terms, tasks and parameters that differ.
        figures: every metric of both.
        parting: where their trades part; None when all are the same.
        equity_parts_at: the first instant at which their curves differ, or None.
    """

    left: Report
    right: Report
    account: tuple[AccountReport, AccountReport]
    inputs: Sequence[Difference]
    figures: Sequence[FigurePair]
    parting: Parting | None
    equity_parts_at: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "left": {"id": self.left.id, "name": self.left.name},
            "right": {"id": self.right.id, "name": self.right.name},
            "inputs": [plain(each) for each in self.inputs],
            "figures": {
                pair.figure.name: {
                    "left": plain(pair.left),
                    "right": plain(pair.right),
                    "change": plain(pair.change),
                }
                for pair in self.figures
            },
            "parting": plain(self.parting),
            "equity_parts_at": self.equity_parts_at,
        }

    def to_json(self) -> bytes:
        """Return `to_dict` as canonical JSON."""
        return msgspec.json.encode(self.to_dict(), order="sorted")

    def to_html(self, path: str | Path) -> Path:
        """Write it as one page that needs no server and no network; return its path."""
        from closingbell.simulation.page.comparison_page import comparison_page

        target = Path(path)
        target.write_text(comparison_page(self), encoding="utf-8")
        return target

    def text(self) -> str:
        """Return it as a few dozen lines of text."""
        zone = self.account[0].timezone
        parts = [
            f"left:  {self.left.name} ({self.left.id})\nright: {self.right.name} ({self.right.id})"
        ]
        if self.inputs:
            rows = [["DIFFERS", "LEFT", "RIGHT"]]
            rows += [
                [each.name, input_text(each.left), input_text(each.right)] for each in self.inputs
            ]
            parts.append(aligned(rows, left=(0, 1, 2)))
        else:
            parts.append("the inputs are the same")
        rows = [["FIGURE", "LEFT", "RIGHT", "CHANGE"]]
        rows += [
            [
                pair.figure.label,
                figure_text(pair.figure, pair.left, zone),
                figure_text(pair.figure, pair.right, zone),
                change_text(pair),
            ]
            for pair in self.figures
            if pair.left is not None or pair.right is not None
        ]
        parts += [aligned(rows), parting_text(self.parting, zone)]
        return "\n\n".join(parts) + "\n"


def compare(left: Report, right: Report, account: str | None = None) -> Comparison:
    """Return what two backtests differ in; `account` names the one to look at, in both.

    Raises:
        UnknownAccount: one of them has none of that name.
    """
    ours, theirs = left.account(account), right.account(account)
    return Comparison(
        left=left,
        right=right,
        account=(ours, theirs),
        inputs=_inputs(_facts(left, ours), _facts(right, theirs)),
        figures=[
            _pair(figure, getattr(ours.metrics, figure.name), getattr(theirs.metrics, figure.name))
            for figure in FIGURES
        ],
        parting=_parting(ours.trades, theirs.trades),
        equity_parts_at=_equity_parts(ours, theirs),
    )


def parting_text(parting: Parting | None, timezone: str) -> str:
    """Say where trades part, in a sentence or three lines."""
    if parting is None:
        return "every trade is the same"
    sides = [
        f"  {side}: {trade_text(trade, timezone)}"
        for side, trade in (("left", parting.left), ("right", parting.right))
    ]
    first = f"the trades part at {instant_text(parting.at, timezone)}, with trade {parting.number}:"
    return "\n".join([first, *sides])


def trade_text(trade: Entry | None, timezone: str) -> str:
    """Return a trade in a few words."""
    if trade is None:
        return "no more trades"
    side = "buys" if trade.quantity > 0 else "sells"
    amount = f"{decimal_text(abs(trade.quantity))} {trade.symbol} at {decimal_text(trade.price)}"
    return f"{trade.task or 'a person'} {side} {amount}, {instant_text(trade.at, timezone)}"


def change_text(pair: FigurePair) -> str:
    """Return by how much a metric differs, with its sign."""
    if pair.change is None or pair.figure.unit is Unit.INSTANT:
        return "" if pair.left == pair.right else "*"
    if not pair.change:
        return ""
    text = figure_text(pair.figure, pair.change)
    return text if text.startswith("-") else f"+{text}"


def input_text(value: Any) -> str:
    """Return an input's value as people read it."""
    if value is None:
        return NONE
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _pair(figure: Figure, left: Any, right: Any) -> FigurePair:
    numbers = left is not None and right is not None
    return FigurePair(figure, left, right, right - left if numbers else None)


def _facts(report: Report, account: AccountReport) -> dict[str, Any]:
    return {
        "window": window_text(report.start, report.end, report.timezone),
        "timezone": report.timezone,
        "seed": report.seed,
        **_flat("account", account.terms),
        "tasks": ", ".join(report.tasks),
        **_flat("", report.parameters),
    }


def _flat(path: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {path: plain(value)}
    found: dict[str, Any] = {}
    for name, each in value.items():
        found |= _flat(f"{path}.{name}" if path else str(name), each)
    return found


def _inputs(left: dict[str, Any], right: dict[str, Any]) -> list[Difference]:
    return [
        Difference(name, left.get(name), right.get(name))
        for name in [*left, *(name for name in right if name not in left)]
        if left.get(name) != right.get(name)
    ]


def _parting(left: Sequence[Entry], right: Sequence[Entry]) -> Parting | None:
    for number, (ours, theirs) in enumerate(zip(left, right, strict=False), 1):
        if _trade(ours) != _trade(theirs):
            return Parting(min(ours.at, theirs.at), number, ours, theirs)
    if len(left) == len(right):
        return None
    number = min(len(left), len(right))
    extra = (left if len(left) > number else right)[number]
    ours_more = extra if len(left) > number else None
    return Parting(extra.at, number + 1, ours_more, None if ours_more else extra)


def _trade(entry: Entry) -> tuple[int, str | None, Decimal, Decimal, Decimal, str]:
    return (entry.at, entry.symbol, entry.quantity, entry.price, entry.fee, entry.currency)


def _equity_parts(left: AccountReport, right: AccountReport) -> int | None:
    ours = {point.at: point.value for point in left.equity}
    theirs = {point.at: point.value for point in right.equity}
    parted = (at for at in sorted(ours.keys() | theirs.keys()) if ours.get(at) != theirs.get(at))
    return next(parted, None)
