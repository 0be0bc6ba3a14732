"""A POST that is sent again is done once: replays, reuse, crashes, and two at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from closingbell import create_app
from closingbell.api import idempotency
from closingbell.app import App
from closingbell.core.identity import RunIds, deriving
from closingbell.core.role import Role
from closingbell.intake import Intake
from tests.api_client import nobody, signed_in

PATIENCE_S = 60.0
RUNS = "/api/v1/runs"


@pytest.fixture
def app(store_address: str) -> Iterator[App]:
    made = create_app(store_address)

    @made.task
    def noop(number: int = 0) -> int:
        return number

    yield made
    made.stop()


@pytest.fixture
def client(app: App) -> Iterator[httpx.Client]:
    with signed_in(app, Role.OPERATOR) as made:
        yield made


def submit(client: httpx.Client, key: str | None, number: int = 1) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(RUNS, json={"task": "noop", "payload": {"number": number}}, headers=headers)


def test_same_request_again_is_given_the_same_answer(app: App, client: httpx.Client) -> None:
    first = submit(client, "order-1")
    again = submit(client, "order-1")

    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(app.list_runs()) == 1


def test_request_without_a_key_is_done_each_time(app: App, client: httpx.Client) -> None:
    assert submit(client, None).json()["id"] != submit(client, None).json()["id"]


def test_key_with_another_body_or_path_is_refused(app: App, client: httpx.Client) -> None:
    submit(client, "order-1")

    body = submit(client, "order-1", number=2)
    path = client.post(
        "/api/v1/batches",
        json={"task": "noop", "payload": {"number": 1}},
        headers={"Idempotency-Key": "order-1"},
    )

    for refused in (body, path):
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert len(app.list_runs()) == 1


def test_key_of_somebody_else_is_another_key(app: App, client: httpx.Client) -> None:
    mine = submit(client, "order-1")
    with signed_in(app, Role.OPERATOR) as other:
        theirs = submit(other, "order-1")

    assert theirs.status_code == 201
    assert theirs.json()["id"] != mine.json()["id"]


@pytest.mark.parametrize("key", ["", " ", "with space", "x" * 256, "tab\tbed"])
def test_key_that_is_none_is_refused(client: httpx.Client, key: str) -> None:
    refused = submit(client, key)

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


def test_refusal_is_an_answer_too(app: App, client: httpx.Client) -> None:
    first = client.post(RUNS, json={"task": "nobody"}, headers={"Idempotency-Key": "k"})
    again = client.post(RUNS, json={"task": "nobody"}, headers={"Idempotency-Key": "k"})

    assert first.status_code == again.status_code
    assert again.json() == first.json()
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotent-replayed"] == "true"


def test_request_at_work_is_waited_for(
    app: App, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    answer = type(app.store.requests).answer

    def slow(self: Any, *args: Any) -> None:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        answer(self, *args)

    monkeypatch.setattr(type(app.store.requests), "answer", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(submit, client, "order-1")
        assert begun.wait(PATIENCE_S)
        meanwhile = submit(client, "order-1")
        go_on.set()
        assert first.result().status_code == 201
    assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "request_in_progress")
    assert int(meanwhile.headers["retry-after"]) >= 1
    assert submit(client, "order-1").json() == first.result().json()


def test_own_mistake_is_not_an_answer_and_the_request_can_be_sent_again(
    app: App, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all = Intake.put_all

    def broken(self: Any, *args: Any, **options: Any) -> Any:
        put_all(self, *args, **options)
        raise RuntimeError("after it was stored")

    with monkeypatch.context() as patch:
        patch.setattr(Intake, "put_all", broken)
        assert submit(client, "order-1").status_code == 500
    assert submit(client, "order-1").status_code in (200, 201)
    assert len(app.list_runs()) == 1, "the ids follow from the key"


def test_key_is_forgotten_after_a_day(
    app: App, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = submit(client, "order-1").json()["id"]
    monkeypatch.setattr(idempotency, "KEPT_S", -1.0)
    assert app.store.requests.prune(app.clock.micros() + 1_000_000) == 1
    assert submit(client, "order-1").json()["id"] != first


def test_secret_of_a_token_is_not_kept(app: App) -> None:
    with signed_in(app, Role.ADMIN) as admin:
        ask = {"name": "robot", "role": "viewer"}
        headers = {"Idempotency-Key": "t-1"}
        first = admin.post("/api/v1/tokens", json=ask, headers=headers)
        again = admin.post("/api/v1/tokens", json=ask, headers=headers)

    assert first.status_code == 201
    assert (again.status_code, again.json()["code"]) == (409, "answered_once")
    with app.store.database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT body FROM idempotency_keys").scalar_one()
    assert "cb_" not in kept


def test_key_of_nobody_changes_nothing(app: App) -> None:
    with nobody(app) as client:
        assert submit(client, "order-1").status_code == 401


def test_two_at_once_make_one_run(app: App) -> None:
    with signed_in(app, Role.OPERATOR) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: submit(client, "order-1"), range(16)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(app.list_runs()) == 1


def test_derived_ids_are_the_same_each_time_and_in_order() -> None:
    ids = RunIds(lambda: 1_700_000_000_000, os.urandom)
    key = f"{1_700_000_000_123:012x}order"
    with deriving(key):
        first = [*ids.take(3), ids.next()]
    with deriving(key):
        again = ids.take(4)

    assert first == again == sorted(set(first))
    assert all(one.startswith(key[:12] + "7") and len(one) == 32 for one in first)
    assert ids.next() not in first
    with deriving(key + "2"):
        assert ids.next() not in first


DESK = """
import os, signal
from closingbell import create_app
import closingbell.api.idempotency as idempotency
from closingbell.store.idempotency import StoredRequests

