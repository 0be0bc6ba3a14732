"""Figures: how runs went, over time and by task, and how the desk stands in one look.

They are read from sums that grow with no run. What this second's runs add is there within
about seven: a worker stores its sums every five, and an answer is given again for two.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from closingbell.api.application import served_app
from closingbell.api.overview import alive_workers, next_firings, planned, venues_today
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.parameter import After, QueryText
from closingbell.api.problem import problems
from closingbell.api.recent import RecentAnswers, recent_answers
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.clock import from_micros
from closingbell.core.duration import parse_duration
from closingbell.core.error import TriggerError
from closingbell.core.role import Role
from closingbell.monitor.figures import Figures
from closingbell.monitor.series import Point, read_series
from closingbell.monitor.sketch import Sketch
from closingbell.monitor.window import TOTAL, read_figures
from closingbell.wire.figure import (
    Counts,
    Overview,
    Performance,
    TaskFigures,
    Throughput,
    ThroughputPoint,
    Times,
)

router = APIRouter(tags=["figures"], dependencies=[needs(Role.VIEWER)])

_App = Annotated[App, Depends(served_app)]
_Recent = Annotated[RecentAnswers, Depends(recent_answers)]
_SECOND = 1_000_000
_HOUR_US, _DAY_US = 3_600 * _SECOND, 86_400 * _SECOND
#: For so long daily sums are kept.
_LONGEST_US = 400 * _DAY_US
#: What is due for so long, and has not begun, is late.
LATE_AFTER_S = 60.0
_NEXT_FIRINGS = 10

Window = Annotated[
    str,
    Query(
        max_length=20,
        description="how far back: 15m, 1h, 24h, 7d, any length from 1m to 400d, or all",
    ),
]


@router.get(
    "/performance",
    operation_id="get_performance",
    summary="How runs went in a window, by task",
    responses=problems(422),
)
def get_performance(
    app: _App,
    recent: _Recent,
    task: QueryText = None,
    window: Window = "24h",
    limit: Annotated[int, Query(ge=1, le=1000, description="at most so many tasks")] = 25,
    after: After = None,
) -> Performance:
    """Return counts, durations, lateness and queue waits of each task that ran in a window.

    A window of a day is put together from up to eighty sums of each task: a page is a quarter of
    what other lists show, so that it is there in an instant.
    """
    query = {"list": "performance", "of": [task, window]}
    position = read_page_token(after, query, (str,))
    back = _back(window)
    return recent.get(
        ("performance", task, window, limit, position),
        lambda: _performance(app, task, window, back, limit, query, position),
    )


def _performance(
    app: App,
    task: str | None,
    window: str,
    back: int | None,
    limit: int,
    query: dict[str, Any],
    position: tuple[Any, ...] | None,
) -> Performance:
    now, stored = app.clock.micros(), app.store.performance
    names = [task] if task is not None else stored.tasks(position[0] if position else "", limit + 1)
    page = names[:limit]
    found = read_figures(stored, now, page if task is not None else [TOTAL, *page], back)
    total = found.pop(TOTAL, Figures()) if task is None else None
    return Performance(
        window=window,
        since=None if back is None else from_micros(now - back),
        until=from_micros(now),
        total=None if total is None else _figures(None, total),
        items=[_figures(name, figures) for name, figures in found.items()],
        next=make_page_token(query, (page[-1],)) if len(names) > limit else None,
    )


@router.get(
    "/throughput",
    operation_id="get_throughput",
    summary="How runs went over time, in as many points as a chart can show",
    responses=problems(422),
)
def get_throughput(
    app: _App, recent: _Recent, task: QueryText = None, window: Window = "1h"
) -> Throughput:
    """Return what ended, and how late and how long it was, point by point."""
    back = _back(window) or _LONGEST_US
    return recent.get(("throughput", task, window), lambda: _throughput(app, back, window, task))


@router.get(
    "/overview",
    operation_id="get_overview",
    summary="How the desk stands",
    responses=problems(),
)
def get_overview(app: _App, recent: _Recent) -> Overview:
    """Return what an operator looks at first; cheap enough to be asked every few seconds."""
    store, now = app.store, app.clock.micros()
    late_since = now - round(LATE_AFTER_S * _SECOND)
    standing = store.glance.runs(late_since)
    day = recent.get("day", lambda: _day(app, now))
    schedules = planned(app)
    oldest = standing.oldest_due_at
    return Overview(
        at=from_micros(now),
        timezone=app.settings.timezone,
        counts=Counts(
            running=standing.running,
            pending=standing.pending,
            scheduled=standing.scheduled,
            held=standing.held,
            complete=standing.complete,
        ),
        late_after_s=LATE_AFTER_S,
        late_runs=standing.late,
        late_schedules=store.glance.late_schedules(late_since),
        oldest_pending_age_s=None if oldest is None else max(now - oldest, 0) / _SECOND,
        day=day,
        open_alerts=store.glance.alerts(),
        workers=alive_workers(store.roster.recent(store.queue.machine_micros(), 1000)),
        next_firings=next_firings(schedules[:_NEXT_FIRINGS]),
        venues=venues_today(app, schedules),
        throughput=recent.get(
            ("throughput", None, "1h"), lambda: _throughput(app, _HOUR_US, "1h", None)
        ),
    )


def _day(app: App, now: int) -> TaskFigures:
    found = read_figures(app.store.performance, now, TOTAL, _DAY_US)
    return _figures(None, found.get(TOTAL, Figures()))


def _back(window: str) -> int | None:
    """Return how far back a window goes, in microseconds; None = since ever."""
    if window == "all":
        return None
    back = round(parse_duration(window, kind="window").total_seconds() * _SECOND)
    if not 60 * _SECOND <= back <= _LONGEST_US:
        raise TriggerError("window", window, "a length from 1m to 400d, or all")
    return back


def _throughput(app: App, back: int, window: str, task: str | None) -> Throughput:
    points = read_series(app.store.performance, app.clock.micros(), back, task)
    return Throughput(
        window=window,
        task=task,
        step_s=(points[0].until - points[0].at) // _SECOND,
        points=[_point(point) for point in points],
    )


def _point(point: Point) -> ThroughputPoint:
    figures = point.figures
    return ThroughputPoint(
        at=from_micros(point.at),
        until=from_micros(point.until),
        success=figures.success,
        failed=figures.failed,
        cancelled=figures.cancelled,
        skipped=figures.skipped,
        retried=figures.retried,
        duration_p50_s=_quantile(figures.durations, 0.50),
        duration_p95_s=_quantile(figures.durations, 0.95),
        lateness_p95_s=_quantile(figures.lateness, 0.95),
        queue_wait_p95_s=_quantile(figures.waits, 0.95),
    )


def _figures(task: str | None, figures: Figures) -> TaskFigures:
    judged = figures.success + figures.failed
    return TaskFigures(
        task=task,
        count=judged + figures.cancelled + figures.skipped,
        success=figures.success,
        failed=figures.failed,
        cancelled=figures.cancelled,
        skipped=figures.skipped,
        retried=figures.retried,
        failure_rate=figures.failure_rate if judged else None,
        duration=_times(figures.durations),
        lateness=_times(figures.lateness),
        queue_wait=_times(figures.waits),
    )


def _times(sketch: Sketch) -> Times:
    if not sketch.count:
        return _NO_TIMES
    p50, p95, p99 = sketch.quantiles(0.50, 0.95, 0.99)
    return Times(
        count=sketch.count,
        avg_s=sketch.mean / _SECOND,
        min_s=sketch.least / _SECOND,
        max_s=sketch.greatest / _SECOND,
        p50_s=p50 / _SECOND,
        p95_s=p95 / _SECOND,
        p99_s=p99 / _SECOND,
    )


_NO_TIMES = Times(count=0, avg_s=None, min_s=None, max_s=None, p50_s=None, p95_s=None, p99_s=None)


def _quantile(sketch: Sketch, fraction: float) -> float | None:
    return sketch.quantile(fraction) / _SECOND if sketch.count else None
