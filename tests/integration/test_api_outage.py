"""The store fails under the API: every request is told so, nothing is half-done, and it mends."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from closingbell import create_app
from closingbell.api import idempotency
from closingbell.app import App
from closingbell.store.database import SqliteDatabase
from tests.api_client import signed_in
from tests.postgres import PostgresServer

PATIENCE_S = 60.0
PREFIX = "/api/v1"
SCAN = {"task": "scan", "payload": {"text": "x" * 2_000}}
#: Acts of every kind; each can be done once, in this order.
ACTS: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("POST", "/runs", SCAN),
    ("POST", "/runs/RUN/cancel", {"reason": "no use"}),
    ("POST", "/batches", {"task": "scan", "payloads": [SCAN["payload"]] * 40}),
    ("POST", "/schedules", {"id": "new", "task": "scan", "trigger": {"interval": "1h"}}),
    ("PUT", "/schedules/old", {"task": "scan", "trigger": {"interval": "2h"}}),
    ("POST", "/schedules/old/pause", {"reason": "wait"}),
    ("POST", "/schedules/old/run-now", None),
    ("POST", "/events", {"type": "moved", "id": "e1"}),
    ("POST", "/event-triggers", {"task": "scan", "event_type": "moved"}),
    ("POST", "/alert-rules", {"id": "r", "kind": "task_failure"}),
    ("POST", "/tokens", {"name": "ci", "role": "viewer"}),
    ("DELETE", "/schedules/old", None),
)
LISTS = ("/runs", "/batches", "/schedules", "/events", "/event-triggers", "/alert-rules", "/tokens")


def desk(address: str | Path) -> App:
    app = create_app(address, guardian=False)

    @app.task(retries=0)
    def scan(text: str = "") -> None:
        return None

    return app


class Acts:
    """Somebody who tries every act, and looks at what came of it."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.run = client.post(f"{PREFIX}/runs", json={**SCAN, "delay_s": 3_600}).json()["id"]
        old = {"id": "old", "task": "scan", "trigger": {"interval": "1h"}}
        self.etag = client.post(f"{PREFIX}/schedules", json=old).headers["etag"]

    def tried(self) -> list[httpx.Response]:
        return [
            self.client.request(
                method,
                PREFIX + path.replace("RUN", self.run),
                json=body,
                headers={"If-Match": self.etag} if method == "PUT" else {},
            )
            for method, path, body in ACTS
        ]

    def stored(self) -> dict[str, Any]:
        """Everything that acts could have left behind, and the ledger of them."""
        lists = {path: self.client.get(PREFIX + path).json()["items"] for path in LISTS}
        for token in lists["/tokens"]:
            # Being used is no act.
            token.pop("last_used_at")
        ledger = self.client.get(f"{PREFIX}/audit", params={"limit": 1_000}).json()["items"]
        return {**lists, "ledger": [one["seq"] for one in ledger]}


