"""The summary: what happened, every number of it read from the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from closingbell.core.clock import from_micros, to_micros

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from closingbell.app import App
    from closingbell.store.store import Store

#: What tasks write into the desk's folder.
_WRITTEN = (".html", ".txt", ".db", ".sql")


def summarise(
    app: App, *, start: datetime, end: datetime, speed: float, timezone: str, folder: Path
) -> dict[str, Any]:
    """Return the summary as JSON values.

    Args:
        app: the desk's.
        start: when the desk's clock began.
        end: when the accelerated part was over.
        speed: desk seconds in one machine second.
        timezone: the zone of the dates in it.
        folder: where tasks wrote their reports and backups.
    """
    store = app.store
    with store.database.reading() as connection:
        summary = {
            "database": store.database.label,
            "desk_from": start.isoformat(),
            "desk_to": end.isoformat(),
            "speed": speed,
            "runs": _runs(connection),
            "attempts": _attempts(connection),
            "retried": _retried(connection),
            "killed": _killed(connection),
            "skips": _skips(connection),
            "lateness_ms": _lateness(connection),
            "events": _events(connection),
            "not_fired": [],
        }
    summary["not_fired"] = _not_fired(store, start, end, ZoneInfo(timezone))
    summary["early_closes"] = _early_closes(store, start, end)
    summary["alerts"] = [
        {
            "raised_at": alert["raised_at"].isoformat(),
            "type": alert["type"],
            "severity": alert["severity"],
            "message": alert["message"],
            "run_id": alert["run_id"],
        }
        for alert in store.alerts.open()
    ]
    summary["portfolio"] = _portfolio(app)
    summary["trades"] = _trades(store)
    summary["statements"] = _statements(store)
    summary["files"] = sorted(str(file) for file in folder.rglob("*") if file.suffix in _WRITTEN)
    return summary


def _portfolio(app: App) -> dict[str, Any]:
    """Return the account as it stands, amounts as decimal text in its currency."""
    portfolio = app.portfolio("main")
    return {
        "currency": portfolio.currency,
        "value": str(portfolio.total_value),
        "initial": str(portfolio.initial_value),
        "peak": str(portfolio.peak_value),
        "cash": str(portfolio.cash),
        "realized": str(portfolio.realized_pnl),
        "unrealized": str(portfolio.unrealized_pnl),
        "positions": [
            {
                "symbol": position.symbol,
                "quantity": str(position.quantity),
                "average_price": str(position.average_price),
                "price": str(position.price),
                "value": str(position.current_value),
                "unrealized": str(position.unrealized_pnl),
            }
            for position in portfolio.positions
        ],
    }


def _trades(store: Store) -> list[dict[str, Any]]:
    """Return the account's fills, oldest first."""
    return [
        {
            "at": from_micros(entry.at).isoformat(),
            "symbol": entry.symbol,
            "quantity": str(entry.quantity),
            "price": str(entry.price),
            "fee": str(entry.fee),
            "task": entry.task,
            "run_id": entry.run_id,
        }
        for entry in store.ledger.entries("main", kind="fill")
    ]


def _statements(store: Store) -> list[dict[str, Any]]:
    """Return what each settlement returned, oldest first."""
    from sqlalchemy import select

    from closingbell.store.codec import from_json
    from closingbell.store.schema import runs

    query = select(runs.c.result).where(runs.c.task == "settlement", runs.c.state == "success")
    with store.database.reading() as connection:
        found = connection.execute(query.order_by(runs.c.id)).scalars()
        results = [from_json(text) for text in found]
    return [
        {"day": result["session_date"], "value": result["value"], **statement}
        for result in results
        for statement in result["statements"]
    ]


