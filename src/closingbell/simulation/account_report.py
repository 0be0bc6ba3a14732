"""AccountReport: what a backtest says about one account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from closingbell.core.amount import ZERO
from closingbell.core.book import Book, RoundTrip
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.order import Order
from closingbell.scheduler.calendar_book import ALWAYS_OPEN, current_book
from closingbell.simulation.benchmark import Benchmark
from closingbell.simulation.drawdown import underwater
from closingbell.simulation.growth import growth_of
from closingbell.simulation.metrics import ALL_DAYS, SESSION_DAYS, Metrics, measure
from closingbell.simulation.result import AccountResult
from closingbell.trading.terms import AccountTerms

#: Options of brokers that a report tells. Others may be keys and passwords of an exchange.
_TOLD = frozenset({"fee", "slippage", "fill", "volume_share", "seed", "exchange", "sandbox"})


class EquityPoint(NamedTuple):
    """The account at one instant.

    Attributes:
        at: microseconds since the epoch.
        value: cash and positions at their marks, in the account's currency.
        peak: the highest value so far, at any mark.
        drawdown: how far the time-weighted curve is below its highest point: 0, or below it.
        exposure: the absolute worth of all positions.
        flows: net deposits so far, what the account began with included.
    """

    at: int
    value: Decimal
    cash: Decimal
    peak: Decimal
    drawdown: float
    exposure: Decimal
    flows: Decimal
    realized: Decimal
    unrealized: Decimal


class FinalPosition(NamedTuple):
    """What is held at the end; `price`, `value` and `unrealized` are None without a mark."""

    symbol: str
    currency: str
    quantity: Decimal
    average_price: Decimal
    price: Decimal | None
    value: Decimal | None
    unrealized: Decimal | None
    realized: Decimal
    opened_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReport:
    """What a backtest says about one account.

    Attributes:
        terms: what the account was, as JSON values.
        timezone: of its venue; months and days are told in it.
        entries: its whole journal.
        cash: what it holds at the end, by currency.
        benchmark: a curve to compare with, or None.
        notes: what the figures leave out.
    """

    name: str
    currency: str
    timezone: str
    terms: Mapping[str, Any]
    metrics: Metrics
    equity: Sequence[EquityPoint]
    entries: Sequence[Entry]
    orders: Sequence[Order]
    round_trips: Sequence[RoundTrip]
    positions: Sequence[FinalPosition]
    cash: Mapping[str, Decimal]
    benchmark: Benchmark | None = None
    benchmark_metrics: Metrics | None = None
    notes: Sequence[str] = field(default_factory=list)

    @property
    def trades(self) -> list[Entry]:
        """The fills, in order."""
        return [entry for entry in self.entries if entry.kind == EntryKind.FILL]


def account_report(
    result: AccountResult, *, benchmark: Benchmark | None = None, risk_free: float = 0.0
) -> AccountReport:
    """Return what a simulation left behind in an account, as figures and lists."""
    terms = result.terms
    book = Book.of(result.entries)
    own = {
        entry.symbol
        for entry in result.entries
        if entry.kind == EntryKind.FILL and entry.currency == terms.currency
    }
    trips = [trip for trip in result.round_trips if trip.symbol in own]
    periods = periods_per_year(terms.calendar)
    falls = underwater(growth_of(result.snapshots))
    # The curve leaves out what came before the first money, and ends when nothing is left.
    ahead = next((n for n, point in enumerate(result.snapshots) if point.value > 0), 0)
    metrics = measure(
        result.snapshots,
        trips,
        traded=book.turnover.get(terms.currency, ZERO),
        fees=book.fees.get(terms.currency, ZERO),
        periods_per_year=periods,
        risk_free=risk_free,
    )
    return AccountReport(
        name=terms.name,
        currency=terms.currency,
        timezone=_timezone(terms.calendar),
        terms=describe_terms(terms),
        metrics=metrics,
        equity=[
            EquityPoint(
                point.at,
                point.value,
                point.cash,
                point.peak,
                falls[n - ahead] if 0 <= n - ahead < len(falls) else 0.0,
                point.exposure,
                point.flows,
                point.realized,
                point.unrealized,
            )
            for n, point in enumerate(result.snapshots)
        ],
        entries=list(result.entries),
        orders=list(result.orders),
        round_trips=list(result.round_trips),
        positions=_positions(book, result),
        cash=dict(sorted(book.cash.items())),
        benchmark=benchmark,
        benchmark_metrics=(
            measure(benchmark.points, periods_per_year=periods, risk_free=risk_free)
            if benchmark is not None
            else None
        ),
        notes=_notes(terms.currency, book, len(result.round_trips) - len(trips)),
    )


def periods_per_year(calendar: str) -> int:
    """Return how many daily returns a year of a venue has: 365 where it never closes, else 252."""
    return ALL_DAYS if current_book().canonical(calendar) == ALWAYS_OPEN else SESSION_DAYS


def describe_terms(terms: AccountTerms) -> dict[str, Any]:
    """Return an account's terms as JSON values, without what a report must not tell."""
    return {
        "cash": str(terms.cash),
        "currency": terms.currency,
        "broker": terms.broker if isinstance(terms.broker, str) else type(terms.broker).__name__,
        "timeframe": terms.timeframe,
        "calendar": terms.calendar,
        "short": terms.short,
        "leverage": str(terms.leverage),
        "lot": None if terms.lot is None else str(terms.lot),
        "max_drawdown": None if terms.max_drawdown is None else str(terms.max_drawdown),
        **{name: _said(value) for name, value in terms.options if name in _TOLD},
    }


def _said(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value) if isinstance(value, Decimal) else type(value).__name__


def _timezone(calendar: str) -> str:
    return current_book().calendar(calendar).timezone


def _positions(book: Book, result: AccountResult) -> list[FinalPosition]:
    found = []
    for holding in book.positions:
        price = result.prices.get(holding.symbol)
        value = None if price is None else holding.quantity * price
        found.append(
            FinalPosition(
                holding.symbol,
                holding.currency,
                holding.quantity,
                holding.average_price,
                price,
                value,
                None if value is None else value - holding.cost,
                holding.realized,
                holding.opened_at,
            )
        )
    return found


def _notes(currency: str, book: Book, trips: int) -> list[str]:
    others = sorted(set(book.turnover) - {currency})
    if not others:
        return []
    return [
        f"Trades in {', '.join(others)} are in the equity curve at their marks, and left out of the "
        f"figures of trades, fees and turnover, which are in {currency}"
        + (f" ({trips} round trips)." if trips else ".")
    ]
