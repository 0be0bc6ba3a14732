"""The stream of changes: nothing is left out, whoever goes, comes again, or does not read."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import httpx
import pytest

from closingbell import create_app
from closingbell.api.server import ApiServer
from closingbell.api.stream import hub as hub_module
from closingbell.api.stream import listener as listener_module
from closingbell.api.stream.cursor import Cursor
from closingbell.app import App
from closingbell.core.role import Role
from tests.api_client import bearer

PATIENCE_S = 30.0


@pytest.fixture
def app(store_address: str) -> Iterator[App]:
    made = create_app(store_address, guardian=False, sign_in_cache_s=0.1)

    @made.task
    def noop(number: int = 0) -> int:
        return number

    @made.task(retries=0)
    def fails() -> None:
        raise ValueError("as asked")

    yield made
    made.stop()


@pytest.fixture
def server(app: App) -> Iterator[ApiServer]:
    with app.running(scheduler=False), ApiServer(app, port=0) as made:
        yield made


class Follower:
    """Reads a stream in a thread; knows what it was told, and reconnects when asked to."""

    def __init__(
        self, url: str, headers: dict[str, str], topics: str | None = None, place: str | None = None
    ) -> None:
        self._url = url
        self._headers = headers
        self._topics = topics
        self.place = place
        self.events: list[tuple[str, Any]] = []
        self.state: dict[tuple[str, str], Any] = {}
        self._changed = threading.Condition()
        self._response: httpx.Response | None = None
        self._thread: threading.Thread | None = None

    def connect(self) -> Follower:
        """Begin to read, and wait until it is told that nothing is left out from here on."""
        seen = sum(name == "ready" for name, _ in self.events)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        closed = sum(name == "closed" for name, _ in self.events)
        self.wait(
            lambda: (
                sum(name == "ready" for name, _ in self.events) > seen
                or sum(name == "closed" for name, _ in self.events) > closed
            )
        )
        assert self.events[-1][0] != "closed", "the stream was refused"
        return self

    def drop(self) -> None:
        """Cut the connection."""
        response, thread = self._response, self._thread
        if response is not None:
            network: Any = response.extensions["network_stream"]
            raw: socket.socket = network.get_extra_info("socket")
            with suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)
        if thread is not None:
            thread.join(PATIENCE_S)

    def wait(self, until: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(until, PATIENCE_S), self.events[-3:]

    def told(self, noun: str, id: str | None) -> Any:
        return self.state.get((noun, str(id)))

    def _read(self) -> None:
        headers = dict(self._headers)
        if self.place is not None:
            headers["Last-Event-ID"] = self.place
        params = {} if self._topics is None else {"topics": self._topics}
        try:
            with httpx.stream(
                "GET",
                f"{self._url}/api/v1/stream",
                params=params,
                headers=headers,
                timeout=PATIENCE_S,
            ) as response:
                self._response = response
                assert response.status_code == 200, response.read()
                self._take(response)
        except httpx.TransportError:
            pass
        with self._changed:
            self.events.append(("closed", None))
            self._changed.notify_all()

    def _take(self, response: httpx.Response) -> None:
        name, data = "message", ""
        for line in response.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = value
            elif field == "id":
                self.place = value
            elif not line and data:
                with self._changed:
                    told = json.loads(data)
                    self.events.append((name, told))
                    for change in told.get("changes", ()):
                        self.state[change["noun"], change["id"]] = change["state"]
                    self._changed.notify_all()
                name, data = "message", ""


@pytest.fixture
def follow(app: App, server: ApiServer) -> Iterator[Callable[..., Follower]]:
    made: list[Follower] = []

    def begin(**options: Any) -> Follower:
        follower = Follower(server.url, bearer(app, Role.VIEWER), **options)
        made.append(follower)
        return follower.connect()

    yield begin
    for follower in made:
        follower.drop()


def test_stream_tells_of_a_run_until_its_end(app: App, follow: Callable[..., Follower]) -> None:
    follower = follow()
    run_id = app.submit("noop", {"number": 7}).id

    follower.wait(lambda: (follower.told("runs", run_id) or {}).get("state") == "success")

    state = follower.told("runs", run_id)
    assert state["task"] == "noop"
    assert state["finished_at"].endswith("Z")
    assert "payload" not in state


def test_stream_topics_leave_out_the_rest(app: App, follow: Callable[..., Follower]) -> None:
    follower = follow(topics="events,audit")
    everything = follow()
    app.trigger_event("opening", {"symbol": "AAPL"})
    run_id = app.submit("noop").id
    everything.wait(lambda: everything.told("runs", run_id) is not None)
    follower.wait(lambda: any(noun == "events" for noun, _ in follower.state))

    assert {noun for noun, _ in follower.state} <= {"events", "audit"}


def test_stream_tells_of_alerts_schedules_and_acts(
    app: App, follow: Callable[..., Follower]
) -> None:
    follower = follow()
    schedule = app.schedule("noop", cron="0 9 * * *", id="morning")
    schedule.pause("holiday")
    app.submit("fails")

    follower.wait(
        lambda: (follower.told("schedules", "morning") or {}).get("paused_reason") == "holiday"
    )
    follower.wait(lambda: any(noun == "alerts" for noun, _ in follower.state))
    follower.wait(
        lambda: any(
            state["action"] == "schedule.paused"
            for (noun, _), state in follower.state.items()
            if noun == "audit"
        )
    )


def test_stream_tells_of_workers_that_come_and_go(
    app: App, store_address: str, follow: Callable[..., Follower]
) -> None:
    follower = follow(topics="workers")
    other = create_app(store_address, guardian=False)
    with other.running(scheduler=False):
        worker = other.machinery.worker_id
        follower.wait(lambda: (follower.told("workers", worker) or {}).get("state") == "alive")
    follower.wait(lambda: (follower.told("workers", worker) or {}).get("state") == "stopped")


def test_stream_resumed_at_random_moments_under_load_loses_nothing(
    app: App, follow: Callable[..., Follower]
) -> None:
    follower = follow()
    chance = random.Random(7)
    submitted: list[str] = []
    enough = threading.Event()

    def submit() -> None:
        while not enough.is_set():
            submitted.append(app.submit("noop", {"number": len(submitted)}).id)
            enough.wait(0.01)

    load = threading.Thread(target=submit)
    load.start()
    try:
        for _ in range(6):
            time.sleep(chance.uniform(0.05, 0.6))
            follower.drop()
            time.sleep(chance.uniform(0.0, 0.5))
            follower.connect()
    finally:
        enough.set()
        load.join()

    assert not any(name in ("summary", "reset") for name, _ in follower.events)
    follower.wait(
        lambda: all(
            (follower.told("runs", run) or {}).get("state") == "success" for run in submitted
        )
    )


def test_stream_resumes_on_another_process(
    app: App, server: ApiServer, follow: Callable[..., Follower], store_address: str
) -> None:
    follower = follow()
    first = app.submit("noop").id
    follower.wait(lambda: (follower.told("runs", first) or {}).get("state") == "success")
    follower.drop()
    while_away = app.submit("noop").id
    app.handle(while_away).result(PATIENCE_S)
    other = create_app(store_address, guardian=False)
    try:
        with other.running(worker=False, scheduler=False), ApiServer(other, port=0) as second:
            moved = Follower(second.url, bearer(app, Role.VIEWER), place=follower.place)
            moved.connect()
            moved.wait(lambda: (moved.told("runs", while_away) or {}).get("state") == "success")
            assert not any(name == "reset" for name, _ in moved.events)
            moved.drop()
    finally:
        other.stop()


@pytest.mark.parametrize(
    "place", ["nonsense", str(Cursor("ffffffff", 1, 1)), str(Cursor("ffffffff", 2**60, 0))]
)
def test_stream_place_that_is_none_or_another_stores_begins_anew(
    follow: Callable[..., Follower], place: str
) -> None:
    follower = follow(place=place)

    assert [name for name, _ in follower.events][:2] == ["reset", "ready"]


def test_stream_place_of_long_ago_begins_anew(app: App, follow: Callable[..., Follower]) -> None:
    long_ago = app.clock.micros() - 7_200_000_000
    follower = follow(place=str(Cursor(app.store.id[:8], long_ago, 0)))

    assert [name for name, _ in follower.events][:2] == ["reset", "ready"]


def test_stream_too_much_at_once_is_counted(app: App, follow: Callable[..., Follower]) -> None:
    follower = follow()
    app.submit_many("noop", [{"number": number} for number in range(3_000)])

    follower.wait(lambda: any(name == "summary" for name, _ in follower.events))

    counts = next(told["counts"] for name, told in follower.events if name == "summary")
    assert counts["runs"] > 500
    assert not any(
        name == "changes" and len(told["changes"]) > 500 for name, told in follower.events
    )


def test_stream_tells_what_runs_to_who_comes(app: App, follow: Callable[..., Follower]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @app.task
    def waits() -> None:
        begun.set()
        go_on.wait(PATIENCE_S)

    run_id = app.submit("waits").id
    try:
        assert begun.wait(PATIENCE_S)
        follower = follow()
        assert follower.events[-1][1]["running"] == [run_id]
    finally:
        go_on.set()


def test_stream_of_a_revoked_token_ends(
    app: App, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "CHECK_S", 0.2)
    headers = bearer(app, Role.VIEWER)
    follower = Follower(server.url, headers).connect()
    app.store.tokens.revoke(headers["Authorization"].split("_")[1], app.clock.micros())

    follower.wait(lambda: follower.events[-1][0] == "closed")

    assert ("end", {"reason": "signed out"}) in follower.events


def test_stream_ends_with_the_service(app: App) -> None:
    with ApiServer(app, port=0) as server:
        follower = Follower(server.url, bearer(app, Role.VIEWER)).connect()
        began = time.monotonic()
    assert time.monotonic() - began < 5
    follower.wait(lambda: follower.events[-1][0] == "closed")
    assert ("end", {"reason": "the service stops"}) in follower.events


def test_stream_looks_while_somebody_follows_and_no_longer(
    app: App, server: ApiServer, follow: Callable[..., Follower]
) -> None:
    hub = server.api.state.stream
    assert not hub.is_looking
    followers = [follow() for _ in range(3)]
    assert (hub.clients, hub.is_looking) == (3, True)
    for follower in followers:
        follower.drop()
    deadline = time.monotonic() + PATIENCE_S
    while hub.is_looking:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert hub.clients == 0


def test_stream_client_that_never_reads_is_let_go_and_the_others_hear_all(
    app: App, server: ApiServer, follow: Callable[..., Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "MOST_WAITING_BYTES", 100_000)
    authorization = bearer(app, Role.VIEWER)["Authorization"]
    hub = server.api.state.stream
    with closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(
            f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Authorization: {authorization}\r\n\r\n".encode()
        )
        follower = follow()
        deaf_one = next(iter(hub._listeners))
        last = ""
        deadline = time.monotonic() + PATIENCE_S
        while not deaf_one.is_over:
            assert time.monotonic() < deadline
            last = app.submit_many("noop", [{"number": n} for n in range(100)])[-1]
            time.sleep(0.25)
        assert not deaf_one._waiting
        follower.wait(
            lambda: (
                follower.told("runs", last) is not None
                or any(name == "summary" for name, _ in follower.events)
            )
        )


def test_stream_too_many_clients_are_refused(
    app: App, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "MOST_OF_ONE", 1)
    headers = bearer(app, Role.VIEWER)
    follower = Follower(server.url, headers).connect()
    second = httpx.get(f"{server.url}/api/v1/stream", headers=headers)
    assert (second.status_code, second.json()["code"]) == (429, "too_many_requests")
    monkeypatch.setattr(hub_module, "MOST_CLIENTS", 1)
    third = httpx.get(f"{server.url}/api/v1/stream", headers=bearer(app, Role.VIEWER))
    assert (third.status_code, third.json()["code"]) == (503, "service_busy")
    assert "retry-after" in third.headers
    follower.drop()


@pytest.mark.parametrize("topics", ["portfolio", "", "runs,everything"])
def test_stream_of_unknown_topics_is_refused(app: App, server: ApiServer, topics: str) -> None:
    answer = httpx.get(
        f"{server.url}/api/v1/stream", params={"topics": topics}, headers=bearer(app, Role.VIEWER)
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_stream_needs_a_sign_in(server: ApiServer) -> None:
    assert httpx.get(f"{server.url}/api/v1/stream").status_code == 401
