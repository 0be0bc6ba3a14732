"""How many moments of market data, and how many fills, one desk takes in a second on one core.

    python bench/desk.py [moments]

Bars are made beforehand; what is measured is the desk, its accounts and the in-memory ledger.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from closingbell.core.bar import Bar, Slice
from closingbell.core.clock import SimulatedClock, to_micros
from closingbell.core.order import OrderType, Side
from closingbell.trading.broker.simulated import SimulatedBroker
from closingbell.trading.desk import Desk
from closingbell.trading.memory_ledger import MemoryLedger
from closingbell.trading.placement import Placement
from closingbell.trading.terms import AccountTerms
from closingbell.trading.ticket import Ticket

START = datetime(2012, 1, 2, tzinfo=UTC)
MINUTE = 60_000_000
Moments = list[tuple[int, list[Slice]]]


def minute_bars(count: int, symbols: int) -> Moments:
    """Return one-minute bars that wander, one slice a minute."""
    start = to_micros(START)
    moments: Moments = []
    for number in range(count):
        bars = []
        for symbol in range(symbols):
            at = start + number * MINUTE
            price = Decimal(10_000 + (number * 7_919 + symbol * 104_729) % 401) / 100
            high, low = price + Decimal("0.25"), price - Decimal("0.25")
            close = price + Decimal((number % 11) - 5) / 100
            bars.append(
                Bar(f"S{symbol:03}", at, at + MINUTE, price, high, low, close, Decimal(1000))
            )
        first = bars[0]
        moments.append((number, [Slice(first.start, first.end, tuple(bars))]))
    return moments


def make_desk(**terms: object) -> Desk:
    desk = Desk(ledger=MemoryLedger(), clock=SimulatedClock(START), wanted=lambda _type: False)
    given = {"cash": Decimal(1_000_000), "broker": "simulated", "timeframe": "1m", **terms}
    desk.add(AccountTerms(**given), SimulatedBroker())  # type: ignore[arg-type]
    return desk


def order(desk: Desk, symbol: str, side: Side, run: str, at: int, **more: object) -> None:
    ticket = Ticket("main", symbol, side, OrderType.MARKET, Decimal(1), **more)  # type: ignore[arg-type]
    desk.place(ticket, None, Placement(run, 1, "bench", 5, at))


def walk(desk: Desk, moments: Moments) -> None:
    closing, opening = desk.closing, desk.opening
    for _, slices in moments:
        part = slices[0]
        opening(part.start, slices, "1m")
        closing(part.end, slices, "1m")


def quiet(symbols: int, held: int, **terms: object) -> Callable[[int], tuple[float, str]]:
    """Moments that only move prices."""

    def measure(count: int) -> tuple[float, str]:
        moments = minute_bars(count + 1, symbols)
        desk = make_desk(**terms)
        desk.opening(moments[0][1][0].start, moments[0][1], "1m")
        for number in range(held):
            order(desk, f"S{number:03}", Side.BUY, "r", 0, key=str(number))
        desk.closing(moments[0][1][0].end, moments[0][1], "1m")
        rest = moments[1:]
        walk(desk, rest[:1])
        began = time.process_time()
        walk(desk, rest[1:])
        return 2 * (len(rest) - 1) / (time.process_time() - began), "moments"

    return measure


def trading(count: int) -> tuple[float, str]:
    """A market order in every bar: stored, filled at the next open, told to nobody."""
    moments = minute_bars(count // 10, 1)
    desk = make_desk()
    walk(desk, moments[:1])
    began = time.process_time()
    for number, slices in moments[1:]:
        part = slices[0]
        side = Side.BUY if number % 2 else Side.SELL
        order(desk, "S000", side, f"run{number}", part.start)
        desk.opening(part.start, slices, "1m")
        desk.closing(part.end, slices, "1m")
    return (len(moments) - 1) / (time.process_time() - began), "fills"


ROWS: dict[str, Callable[[int], tuple[float, str]]] = {
    "nothing held, 1 symbol": quiet(1, 0),
    "1 position, 1 symbol": quiet(1, 1),
    "1 position, drawdown limit": quiet(1, 1, max_drawdown=Decimal("0.2")),
    "1 position, 10 symbols": quiet(10, 1),
    "10 positions, 10 symbols": quiet(10, 10),
    "an order and a fill each bar": trading,
}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {sys.version.split()[0]}, one core, best of 3")
    for name, measure in ROWS.items():
        rates = []
        for _ in range(3):
            gc.collect()
            rates.append(measure(count if "10 " not in name else count // 5))
        rate, unit = max(rates)
        print(f"{name:32} {rate:12,.0f} {unit}/s {1e6 / rate:8.2f} us")


if __name__ == "__main__":
    main()
