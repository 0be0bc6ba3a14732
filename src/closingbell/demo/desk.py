"""The desk: its tasks, when they run, and what they may not do."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from closingbell.app import App, create_app
from closingbell.core.clock import Clock
from closingbell.core.context import Context
from closingbell.core.outcome import Skip
from closingbell.core.retry import RetryPolicy
from closingbell.demo.book import POSITIONS, Book
from closingbell.demo.prices import bars_between, load_bars
from closingbell.demo.valuation import preflight, reconcile, value_book
from closingbell.task import Task

ZONE = "America/New_York"
VENUE = "XNYS"
#: A position whose stock opened so far from its last close is looked at.
MOVE = 0.005
#: A move that wins or loses more dollars raises an alert.
ALERT_ABOVE = Decimal(10_000)
#: Calendar days of history that the first synchronisation fetches.
HISTORY = timedelta(days=250)
#: The broker's margin service is slow at these hours, in the desk's zone.
SLOW_HOURS = (4, 10, 16)
#: Tasks that run in child processes at once; the hung one must not hold up the valuation.
CHILDREN = 2
# On an accelerated clock a real millisecond is many desk seconds: what is noticed
# within two desk hours is on time.
_GRACE = "2h"


class DataCleanup(Task):
    """Delete bars that no valuation looks back to."""

    def __init__(self, book: Book) -> None:
        super().__init__(
            "data_cleanup", interval="weekly", day="SUN", time="02:00", timezone=ZONE, grace=_GRACE
        )
        self._book = book

    def run(self, algorithm: Any) -> dict[str, int]:
        """Keep the newest 140 trading dates."""
        gone = self._book.forget_bars(keep=140)
        algorithm.log("%d bars deleted", gone)
        return {"bars": gone}


def make_desk(path: Path, clock: Clock, **settings: Any) -> tuple[App, Book]:
    """Return the desk's app and tables on one SQLite file; nothing is started.

    Args:
        path: the file.
        clock: the desk's time.
        settings: any field of `Settings`.
    """
    app = create_app(
        path,
        timezone=ZONE,
        clock=clock,
        # The accelerated clock makes short attempts long; only a whole week is too long.
        **{"long_execution_s": 7 * 86_400, "process_slots": CHILDREN, **settings},
    )
    book = Book(path)
    _market_data(app, book)
    _risk(app, book)
    _broker(app, book)
    app.add_task(DataCleanup(book))
    return app, book


def _market_data(app: App, book: Book) -> None:
    @app.task(session=f"{VENUE} open", grace=_GRACE, retries=3, priority=2, tags=["data"])
    def data_sync(context: Context) -> Any:
        """Store finished days and the opening prices, and tell who holds the stocks."""
        late_ms = _late_ms(app, context)
        day = context.session_date
        if day is None:
            return Skip("it was submitted, not fired for a session")
        known = book.last_bar_day()
        first = day - HISTORY if known is None else date.fromisoformat(known)
        bars = bars_between(first, day)
        # A day's bar is known when the day is over: at the open only its first price is.
        finished = [bar for bar in bars if bar.day < day]
        opening = {bar.symbol: bar.open for bar in bars if bar.day == day}
        closes = {bar.symbol: bar.close for bar in finished}
        started: list[str] = []
        # Prices, events and the runs that they start exist together, or not at all.
        with book.engine().begin() as connection:
            stored = book.store_bars(connection, finished)
            for symbol, price in opening.items():
                before = closes[symbol]
                book.store_quote(connection, symbol, day, price, before)
                started += app.trigger_event(
                    "position_change",
                    {
                        "symbol": symbol,
                        "session_date": day.isoformat(),
                        "price": str(price),
                        "change": round(float(price / before - 1), 6),
                        "profit": str((price - before) * POSITIONS[symbol]),
                    },
                    connection=connection,
                )
        return {
            "bars": stored,
            "prices": len(opening),
            "scans": len(started),
            "late_ms": late_ms,
        }

    @app.task(
        cron="0 8 * * MON-FRI",
        timezone=ZONE,
        grace=_GRACE,
        retries=RetryPolicy(
            retries=4,
            initial_delay=timedelta(minutes=10),
            backoff_factor=3,
            max_delay=timedelta(hours=2),
            # So that the waits in the summary can be read as the policy's.
            jitter=False,
        ),
        tags=["data", "vendor"],
    )
    def corporate_actions(context: Context) -> Any:
        """Ask the vendor for splits; its service fails for the first two calls of each day."""
        from closingbell.triggers import get_calendar

        day = context.as_of.date()
        closed = get_calendar(VENUE).closure_reason(day)
        if closed is not None:
            return Skip(f"{VENUE} is closed: {closed}")
        if context.attempt <= 2:
            raise ConnectionError(f"the vendor answered 503 to call {context.attempt} of {day}")
        return {"splits": _splits_before(day)}


def _splits_before(day: date) -> list[str]:
    """Return the splits that show where adjusted and traded prices part by more than a third."""
    found: list[str] = []
    before = None
    for bar in load_bars():
        if before is not None and before.symbol == bar.symbol and bar.day < day:
            factor = (before.close / bar.close) * (bar.adjusted_close / before.adjusted_close)
            if factor > Decimal("1.33"):
                found.append(f"{bar.symbol} {bar.day} {factor:.0f}:1")
        before = bar
    return found


def _risk(app: App, book: Book) -> None:
    @app.task(
        on_event="position_change",
        where=f"change > {MOVE} or change < -{MOVE}",
        priority=1,
        tags=["risk"],
    )
    def risk_scan(algorithm: Any, symbol: str, change: float, profit: str) -> dict[str, Any]:
        """Look at a position whose price moved, and tell a person when it moved far."""
        amount = Decimal(profit)
        alarming = abs(amount) > ALERT_ABOVE
        if alarming:
            algorithm.send_alert(
                f"{symbol} opened {change:+.1%}, {amount:+,.0f} dollars", symbol=symbol
            )
        return {"symbol": symbol, "profit": profit, "alert": alarming}

    app.task(
        name="valuation",
        session=f"{VENUE} close-15m",
        grace=_GRACE,
        executor="process",
        timeout=30,
        retries=RetryPolicy(retries=3, initial_delay=timedelta(minutes=5)),
        priority=1,
        tags=["risk"],
        payload={"database": str(book.path)},
    )(value_book)

    @app.task(after=["data_sync", "valuation"], tags=["report"])
    def daily_report() -> dict[str, Any]:
        """Write the day's report, once prices and valuation are there."""
        latest = app.list_runs(task="valuation", states=["success"], limit=1)[0]
        figures = latest.result
        book.store_report(
            {
                "day": figures["session_date"],
                "valuation_run": latest.id,
                "value": figures["value"],
                "day_change": figures["day_change"],
                "value_at_risk": figures["value_at_risk"],
                "volatility": str(figures["volatility"]),
            }
        )
        return {"day": figures["session_date"], "value": figures["value"]}


