"""What the desk computes in child processes: plain functions that any process can import."""

from __future__ import annotations

import math
import os
import sqlite3
import threading
from contextlib import closing
from datetime import date
from decimal import Decimal
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any

from closingbell.core.context import Context
from closingbell.demo.book import POSITIONS

#: Trading dates that the historical simulation looks back over: half a year.
WINDOW = 125
#: The chance that a day is worse than the value at risk.
TAIL = 0.05
TRADING_DAYS = 252
#: On this date the broker's gateway takes the connection and never answers.
GATEWAY_HANGS_ON = date(2012, 11, 23)


def value_book(database: str, context: Context) -> dict[str, Any]:
    """Value the positions at the session's stored prices, with the risk of one day.

    Value at risk and expected shortfall are a historical simulation: the profit or loss that
    today's positions would have had on each of the last `WINDOW` days on which all traded.
    The value at risk is the ceil(TAIL * n)-th worst of these n, the shortfall the mean
    of it and all worse ones. The volatility is the standard deviation of the daily returns
    times the square root of 252. Splits inside the window are not adjusted for: there are none.

    Args:
        database: the SQLite file with the desk's tables.
        context: the run, whose `session_date` is valued.

    Returns:
        Money as decimal text in US dollars; `volatility` is a fraction.

    Raises:
        LookupError: the session's prices are not stored yet; a retry may find them.
    """
    day = context.session_date or context.as_of.date()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        quotes = {
            symbol: (Decimal(price), Decimal(before))
            for symbol, price, before in connection.execute(
                "SELECT symbol, price, previous_close FROM demo_quotes WHERE day = ?",
                (day.isoformat(),),
            )
        }
        history = connection.execute(
            "SELECT day, symbol, close FROM demo_bars WHERE day < ? ORDER BY day",
            (day.isoformat(),),
        ).fetchall()
    missing = sorted(set(POSITIONS) - set(quotes))
    if missing:
        raise LookupError(f"no price of {', '.join(missing)} for {day} is stored yet")
    value = sum((quotes[s][0] * held for s, held in POSITIONS.items()), Decimal())
    before = sum((quotes[s][1] * held for s, held in POSITIONS.items()), Decimal())
    outcomes = _simulated(history, {s: float(quotes[s][0]) * h for s, h in POSITIONS.items()})
    tail = sorted(outcomes)[: max(1, math.ceil(TAIL * len(outcomes)))]
    context.log.info("valued %d positions over %d days of history", len(quotes), len(outcomes))
    return {
        "session_date": day.isoformat(),
        "value": f"{value:.2f}",
        "day_change": f"{value - before:.2f}",
        "value_at_risk": f"{-tail[-1]:.2f}",
        "expected_shortfall": f"{-fmean(tail):.2f}",
        "volatility": round(stdev(o / float(value) for o in outcomes) * TRADING_DAYS**0.5, 4),
        "days": len(outcomes),
    }


def _simulated(history: list[tuple[str, str, str]], worth: dict[str, float]) -> list[float]:
    """Return what today's positions would have won or lost on each day of the window."""
    closes: dict[str, dict[str, float]] = {}
    for day, symbol, close in history:
        closes.setdefault(day, {})[symbol] = float(close)
    complete = [row for row in closes.values() if len(row) == len(POSITIONS)][-WINDOW - 1 :]
    if len(complete) < 3:
        raise LookupError("too little history is stored for a historical simulation")
    return [
        sum(worth[s] * (after[s] / before[s] - 1) for s in POSITIONS)
        for before, after in pairwise(complete)
    ]


def reconcile(context: Context) -> dict[str, int]:
    """Compare the positions with the broker's; on one day the broker never answers."""
    if context.session_date == GATEWAY_HANGS_ON:
        context.log.info("the gateway took the connection; waiting for its answer")
        threading.Event().wait()
    statement = dict(POSITIONS)
    return {
        "positions": len(POSITIONS),
        "differences": sum(statement.get(s) != held for s, held in POSITIONS.items()),
    }


def preflight(child: int) -> dict[str, int]:
    """Start a child process and load what it will need, before the market opens."""
    return {"child": child, "pid": os.getpid()}
