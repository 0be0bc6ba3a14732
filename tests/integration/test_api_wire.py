"""HTTP that nobody means well, byte by byte: smuggling, pipelining, other hosts, other protocols."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from closingbell import create_app
from closingbell.api.server import ApiServer
from closingbell.app import App
from closingbell.core.role import Role
from tests.api_client import bearer

PATIENCE_S = 30.0
BODY = '{"task":"scan"}'
CHUNKED = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"
#: What an attacker would slip past a proxy that counts otherwise than we do.
SLIPPED = "POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Wire:
    """A service, and what is sent to it as it stands."""

    app: App
    port: int
    head: str

    def ask(self, text: str) -> str:
        """Send bytes and return all that comes until the service closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            connection.sendall(text.encode("latin-1"))
            answer = b""
            try:
                while received := connection.recv(65_536):
                    answer += received
            except ConnectionResetError:
                # It closed with some of our bytes unread.
                pass
        return answer.decode("latin-1")

    def runs(self) -> int:
        return len(self.app.list_runs())


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    app = create_app(tmp_path_factory.mktemp("wire") / "desk.db", guardian=False)

    @app.task
    def scan() -> None:
        return None

    head = (
        f"Host: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Authorization: {bearer(app, Role.OPERATOR)['Authorization']}\r\n"
    )
    with ApiServer(app, port=0) as server:
        yield Wire(app, server.port, head)
    app.stop()


def statuses(answer: str) -> list[int]:
    return [int(found) for found in re.findall(r"HTTP/1\.1 (\d{3}) ", answer)]


@pytest.mark.parametrize(
    "framing",
    [
        f"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG{SLIPPED}",
        f"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{CHUNKED}{SLIPPED}",
        f"Content-Length: {len(BODY)}\r\nContent-Length: 0\r\n\r\n{BODY}{SLIPPED}",
        f"Content-Length: {len(BODY)}, {len(BODY)}\r\n\r\n{BODY}",
        f"Content-Length: +{len(BODY)}\r\n\r\n{BODY}",
        f"Content-Length: -1\r\n\r\n{BODY}",
        f"Content-Length: 99999999999999999999999\r\n\r\n{BODY}",
        f"Transfer-Encoding: xchunked\r\n\r\n{CHUNKED}",
        f"Transfer-Encoding: chunked, identity\r\n\r\n{CHUNKED}",
        f"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n{CHUNKED}",
        f"Transfer-Encoding : chunked\r\n\r\n{CHUNKED}",
        "Transfer-Encoding: chunked\r\n\r\n-5\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "X-Folded: a\r\n b\r\n\r\n",
        "X-Nul: a\0b\r\n\r\n",
    ],
)
def test_request_whose_end_two_readers_could_place_differently_is_refused(
    wire: Wire, framing: str
) -> None:
    before = wire.runs()
    answer = wire.ask(f"POST /api/v1/runs HTTP/1.1\r\n{wire.head}{framing}")
    # One refusal and the end of the connection: nothing behind it is read as another request.
    assert statuses(answer) == [400]
    assert wire.runs() == before


