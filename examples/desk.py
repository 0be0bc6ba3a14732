"""A small trading desk's day.

    closingbell serve examples/desk.py                       # fire schedules and run tasks
    closingbell schedule next examples/desk.py valuation -n 10 --explain
    closingbell submit examples/desk.py valuation '{"positions": {"AAPL": 100}}' --wait
    closingbell event examples/desk.py position_change symbol=AAPL change=-0.06

Everything is in one SQLite file, desk.db, in the folder where the command is started.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from closingbell import RetryPolicy, Skip, Task, create_app

app = create_app("sqlite:///desk.db", timezone="America/New_York")

POSITIONS = {"AAPL": 1_200, "IBM": 800, "MSFT": 2_500}
# Your market data goes here; these are some closes of 2013-03-01.
PRICES = {"AAPL": 430.47, "IBM": 202.91, "MSFT": 27.95}


class DataCleanup(Task):
    """Delete what no report needs any more."""

    def __init__(self) -> None:
        super().__init__("data_cleanup", interval="weekly", day="SUN", time="02:00")

    def run(self, algorithm: Any) -> dict[str, str]:
        algorithm.log("nothing older than a year is kept")
        return {"kept_from": (algorithm.now() - timedelta(days=365)).date().isoformat()}


app.add_task(DataCleanup())


# Before the open of every session: holidays have none, and no session is missed.
@app.task(
    session="XNYS open-30m",
    timeout=120,
    retries=RetryPolicy(retries=5, initial_delay=timedelta(seconds=20), backoff_factor=2),
    tags=["data"],
)
async def load_positions(context: Any) -> dict[str, int]:
    """Fetch last night's positions from the back office; it is sometimes late."""
    context.log.info("loading positions for %s", context.session_date)
    return POSITIONS


# In a process of its own: it may compute for long, and can be killed when it hangs.
@app.task(session="XNYS close-15m", executor="process", timeout=60, priority=1, tags=["risk"])
def valuation(positions: dict[str, int] | None = None) -> dict[str, float]:
    """Value the book a quarter of an hour before the close, early closes included."""
    held = positions or POSITIONS
    return {symbol: round(PRICES[symbol] * quantity, 2) for symbol, quantity in held.items()}


# Only when both have succeeded anew.
@app.task(after=[load_positions, valuation], tags=["report"])
def daily_report() -> str:
    """Write the day's report."""
    values = app.list_runs(task="valuation", states=["success"], limit=1)[0].result
    return f"the book is worth {sum(values.values()):,.2f} dollars"


# By an event from outside or from a task, on a condition.
@app.task(on_event="position_change", where="change < -0.05", priority=1, tags=["risk"])
def risk_scan(algorithm: Any, symbol: str, change: float) -> Any:
    """Tell a person about a position that fell by more than five percent."""
    if symbol not in POSITIONS:
        return Skip(f"we hold no {symbol}")
    loss = PRICES[symbol] * POSITIONS[symbol] * -change
    algorithm.send_alert(f"{symbol} fell {change:.1%}: {loss:,.0f} dollars", symbol=symbol)
    return {"loss": round(loss, 2)}


# Around the clock, but not in the broker's maintenance window, and never twice at once.
@app.task(interval="5m", blackout="23:45-00:15", overlap="skip", max_concurrent=1)
def heartbeat() -> str:
    """Ask the broker whether it is there."""
    return "the broker answers"


if __name__ == "__main__":
    app.start()
