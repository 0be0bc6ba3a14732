"""Workers through the API: their places, what they hold, and those that ended lately."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from closingbell import create_app
from closingbell.app import App
from closingbell.core.clock import SimulatedClock
from tests.api_client import signed_in
from tests.conformance.desk import SECOND, START, FakeClaimer

WORKERS = "/api/v1/workers"
ABOUT = {"version": "1.2", "slots": {"async": 8, "thread": 2}, "tasks": ["scan"]}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """An app beside which a worker holds two runs, one has stopped and one has died."""
    made = create_app(f"sqlite:///{tmp_path / 'desk.db'}", clock=SimulatedClock(START))

    @made.task
    async def scan() -> None: ...

    workers, now = made.store.workers, made.store.queue.machine_micros()
    workers.register("dead", "desk-2", 9, {}, now - 99 * SECOND, now - 90 * SECOND)
    workers.bury(now)
    workers.register("stopped", "desk-2", 8, ABOUT, now - 50 * SECOND, now)
    workers.leave("stopped", now + SECOND)
    workers.register("alive", "desk-1", 7, ABOUT, now, now + 30 * SECOND)
    made.submit_many(scan, [{}, {}])
    claimer = FakeClaimer("alive")
    made.store.queue.attach(claimer)
    made.store.queue.exchange()
    made.store.queue.detach(claimer)
    assert len(claimer.claims) == 2
    yield made
    made.stop()


@pytest.fixture
def client(app: App) -> Iterator[httpx.Client]:
    with signed_in(app) as made:
        yield made


def test_workers_are_listed_the_living_first_with_places_and_runs(client: httpx.Client) -> None:
    alive, *ended = client.get(WORKERS).json()
    assert {one["id"]: one["state"] for one in ended} == {"stopped": "stopped", "dead": "dead"}
    assert alive["slots"] == {
        "async": {"slots": 8, "used": 2},
        "thread": {"slots": 2, "used": 0},
    }
    assert (alive["id"], alive["state"], alive["host"], alive["pid"]) == (
        "alive",
        "alive",
        "desk-1",
        7,
    )
    assert (alive["version"], alive["tasks"], alive["running_count"]) == ("1.2", ["scan"], 2)
    assert len(alive["running"]) == 2
    assert 0 < alive["lease_left_s"] <= 30
    assert alive["ended_at"] is None
    assert all(one["lease_left_s"] is None and one["ended_at"] for one in ended)


def test_workers_that_ended_long_ago_are_left_out(client: httpx.Client) -> None:
    found = client.get(WORKERS, params={"ended_within_s": 0, "limit": 1}).json()
    assert [one["id"] for one in found] == ["alive"]


def test_worker_says_what_runs_on_it(client: httpx.Client) -> None:
    told = client.get(f"{WORKERS}/alive").json()
    assert [run["id"] for run in told["runs"]] == told["running"]
    assert {(run["task"], run["executor"], run["attempt"]) for run in told["runs"]} == {
        ("scan", "async", 1)
    }


def test_unknown_worker_is_404(client: httpx.Client) -> None:
    answer = client.get(f"{WORKERS}/nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_worker")


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1001}, {"ended_within_s": -1}, {"ended_within_s": "nan"}]
)
def test_worker_query_that_cannot_be_meant_is_refused(
    client: httpx.Client, query: dict[str, str]
) -> None:
    assert client.get(WORKERS, params=query).status_code == 422
