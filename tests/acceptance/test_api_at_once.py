"""Requests that meet: the same thing asked of the API by several at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import Barrier
from typing import Any

import httpx
import pytest

from closingbell import create_app
from closingbell.app import App
from closingbell.core.role import Role
from tests.api_client import signed_in

PATIENCE_S = 30.0
RUNS, SCHEDULES, RULES = "/api/v1/runs", "/api/v1/schedules", "/api/v1/alert-rules"


@pytest.fixture
def app(store_address: str) -> Iterator[App]:
    made = create_app(store_address)

    @made.task(retries=0)
    def scan(threshold: int = 0) -> int:
        return threshold

    @made.task(approval="two-person", retries=0)
    def wire_money(amount: int = 1) -> int:
        return amount

    yield made
    made.stop()


@pytest.fixture
def ana(app: App) -> Iterator[httpx.Client]:
    with signed_in(app, Role.ADMIN, "ana") as client:
        yield client


def at_once(*asks: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Send requests from threads that wait for one another first; answers are in their order."""
    barrier = Barrier(len(asks), timeout=PATIENCE_S)

    def one(ask: Callable[[], httpx.Response]) -> httpx.Response:
        barrier.wait()
        return ask()

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(one, asks))


def counted(answers: list[httpx.Response]) -> dict[int, int]:
    found = [answer.status_code for answer in answers]
    return {status: found.count(status) for status in sorted(set(found))}


def test_schedule_changed_by_many_from_one_version_takes_one_change(
    app: App, ana: httpx.Client
) -> None:
    made = ana.post(SCHEDULES, json={"id": "s", "task": "scan", "trigger": {"interval": "1h"}})
    version = made.headers["etag"]

    def change(hours: int) -> Callable[[], httpx.Response]:
        body = {
            "task": "scan",
            "trigger": {"interval": f"{hours}h"},
            "payload": {"threshold": hours},
        }
        return lambda: ana.put(f"{SCHEDULES}/s", json=body, headers={"If-Match": version})

    answers = at_once(*(change(hours) for hours in range(2, 10)))
    assert counted(answers) == {200: 1, 412: 7}
    [taken] = [answer for answer in answers if answer.status_code == 200]
    stands = ana.get(f"{SCHEDULES}/s")
    # What stands is the one change, whole: its rule and its payload belong together.
    assert stands.json()["payload"] == taken.json()["payload"]
    assert stands.json()["trigger"] == taken.json()["trigger"]
    assert stands.headers["etag"] == taken.headers["etag"] != version
    changes = ana.get("/api/v1/audit", params={"action": "schedule.changed"}).json()["items"]
    assert len(changes) == 1


def test_schedule_of_one_id_made_by_many_is_made_once(ana: httpx.Client) -> None:
    def make(hours: int) -> Callable[[], httpx.Response]:
        body = {"id": "same", "task": "scan", "trigger": {"interval": f"{hours}h"}}
        return lambda: ana.post(SCHEDULES, json=body)

    answers = at_once(*(make(hours) for hours in range(1, 9)))
    assert counted(answers) == {201: 1, 409: 7}