def _runs(connection: Connection) -> dict[str, dict[str, int]]:
    """Return, by task, how many of its runs stand in each state."""
    from sqlalchemy import func, select

    from closingbell.store.schema import runs

    query = select(runs.c.task, runs.c.state, func.count()).group_by(runs.c.task, runs.c.state)
    found: dict[str, dict[str, int]] = {}
    for task, state, count in connection.execute(query.order_by(runs.c.task, runs.c.state)):
        found.setdefault(task, {})[state] = count
    return found


def _attempts(connection: Connection) -> dict[str, int]:
    """Return how many attempts ended in each way, those that were followed by another included."""
    from sqlalchemy import func, select, union_all

    from closingbell.store.schema import attempts, runs

    earlier = select(attempts.c.outcome)
    latest = select(runs.c.outcome).where(
        runs.c.outcome.is_not(None), runs.c.finished_at.is_not(None)
    )
    both = union_all(earlier, latest).subquery()
    query = select(both.c.outcome, func.count()).group_by(both.c.outcome).order_by(both.c.outcome)
    return {str(row[0]): int(row[1]) for row in connection.execute(query)}


def _retried(connection: Connection) -> list[dict[str, Any]]:
    """Return the runs with more than one attempt, with the waits before each in desk seconds."""
    from sqlalchemy import select

    from closingbell.store.codec import from_json
    from closingbell.store.schema import attempts, runs

    query = (
        select(attempts, runs.c.task, runs.c.state, runs.c.started_at.label("last_started_at"))
        .join(runs, runs.c.id == attempts.c.run_id)
        .order_by(attempts.c.run_id, attempts.c.fence)
    )
    found: dict[str, dict[str, Any]] = {}
    ends: dict[str, list[tuple[int, int]]] = {}
    for row in connection.execute(query):
        one = found.setdefault(
            row.run_id,
            {
                "run_id": row.run_id,
                "task": row.task,
                "state": row.state,
                "attempts": 1,
                "errors": [],
            },
        )
        one["attempts"] += 1
        error = from_json(row.error) or {}
        one["errors"].append(f"{error.get('type')}: {error.get('message')}")
        ends.setdefault(row.run_id, []).append((row.started_at, row.finished_at))
        one["last_started_at"] = row.last_started_at
    for run_id, one in found.items():
        starts = [*[begin for begin, _ in ends[run_id]][1:], one.pop("last_started_at")]
        pairs = zip(ends[run_id], starts, strict=True)
        one["waits_s"] = [round((began - ended) / 1_000_000) for (_, ended), began in pairs]
    return list(found.values())


def _killed(connection: Connection) -> list[dict[str, Any]]:
    """Return the runs whose process was killed for running too long."""
    from sqlalchemy import select

    from closingbell.store.codec import from_json
    from closingbell.store.schema import runs

    query = select(runs).where(runs.c.outcome == "timed_out").order_by(runs.c.id)
    return [
        {
            "run_id": row.id,
            "task": row.task,
            "session_date": row.session_date,
            "executor": row.executor,
            "timeout_s": row.timeout_s,
            "error": (from_json(row.error) or {}).get("message"),
        }
        for row in connection.execute(query)
    ]


def _skips(connection: Connection) -> list[dict[str, Any]]:
    """Return how many ticks and runs were skipped, by task and reason."""
    from sqlalchemy import func, select

    from closingbell.store.schema import firings, runs, schedules

    ticks = (
        select(schedules.c.task, firings.c.reason, firings.c.count)
        .join(schedules, schedules.c.id == firings.c.schedule_id)
        .where(firings.c.outcome == "skipped")
    )
    ended = (
        select(runs.c.task, runs.c.reason, func.count())
        .where(runs.c.state == "skipped")
        .group_by(runs.c.task, runs.c.reason)
    )
    counts: dict[tuple[str, str], int] = {}
    for task, reason, count in [*connection.execute(ticks), *connection.execute(ended)]:
        counts[task, _kind(reason)] = counts.get((task, _kind(reason)), 0) + count
    return [
        {"task": task, "reason": reason, "count": count}
        for (task, reason), count in sorted(counts.items())
    ]


