"""Figures through the API: performance by window, throughput over time, and the overview."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from closingbell import create_app
from closingbell.app import App
from closingbell.core.clock import SimulatedClock, to_micros
from closingbell.core.run import Claim, Settlement
from closingbell.monitor.recorder import Recorder
from tests.api_client import signed_in
from tests.conformance.desk import SECOND, START

NOW = to_micros(START)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A desk whose runs of the last three hours are counted, and some of which wait."""
    clock = SimulatedClock(START)
    made = create_app(f"sqlite:///{tmp_path / 'desk.db'}", clock=clock)
    made.add_account("main")

    @made.task(session="XNYS close-15m")
    def scan() -> None: ...

    @made.task(cron="* * * * *")
    def sync() -> None: ...

    recorder = Recorder("w1", made.store.performance)
    for minutes, task, state in (
        (1, "scan", "success"),
        (1, "scan", "failed"),
        (2, "sync", "success"),
        (170, "scan", "success"),
    ):
        at = NOW - minutes * 60 * SECOND
        claim = Claim(
            "r", 1, task, "{}", 1, 3, 300.0, at - 4 * SECOND, at - 5 * SECOND, None, None,
            "async", 0, None, at - 2 * SECOND,
        )  # fmt: skip
        outcome = "returned" if state == "success" else "raised"
        recorder.note([(claim, Settlement("r", 1, state, outcome, 1, at))])
    recorder.flush()
    made.submit(scan)
    made.submit(scan, delay="1h")
    now = made.store.queue.machine_micros()
    about = {"slots": {"thread": 4}}
    made.store.workers.register("w1", "desk", 1, about, now, now + 60 * SECOND)
    made.store.alerts.put("a", "drawdown", "m", NOW, severity="CRITICAL")
    yield made
    made.stop()


@pytest.fixture
def client(app: App) -> Iterator[httpx.Client]:
    with signed_in(app) as made:
        yield made


def get(client: httpx.Client, path: str, **query: Any) -> Any:
    answer = client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("window", "scans"), [("15m", 2), ("1h", 2), ("24h", 3), ("7d", 3), ("all", 3)]
)
def test_performance_of_each_window_counts_what_ended_in_it(
    client: httpx.Client, window: str, scans: int
) -> None:
    told = get(client, "performance", window=window)
    assert {one["task"]: one["count"] for one in told["items"]} == {"scan": scans, "sync": 1}
    assert (told["total"]["task"], told["total"]["count"]) == (None, scans + 1)
    assert (told["window"], told["since"] is None) == (window, window == "all")


def test_performance_of_a_task_has_times_lateness_and_failures(client: httpx.Client) -> None:
    told = get(client, "performance", task="scan", window="1h")
    assert told["total"] is None
    [scan] = told["items"]
    assert (scan["success"], scan["failed"], scan["failure_rate"]) == (1, 1, 0.5)
    assert scan["duration"] == {
        "count": 1, "avg_s": 2.0, "min_s": 2.0, "max_s": 2.0,
        "p50_s": 2.0, "p95_s": 2.0, "p99_s": 2.0,
    }  # fmt: skip
    assert (scan["queue_wait"]["avg_s"], scan["lateness"]["max_s"]) == (2.0, 3.0)


def test_task_without_runs_has_no_figures_and_no_quantiles_are_made_up(
    app: App, client: httpx.Client
) -> None:
    assert get(client, "performance", task="nobody")["items"] == []
    app.clock.advance(timedelta(days=3))  # type: ignore[attr-defined]
    total = get(client, "performance", window="15m")["total"]
    assert (total["count"], total["failure_rate"]) == (0, None)
    assert total["duration"]["p95_s"] is None


def test_performance_goes_page_by_page(client: httpx.Client) -> None:
    first = get(client, "performance", limit=1)
    second = get(client, "performance", limit=1, after=first["next"])
    assert [one["task"] for one in (*first["items"], *second["items"])] == ["scan", "sync"]
    assert second["next"] is None


def test_throughput_has_a_point_for_each_step_without_gaps(client: httpx.Client) -> None:
    told = get(client, "throughput", window="1h")
    assert (told["step_s"], len(told["points"])) == (60, 61)
    assert all(one["until"] == other["at"] for one, other in pairwise(told["points"]))
    ended = {p["at"]: (p["success"], p["failed"]) for p in told["points"] if p["success"]}
    assert ended == {"2026-03-02T14:28:00Z": (1, 0), "2026-03-02T14:29:00Z": (1, 1)}
    [late] = {p["lateness_p95_s"] for p in told["points"] if p["success"]}
    assert late == 3.0
    assert told["points"][0]["duration_p95_s"] is None


def test_throughput_of_one_task_leaves_out_the_others(client: httpx.Client) -> None:
    told = get(client, "throughput", window="24h", task="sync")
    assert sum(point["success"] for point in told["points"]) == 1
    assert (told["task"], told["step_s"]) == ("sync", 3600)


@pytest.mark.parametrize("window", ["", "soon", "0s", "59s", "401d", "-1h", "1e9", "9" * 19 + "d"])
@pytest.mark.parametrize("path", ["performance", "throughput"])
def test_window_that_cannot_be_meant_is_refused(
    client: httpx.Client, path: str, window: str
) -> None:
    answer = client.get(f"/api/v1/{path}", params={"window": window})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_trigger")


def test_overview_says_how_the_desk_stands(app: App, client: httpx.Client) -> None:
    app.clock.advance(timedelta(seconds=90))  # type: ignore[attr-defined]
    told = get(client, "overview")
    assert told["counts"] == {
        "running": 0, "pending": 1, "scheduled": 1, "held": 0, "complete": True,
    }  # fmt: skip
    assert (told["late_runs"], told["oldest_pending_age_s"]) == (1, 90.0)
    # Nothing fires here: what was due at 14:31 is late, and due for less than a minute.
    assert told["late_schedules"] == 0
    assert told["day"]["failed"] == 1
    assert told["open_alerts"] == {"CRITICAL": 1}
    assert told["workers"] == {"alive": 1, "slots": {"thread": {"slots": 4, "used": 0}}}
    firings = {one["schedule_id"]: one for one in told["next_firings"]}
    assert firings["scan"]["fire_at"] == "2026-03-02T20:45:00Z"
    assert firings["scan"]["explanation"]
    assert [one["task"] for one in told["next_firings"]] == ["sync", "scan"]
    assert len(told["throughput"]["points"]) == 61


def test_overview_shows_todays_session_of_the_venues_in_use(app: App, client: httpx.Client) -> None:
    [venue] = get(client, "overview")["venues"]
    assert venue == {
        "venue": "XNYS",
        "timezone": "America/New_York",
        "date": "2026-03-02",
        "is_open": True,
        "open_at": "2026-03-02T14:30:00Z",
        "close_at": "2026-03-02T21:00:00Z",
        "breaks": [],
        "early_close": False,
        "note": None,
        "next_open_at": "2026-03-03T14:30:00Z",
    }
    app.clock.advance(timedelta(days=5))  # type: ignore[attr-defined]
    [closed] = get(client, "overview")["venues"]
    assert (closed["is_open"], closed["open_at"], closed["date"]) == (False, None, "2026-03-07")
    assert closed["note"]