def refused(answers: list[httpx.Response], code: str) -> None:
    for answer, act in zip(answers, ACTS, strict=True):
        assert answer.status_code == 503, (act, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == code, act
        assert int(answer.headers["retry-after"]) >= 1, act


def did_all(answers: list[httpx.Response]) -> None:
    told = [(act[:2], answer.status_code) for act, answer in zip(ACTS, answers, strict=True)]
    assert all(200 <= status < 300 for _, status in told), told


@pytest.fixture
def app(sqlite_address: str) -> Iterator[App]:
    made = desk(sqlite_address)
    yield made
    made.stop()


@pytest.fixture
def acts(app: App) -> Iterator[Acts]:
    with signed_in(app, name="ana") as client:
        yield Acts(client)


def test_store_that_is_locked_refuses_every_act_whole_and_goes_on_reading(
    app: App, acts: Acts, tmp_path: Path
) -> None:
    database = app.store.database
    assert isinstance(database, SqliteDatabase)
    with database.pen:
        # Shorter than the ten seconds of every day.
        database.driver().execute("PRAGMA busy_timeout = 100")
    before = acts.stored()
    other = sqlite3.connect(tmp_path / "closingbell.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        refused(acts.tried(), "store_unavailable")
        # Who only looks is not kept waiting.
        assert acts.stored() == before
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert acts.stored() == before
    did_all(acts.tried())


def test_store_that_is_full_refuses_what_does_not_fit_and_goes_on_reading(
    app: App, acts: Acts
) -> None:
    database = app.store.database
    assert isinstance(database, SqliteDatabase)
    with database.pen:
        driver = database.driver()
        # No page is free, and none can be had.
        while driver.execute("PRAGMA freelist_count").fetchone()[0]:
            driver.execute("VACUUM")
        pages = driver.execute("PRAGMA page_count").fetchone()[0]
        driver.execute(f"PRAGMA max_page_count = {pages}")
    before = acts.stored()
    body = {"task": "scan", "payloads": [SCAN["payload"]] * 200}
    answer = acts.client.post(f"{PREFIX}/batches", json=body)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_full")
    assert int(answer.headers["retry-after"]) >= 1
    assert acts.stored() == before
    with database.pen:
        database.driver().execute("PRAGMA max_page_count = 1000000")
    did_all(acts.tried())


def test_store_whose_file_is_gone_refuses_everything_until_it_is_back(
    app: App, acts: Acts, tmp_path: Path
) -> None:
    before = acts.stored()
    with aside(tmp_path / "closingbell.db"):
        refused(acts.tried(), "store_unavailable")
        for path in LISTS:
            answer = acts.client.get(PREFIX + path)
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable"), path
            assert int(answer.headers["retry-after"]) >= 1
    assert acts.stored() == before
    did_all(acts.tried())


@contextmanager
def aside(path: Path) -> Iterator[None]:
    path.rename(path.with_suffix(".aside"))
    try:
        yield
    finally:
        path.with_suffix(".aside").rename(path)


@pytest.mark.postgres
@pytest.mark.timeout(180)
def test_postgres_killed_under_requests_loses_no_answer_and_does_none_twice(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long a request counts as at work whose end could not be stored.
    monkeypatch.setattr(idempotency, "CLAIM_S", 2.0)
    app = desk(own_postgres.address(own_postgres.create_database()))
    answers: list[httpx.Response] = []
    ids: dict[str, str] = {}
    done = threading.Event()

    def submit_for_ever(client: httpx.Client, who: int) -> None:
        number = 0
        while not done.is_set():
            key = f"{who}-{number}"
            answer = client.post(
                f"{PREFIX}/runs",
                json={"task": "scan", "payload": {"text": key}},
                headers={"Idempotency-Key": key},
            )
            answers.append(answer)
            if answer.status_code == 201:
                ids[key] = answer.json()["id"]
                number += 1
            elif answer.status_code not in (409, 503):
                return
            else:
                done.wait(0.05)

    def until(happened: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < end, "it did not happen in time"
            done.wait(0.02)

    try:
        with signed_in(app, name="ana") as client:
            threads = [
                threading.Thread(target=submit_for_ever, args=(client, who)) for who in range(3)
            ]
            for thread in threads:
                thread.start()
            try:
                for crash in (True, False):
                    count = len(ids)
                    until(lambda least=count + 10: len(ids) >= least)  # type: ignore[misc]
                    own_postgres.stop(crash=crash)
                    refusals = sum(one.status_code == 503 for one in answers)
                    until(
                        lambda least=refusals + 3: (  # type: ignore[misc]
                            sum(one.status_code == 503 for one in answers) >= least
                        )
                    )
                    own_postgres.start()
                count = len(ids)
                until(lambda: len(ids) >= count + 10)
            finally:
                done.set()
                for thread in threads:
                    thread.join(PATIENCE_S)
            assert {one.status_code for one in answers} <= {201, 409, 503}
            for one in answers:
                if one.status_code != 201:
                    assert one.headers["content-type"] == "application/problem+json"
                    assert int(one.headers["retry-after"]) >= 1, one.text
            stored = {run.id: run.payload["text"] for run in app.list_runs(limit=10_000)}
    finally:
        app.stop()
    # Each key that was answered is one run; at most the last of each sender was not answered.
    assert {key: run for run, key in stored.items() if key in ids} == ids
    assert len(stored) - len(ids) <= 3
    assert len(set(stored.values())) == len(stored)
