"""The desk: an account on paper over real prices, and the tasks that look after it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closingbell.app import App, create_app
from closingbell.core.clock import Clock
from closingbell.core.context import Context
from closingbell.core.outcome import Skip
from closingbell.core.retry import RetryPolicy
from closingbell.demo.broker import fetch_statement, preflight
from closingbell.tasks import (
    DatabaseMaintenance,
    PerformanceReport,
    RiskManager,
    RiskScan,
    Settlement,
    TargetWeightRebalance,
)

if TYPE_CHECKING:
    from closingbell.trading.algorithm import Algorithm

ZONE = "America/New_York"
VENUE = "XNYS"
CASH = Decimal(5_000_000)
#: What the desk wants to hold of each stock, as fractions of its value; the rest is cash.
WEIGHTS = {"AAPL": "0.20", "FB": "0.15", "GOOG": "0.20", "IBM": "0.20", "MSFT": "0.20"}
#: A stock that opened so far from its last close is told to whom it concerns.
GAP = 0.005
#: A gap that wins or loses more dollars raises an alert.
ALERT_ABOVE = Decimal(10_000)
#: The broker's margin service is slow at these hours, in the desk's zone.
SLOW_HOURS = (4, 10, 16)
#: Tasks that run in child processes at once; the hung one must not hold up the others.
CHILDREN = 2
# On an accelerated clock a real millisecond is many desk seconds: what is noticed
# within two desk hours is on time.
_GRACE = "2h"


def make_desk(path: Path, clock: Clock, **settings: Any) -> App:
    """Return the desk's app on one SQLite file; nothing is started.

    Args:
        path: the file; reports and backups are written beside it.
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
    app.add_account(cash=CASH, fee="0.05%", calendar=VENUE, max_drawdown=0.05)
    # The default five minutes would be 25 ms of the machine's time.
    app.add_alert_rule("overdue", id="default-overdue", for_s=12 * 3_600)
    _trade(app)
    _watch(app)
    _report(app, path.parent)
    return app


#: The tasks that trade: these alone make up the strategy that is backtested.
STRATEGY = ("rebalance", "risk_manager")


def _trade(app: App) -> None:
    app.add_task(
        TargetWeightRebalance(
            WEIGHTS, band=0.01, name="rebalance", session=f"{VENUE} open", grace=_GRACE, priority=2
        )
    )
    app.add_task(
        RiskManager(
            max_drawdown=0.15, max_position_size=0.3, session=f"{VENUE} close-15m", grace=_GRACE
        )
    )


def _watch(app: App) -> None:
    @app.task(session=f"{VENUE} open+5m", grace=_GRACE, retries=3, tags=["data"])
    def opening_gaps(algorithm: Algorithm, context: Context) -> dict[str, Any]:
        """Compare the opening prices with the closes before, and tell how far each moved."""
        late_ms = _late_ms(app, context)
        started: list[str] = []
        prices: dict[str, str] = {}
        for position in algorithm.get_positions():
            before = algorithm.get_market_data(position.symbol, limit=1).closes()[-1]
            price = algorithm.get_price(position.symbol)
            prices[position.symbol] = str(price)
            started += algorithm.trigger_event(
                "opening_gap",
                {
                    "symbol": position.symbol,
                    "session_date": str(context.session_date),
                    "price": str(price),
                    "change": round(float(price / before - 1), 6),
                    "profit": str((price - before) * position.quantity),
                },
            )
        return {"prices": prices, "scans": len(started), "late_ms": late_ms}

    @app.task(
        on_event="opening_gap",
        where=f"change > {GAP} or change < -{GAP}",
        priority=1,
        tags=["risk"],
    )
    def gap_scan(algorithm: Algorithm, symbol: str, change: float, profit: str) -> dict[str, Any]:
        """Look at a stock that opened far from its last close, and tell a person of large sums."""
        amount = Decimal(profit)
        alarming = abs(amount) > ALERT_ABOVE
        if alarming:
            algorithm.send_alert(
                f"{symbol} opened {change:+.1%}, {amount:+,.0f} dollars", symbol=symbol
            )
        return {"symbol": symbol, "profit": profit, "alert": alarming}

    # Every fill changes a position, and the ledger says so in the fill's own transaction.
    app.add_task(RiskScan(max_weight=0.25, on_event="position_change", priority=1))

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
    def corporate_actions(algorithm: Algorithm, context: Context) -> Any:
        """Ask the vendor for splits; its service fails for the first two calls of each day."""
        from closingbell.triggers import get_calendar

        day: date = context.as_of.date()
        closed = get_calendar(VENUE).closure_reason(day)
        if closed is not None:
            return Skip(f"{VENUE} is closed: {closed}")
        if context.attempt <= 2:
            raise ConnectionError(f"the vendor answered 503 to call {context.attempt} of {day}")
        return {"actions": sum(len(algorithm.get_corporate_actions(stock)) for stock in WEIGHTS)}

    @app.task(
        interval="30m",
        grace=_GRACE,
        overlap="skip",
        blackout="22:00-02:00",
        timezone=ZONE,
        tags=["broker"],
    )
    def margin_watch(algorithm: Algorithm, context: Context) -> dict[str, Any]:
        """Compute the margin that the positions need; the broker's service is slow at times."""
        late_ms = _late_ms(app, context)
        local = algorithm.now()
        if local.hour in SLOW_HOURS and local.minute == 0:
            algorithm.sleep(40 * 60)
        # Regulation T: half of a long position's value.
        margin = algorithm.get_portfolio().exposure / 2
        return {"margin": f"{margin:.2f}", "late_ms": late_ms}

    app.task(
        name="broker_statement",
        session=f"{VENUE} close+30m",
        grace=_GRACE,
        executor="process",
        timeout=2,
        retries=0,
        tags=["broker"],
    )(fetch_statement)
    app.task(name="preflight", executor="process", retries=1, tags=["desk"])(preflight)


def _report(app: App, folder: Path) -> None:
    # At the account's daily close, by the event that the close itself emits.
    app.add_task(Settlement(interest="0.0025"))
    app.add_task(
        PerformanceReport(name="daily_report", after=["settlement", "opening_gaps"], folder=folder)
    )
    app.add_task(
        DatabaseMaintenance(
            backups=folder / "backups",
            interval="weekly",
            day="SUN",
            time="02:00",
            timezone=ZONE,
            grace=_GRACE,
        )
    )


def _late_ms(app: App, context: Context) -> float:
    """Return how late the handler itself began, in real milliseconds: it reads the clock."""
    late_s = (app.clock.now() - context.as_of).total_seconds()
    return round(late_s * 1000 / app.clock.speed, 4)