def test_alert_rule_changed_by_many_from_one_version_takes_one_change(ana: httpx.Client) -> None:
    made = ana.post(RULES, json={"id": "r", "kind": "task_failure"})
    version = made.headers["etag"]

    def change(seconds: int) -> Callable[[], httpx.Response]:
        body = {"kind": "task_failure", "repeat_s": seconds}
        return lambda: ana.put(f"{RULES}/r", json=body, headers={"If-Match": version})

    answers = at_once(*(change(seconds) for seconds in range(100, 108)))
    assert counted(answers) == {200: 1, 412: 7}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (RUNS, {"task": "scan"}),
        ("/api/v1/batches", {"task": "scan", "payloads": [{}, {"threshold": 1}]}),
        ("/api/v1/scheduler/task/submit", {"task_name": "scan"}),
    ],
)
def test_request_of_one_key_sent_by_twenty_is_done_once(
    app: App, ana: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    def send() -> httpx.Response:
        return ana.post(path, json=body, headers={"Idempotency-Key": "once"})

    answers = at_once(*[send] * 20)
    done = [answer for answer in answers if answer.status_code < 300]
    # The others were given its answer, or were told to ask again while it was at work.
    assert done
    assert counted(answers).keys() <= {200, 201, 409}
    assert len({answer.text for answer in done}) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert (answer.json()["code"], int(answer.headers["retry-after"]) >= 1) == (
                "request_in_progress",
                True,
            )
    assert send().text == done[0].text
    assert len(app.list_runs()) == len(body.get("payloads", [None]))


def test_run_released_by_two_persons_at_once_is_released_once(app: App, ana: httpx.Client) -> None:
    with ExitStack() as people:
        ben, cyd = (
            people.enter_context(signed_in(app, Role.OPERATOR, name)) for name in ("ben", "cyd")
        )
        for _ in range(5):
            run = ana.post(RUNS, json={"task": "wire_money"}).json()["id"]
            answers = at_once(
                partial(ben.post, f"{RUNS}/{run}/approve"),
                partial(cyd.post, f"{RUNS}/{run}/approve"),
                partial(ana.post, f"{RUNS}/{run}/approve"),
            )
            # One was enough, the other came too late; who asked for it never counts.
            assert sorted(answer.status_code for answer in answers[:2]) == [200, 409]
            assert answers[2].status_code == 409
            acts = ana.get("/api/v1/audit", params={"target_id": run, "action": "run.approved"})
            assert len(acts.json()["items"]) == 1


def test_run_released_and_rejected_at_once_has_one_end(app: App, ana: httpx.Client) -> None:
    with ExitStack() as people:
        ben, cyd = (
            people.enter_context(signed_in(app, Role.OPERATOR, name)) for name in ("ben", "cyd")
        )
        for _ in range(5):
            run = ana.post(RUNS, json={"task": "wire_money"}).json()["id"]
            released, rejected = at_once(
                partial(ben.post, f"{RUNS}/{run}/approve"),
                partial(cyd.post, f"{RUNS}/{run}/reject", json={"reason": "no"}),
            )
            assert {released.status_code, rejected.status_code} == {200, 409}
            state = ana.get(f"{RUNS}/{run}").json()["state"]
            assert (state == "cancelled") == (rejected.status_code == 200)


def test_run_cancelled_by_many_at_once_is_cancelled_once(app: App, ana: httpx.Client) -> None:
    run = ana.post(RUNS, json={"task": "scan", "delay_s": 3_600}).json()["id"]
    answers = at_once(*[partial(ana.post, f"{RUNS}/{run}/cancel")] * 8)
    assert counted(answers) == {200: 1, 409: 7}
    assert ana.get(f"{RUNS}/{run}").json()["state"] == "cancelled"


def test_run_cancelled_and_tried_again_at_once_stands_as_the_answers_say(
    app: App, ana: httpx.Client
) -> None:
    for _ in range(5):
        run = ana.post(RUNS, json={"task": "scan", "delay_s": 3_600}).json()["id"]
        ana.post(f"{RUNS}/{run}/cancel")
        retried, cancelled = at_once(
            partial(ana.post, f"{RUNS}/{run}/retry"), partial(ana.post, f"{RUNS}/{run}/cancel")
        )
        # Ended already, so that only after the retry there is something to cancel.
        assert retried.status_code == 200
        assert cancelled.status_code in (200, 409)
        state = ana.get(f"{RUNS}/{run}").json()["state"]
        assert state == ("cancelled" if cancelled.status_code == 200 else "pending")
        told = [one["what"] for one in ana.get(f"{RUNS}/{run}/history").json()]
        assert told.count("cancelled") == 1 + (cancelled.status_code == 200)


def test_token_revoked_by_many_at_once_is_revoked_once(ana: httpx.Client) -> None:
    made = ana.post("/api/v1/tokens", json={"name": "ci", "role": "viewer"}).json()
    answers = at_once(*[lambda: ana.delete(f"/api/v1/tokens/{made['id']}")] * 8)
    assert counted(answers) == {200: 8}
    assert len({answer.json()["revoked_at"] for answer in answers}) == 1
    acts = ana.get("/api/v1/audit", params={"target_id": made["id"], "action": "token.revoked"})
    assert len(acts.json()["items"]) == 1