def _broker(app: App, book: Book) -> None:
    app.task(
        name="reconciliation",
        session=f"{VENUE} open+30m",
        grace=_GRACE,
        executor="process",
        timeout=2,
        retries=0,
        tags=["broker"],
    )(reconcile)
    app.task(name="preflight", executor="process", retries=1, tags=["desk"])(preflight)

    @app.task(
        interval="30m",
        grace=_GRACE,
        overlap="skip",
        blackout="22:00-02:00",
        timezone=ZONE,
        tags=["broker"],
    )
    def margin_watch(algorithm: Any, context: Context) -> dict[str, Any]:
        """Compute the margin that the positions need; the broker's service is slow at times."""
        from zoneinfo import ZoneInfo

        late_ms = _late_ms(app, context)
        local = context.as_of.astimezone(ZoneInfo(ZONE))
        if local.hour in SLOW_HOURS and local.minute == 0:
            algorithm.sleep(40 * 60)
        value = book.market_value()
        # Regulation T: half of a long position's value.
        return {"margin": None if value is None else f"{value / 2:.2f}", "late_ms": late_ms}


def _late_ms(app: App, context: Context) -> float:
    """Return how late the handler itself began, in real milliseconds: it reads the clock."""
    late_s = (app.clock.now() - context.as_of).total_seconds()
    return round(late_s * 1000 / app.clock.speed, 4)