idempotency.CLAIM_S = 1.0
app = create_app()

@app.task
def noop(number: int = 0): ...

app.on("opening", "noop")

if os.environ.get("DIES"):
    StoredRequests.answer = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


def serve(folder: Path, address: str, **more: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("closingbell")), "serve", "desk:app", "--api-only",
         "--json", "--port", "0", "--database", address],
        cwd=folder,
        env={**os.environ, "CLOSINGBELL_TOKEN": "t" * 40, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())["url"]


def done_once(folder: Path, address: str, path: str, body: dict[str, Any], runs: int) -> None:
    """Kill the service after it has done a request, send that again, and count."""
    (folder / "desk.py").write_text(DESK)
    headers = {"Authorization": f"Bearer {'t' * 40}", "Idempotency-Key": "order-1"}
    process, url = serve(folder, address, DIES="yes")
    with pytest.raises(httpx.TransportError):
        httpx.post(url + path, json=body, headers=headers, timeout=PATIENCE_S)
    assert process.wait(PATIENCE_S) == -signal.SIGKILL
    process.communicate()
    process, url = serve(folder, address)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = httpx.post(url + path, json=body, headers=headers, timeout=PATIENCE_S)
            if answer.status_code != 409 or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        assert answer.status_code in (200, 201), answer.text
        app = create_app(address)
        try:
            assert len(app.list_runs()) == runs
            assert app.store.audit.verify().ok
        finally:
            app.stop()
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("path", "body", "runs"),
    [
        (RUNS, {"task": "noop", "payload": {"number": 1}}, 1),
        ("/api/v1/batches", {"task": "noop", "payloads": [{"number": n} for n in range(5)]}, 5),
        ("/api/v1/events", {"type": "opening", "data": {"number": 3}}, 1),
        ("/api/v1/scheduler/task/submit", {"task_name": "noop", "payload": {"number": 1}}, 1),
        ("/api/v1/scheduler/event/trigger/opening", {"number": 1}, 1),
    ],
)
def test_service_killed_between_act_and_answer_does_it_once(
    tmp_path: Path, sqlite_address: str, path: str, body: dict[str, Any], runs: int
) -> None:
    done_once(tmp_path, sqlite_address, path, body, runs)


@pytest.mark.postgres
def test_service_killed_on_postgresql_does_it_once(tmp_path: Path, postgres_address: str) -> None:
    done_once(tmp_path, postgres_address, RUNS, {"task": "noop"}, 1)