@pytest.mark.parametrize(
    "start",
    [
        "GET /livez HTTP/1.1\nHost: 127.0.0.1\n\n",
        "GET /livez HTTP/3.0\r\nHost: 127.0.0.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "BREW /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_request_of_another_protocol_is_refused(wire: Wire, start: str) -> None:
    assert statuses(wire.ask(start)) == [400]


@pytest.mark.parametrize(
    ("line", "host", "expected"),
    [
        ("GET /livez HTTP/1.1", "Host: evil.example\r\n", 421),
        ("GET /livez HTTP/1.1", "Host: 127.0.0.1.evil.example\r\n", 421),
        ("GET /livez HTTP/1.1", "Host: 127.0.0.1@evil.example\r\n", 421),
        ("GET /livez HTTP/1.1", "Host: 127.0.0.1\r\nHost: evil.example\r\n", 421),
        ("GET /livez HTTP/1.1", "", 421),
        ("GET /livez HTTP/1.0", "", 421),
        ("GET http://127.0.0.1/livez HTTP/1.1", "Host: evil.example\r\n", 421),
        ("GET /livez HTTP/1.1", "Host: localhost:8470\r\n", 200),
    ],
)
def test_request_for_another_host_is_refused(
    wire: Wire, line: str, host: str, expected: int
) -> None:
    assert statuses(wire.ask(f"{line}\r\n{host}Connection: close\r\n\r\n")) == [expected]


def test_requests_sent_at_once_are_answered_in_their_order(wire: Wire) -> None:
    many = "".join(
        f"GET /api/v1/runs/none-{n} HTTP/1.1\r\n{wire.head.replace('close', 'keep-alive')}\r\n"
        for n in range(20)
    )
    answer = wire.ask(f"{many}GET /livez HTTP/1.1\r\n{wire.head}\r\n")
    assert statuses(answer) == [404] * 20 + [200]
    assert re.findall(r'"run_id":"none-(\d+)"', answer) == [str(n) for n in range(20)]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("TRACE", "/livez", 405),
        ("TRACE", "/api/v1/runs", 405),
        ("OPTIONS", "/api/v1/runs", 405),
        ("PATCH", "/api/v1/runs", 405),
        ("OPTIONS", "*", 404),
        ("GET", "//evil.example/livez", 404),
        ("GET", "/api/v1/runs/../../../livez", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/api/v1/runs/%ff", 422),
        ("GET", "/api/v1/runs/%00", 422),
        ("GET", "/api/v1/runs?task=%00", 422),
        ("GET", "/api/v1/runs?after=%ff%fe", 422),
        ("GET", f"/api/v1/runs/{'a' * 30_000}", 422),
        ("GET", f"/api/v1/runs?{'&'.join(f'a{n}=1' for n in range(5_000))}", 422),
        ("GET", f"/api/v1/runs?{'state=failed&' * 2_000}", 422),
    ],
)
def test_request_for_what_is_not_there_is_refused_and_repeats_no_header(
    wire: Wire, method: str, path: str, expected: int
) -> None:
    answer = wire.ask(f"{method} {path} HTTP/1.1\r\n{wire.head}X-Secret: do-not-repeat\r\n\r\n")
    assert statuses(answer) == [expected]
    assert "do-not-repeat" not in answer
    assert "Bearer cb" not in answer
    # However much was wrong, the refusal is short.
    assert len(answer) < 8_000


def test_page_of_another_site_is_allowed_nothing(wire: Wire) -> None:
    asked = (
        "Host: 127.0.0.1\r\nConnection: close\r\nOrigin: http://evil.example\r\n"
        "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n"
    )
    for line in ("OPTIONS /api/v1/runs", "OPTIONS /livez", "GET /livez", "GET /api/v1/runs"):
        answer = wire.ask(f"{line} HTTP/1.1\r\n{asked}\r\n")
        assert len(statuses(answer)) == 1
        assert "access-control" not in answer.lower(), line


def test_request_with_two_authorizations_is_nobodys(wire: Wire) -> None:
    answer = wire.ask(
        f"GET /api/v1/runs HTTP/1.1\r\n{wire.head}Authorization: Bearer another\r\n\r\n"
    )
    assert statuses(answer) == [401]


def test_request_to_speak_another_protocol_is_answered_in_this_one(wire: Wire) -> None:
    for upgrade in ("h2c", "websocket"):
        answer = wire.ask(
            "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, close\r\n"
            f"Upgrade: {upgrade}\r\n\r\n"
        )
        assert statuses(answer) == [200], upgrade


def test_body_that_names_a_compression_is_refused_unread(wire: Wire) -> None:
    bomb = "x" * 1_000
    for name in ("gzip", "br", "deflate, gzip"):
        answer = wire.ask(
            f"POST /api/v1/runs HTTP/1.1\r\n{wire.head}Content-Encoding: {name}\r\n"
            f"Content-Length: {len(bomb)}\r\n\r\n{bomb}"
        )
        assert statuses(answer) == [415], name


def test_body_without_an_end_is_refused_at_the_limit(wire: Wire) -> None:
    limit = wire.app.settings.body_limit_bytes
    chunk = f"{65_536:x}\r\n{' ' * 65_536}\r\n"
    answer = wire.ask(
        f"POST /api/v1/runs HTTP/1.1\r\n{wire.head}Transfer-Encoding: chunked\r\n\r\n"
        + chunk * (limit // 65_536 + 2)
    )
    assert statuses(answer)[:1] == [413]
