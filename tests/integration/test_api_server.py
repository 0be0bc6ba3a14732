"""The API over real connections: its address, its patience, and its end."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from closingbell import create_app
from closingbell.api import patience
from closingbell.api.server import ApiServer
from closingbell.app import App
from closingbell.core.error import ServerAddressError
from tests.api_client import bearer

PATIENCE_S = 20.0


@pytest.fixture
def app(sqlite_address: str) -> Iterator[App]:
    made = create_app(sqlite_address)
    yield made
    made.stop()


def connect(server: ApiServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)


def test_server_on_port_0_says_which_one_was_free(app: App) -> None:
    with ApiServer(app, port=0) as server:
        assert server.port > 0
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert not server.is_open
        assert httpx.get(f"{server.url}/livez").json()["status"] == "alive"


def test_server_address_that_is_taken_is_refused_before_anything_begins(app: App) -> None:
    with ApiServer(app, port=0) as server:
        with pytest.raises(ServerAddressError, match="--port") as refused:
            ApiServer(app, port=server.port)
        assert refused.value.port == server.port


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("no.such.host.invalid", 0)])
def test_server_address_of_another_machine_is_refused(app: App, host: str, port: int) -> None:
    with pytest.raises(ServerAddressError):
        ApiServer(app, host, port)


def test_server_that_others_can_reach_says_so(app: App, caplog: pytest.LogCaptureFixture) -> None:
    server = ApiServer(app, "0.0.0.0", 0)
    try:
        assert server.is_open
        with caplog.at_level("WARNING"):
            server.start()
        assert "other machines can reach it" in caplog.text
        assert server.url.startswith("http://127.0.0.1:")
    finally:
        server.stop()


def test_server_stopped_answers_no_more_and_can_be_begun_again(app: App) -> None:
    with ApiServer(app, port=0) as server:
        port = server.port
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/livez")
    with ApiServer(app, port=port) as again:
        assert httpx.get(f"{again.url}/livez").status_code == 200


def test_server_head_that_never_ends_is_let_go(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "READ_S", 0.3)
    with ApiServer(app, port=0) as server, connect(server) as slow:
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        assert slow.recv(100) == b""


def test_server_body_that_never_comes_is_let_go(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "READ_S", 0.3)
    authorization = bearer(app)["Authorization"]
    with ApiServer(app, port=0) as server, connect(server) as slow:
        slow.sendall(
            f"POST /api/v1/nowhere HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Authorization: {authorization}\r\nContent-Length: 10\r\n"
            "Content-Type: application/json\r\n\r\n{".encode()
        )
        assert slow.recv(100) == b""


def test_server_connection_that_says_nothing_is_let_go(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "READ_S", 0.3)
    with ApiServer(app, port=0) as server, connect(server) as silent:
        assert silent.recv(100) == b""


def test_server_head_without_measure_is_refused(app: App) -> None:
    with ApiServer(app, port=0) as server, connect(server) as greedy:
        greedy.sendall(b"GET /livez HTTP/1.1\r\nX-Long: " + b"x" * 200_000)
        assert greedy.recv(100).startswith(b"HTTP/1.1 400")


def test_server_client_that_never_reads_is_let_go(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "WRITE_S", 0.3)
    request = f"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Pad: {'x' * 1000}\r\n\r\n".encode()
    with ApiServer(app, port=0) as server:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.settimeout(PATIENCE_S)
            deaf.connect(("127.0.0.1", server.port))
            deadline = time.monotonic() + PATIENCE_S
            with suppress(ConnectionError):
                while time.monotonic() < deadline:
                    deaf.sendall(request * 200)
        assert time.monotonic() < deadline, "it was never let go"
        assert httpx.get(f"{server.url}/livez").status_code == 200


def test_server_lets_a_request_end_that_is_at_work(app: App) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from threading import Event

    from closingbell.api.application import create_api

    api = create_api(app)
    begun, go_on = Event(), Event()

    @api.get("/oidc/slow")
    def slow() -> str:
        begun.set()
        go_on.wait(PATIENCE_S)
        return "done"

    server = ApiServer(app, port=0, api=api)
    server.start()
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(httpx.get, f"{server.url}/oidc/slow", timeout=PATIENCE_S)
        assert begun.wait(PATIENCE_S)
        stopped = pool.submit(server.stop, PATIENCE_S)
        go_on.set()
        assert asked.result().status_code == 200
        stopped.result()