def _kind(reason: str) -> str:
    """Return a reason without the run that it names, so that equal ones are counted together."""
    words = reason.split()
    if reason.startswith("overlap: run "):
        return " ".join(["overlap: the run before it", *words[3:]])
    return reason


def _lateness(connection: Connection) -> dict[str, Any]:
    """Return how late handlers began after their firing's instant: count, p50, p99, most.

    In real milliseconds, as the handlers measured it themselves and returned it. A quantile
    is the nearest rank: the ceil(q * n)-th smallest.
    """
    from sqlalchemy import select

    from closingbell.store.codec import from_json
    from closingbell.store.schema import runs

    query = select(runs.c.result).where(runs.c.cause == "schedule", runs.c.state == "success")
    results = (from_json(text) for text in connection.execute(query).scalars())
    late = sorted(r["late_ms"] for r in results if isinstance(r, dict) and "late_ms" in r)
    return {
        "firings": len(late),
        "p50": _quantile(late, 0.5),
        "p99": _quantile(late, 0.99),
        "max": _quantile(late, 1.0),
    }


def _quantile(ordered: Sequence[float], fraction: float) -> float | None:
    from math import ceil

    if not ordered:
        return None
    return round(ordered[max(0, ceil(fraction * len(ordered)) - 1)], 3)


def _events(connection: Connection) -> dict[str, Any]:
    """Return how many events happened, how many met a condition, and the runs that these started."""
    from sqlalchemy import case, func, select

    from closingbell.store.schema import events

    query = select(
        func.count(), func.sum(case((events.c.runs > 0, 1), else_=0)), func.sum(events.c.runs)
    )
    happened, matched, started = connection.execute(query).one()
    return {"happened": happened, "matched": matched or 0, "runs_started": started or 0}


def _not_fired(
    store: Store, start: datetime, end: datetime, zone: ZoneInfo
) -> list[dict[str, Any]]:
    """Return the sessions that a person may have missed, and why there was no firing.

    The rule explains; that nothing is stored for the date is asked of the store.
    """
    from closingbell.definition import read_schedule
    from closingbell.triggers import Session, explain_next

    found: list[dict[str, Any]] = []
    for row in store.schedules.list_all():
        if str(row["id"]).startswith("after:"):
            continue
        schedule = read_schedule(row)
        if not isinstance(schedule.trigger, Session):
            continue
        fired = {
            from_micros(tick["fire_at"]).astimezone(zone).date().isoformat()
            for tick in store.schedules.firings(schedule.id, limit=10_000)
        }
        days = max(1, (end - start) // timedelta(days=1) + 1)
        for line in explain_next(schedule.trigger, start, days):
            if line.fire_at is not None and line.fire_at > end:
                break
            if line.fire_at is None and line.local not in fired:
                reason = line.why.removeprefix("no firing: ")
                found.append({"schedule_id": schedule.id, "date": line.local, "reason": reason})
    return found


def _early_closes(store: Store, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Return the stored firings of session rules that an early close moved."""
    from closingbell.definition import read_schedule
    from closingbell.triggers import Session

    found: list[dict[str, Any]] = []
    for row in store.schedules.list_all():
        if str(row["id"]).startswith("after:"):
            continue
        schedule = read_schedule(row)
        trigger = schedule.trigger
        if not isinstance(trigger, Session) or "close" not in trigger.rule:
            continue
        for tick in store.schedules.firings(schedule.id, limit=10_000):
            fire_at = from_micros(tick["fire_at"])
            day = trigger.session_date(fire_at)
            if day is None or not to_micros(start) <= tick["fire_at"] <= to_micros(end):
                continue
            for note in trigger.special_hours(day):
                found.append(
                    {
                        "schedule_id": schedule.id,
                        "fire_at": fire_at.isoformat(),
                        "outcome": tick["outcome"],
                        "note": note,
                    }
                )
    return found
