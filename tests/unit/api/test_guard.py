"""The guards around the routes: host, size, headers, trusted proxies, and failed sign-ins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import Message

from closingbell.api.security.access_log import keep_queries_out
from closingbell.api.security.sign_in_limit import SignInLimit
from closingbell.core.clock import SimulatedClock
from closingbell.core.error import TooManyRequests
from tests.unit.api.door_rig import START, Door

WHO = "/api/v1/session"


@pytest.fixture
def door(sqlite_address: str) -> Iterator[Door]:
    made = Door(sqlite_address, allowed_hosts="Desk, desk.internal", body_limit_bytes=2_000)
    yield made
    made.app.stop()


def asked(
    door: Door,
    *,
    path: str = "/openapi.json",
    method: str = "GET",
    headers: tuple[tuple[str, str], ...] = (),
    chunks: tuple[bytes, ...] = (b"",),
    server: tuple[str, int] = ("10.0.0.5", 8470),
    client: tuple[str, int] = ("192.0.2.7", 1),
) -> tuple[int, dict[str, str], bytes]:
    """Send one request as a server hands it over, bit by bit."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "server": server,
        "client": client,
    }
    waiting = list(chunks)
    said: list[Message] = []

    async def receive() -> Message:
        if not waiting:
            return {"type": "http.disconnect"}
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        said.append(message)

    asyncio.run(door.api(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in said[0]["headers"]}
    return said[0]["status"], found, b"".join(one.get("body", b"") for one in said[1:])


# --- hosts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:8470", "localhost:1234", "LOCALHOST", "[::1]:8470", "desk",
        "desk.internal:443", "10.0.0.5", "10.0.0.5:8470",
    ],
)  # fmt: skip
def test_host_of_this_service_is_answered(door: Door, host: str) -> None:
    assert asked(door, headers=(("host", host),))[0] == 401


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "127.0.0.1.evil.example", "10.0.0.6", "desk.evil.example", "xdesk", "",
        "desk@evil.example", "evil.example@desk", "desk:evil", "desk/..", "desk:99999", "[::1",
        "desk, evil.example", "2130706433", "desk?", "desk#", "desk\\",
    ],
)  # fmt: skip
def test_host_that_is_not_this_service_is_refused(door: Door, host: str) -> None:
    status, headers, body = asked(door, headers=(("host", host),))
    assert status == 421
    assert headers["content-type"] == "application/problem+json"
    assert b'"unknown_host"' in body


def test_host_given_twice_or_not_at_all_is_refused(door: Door) -> None:
    assert asked(door)[0] == 421
    assert asked(door, headers=(("host", "desk"), ("host", "desk")))[0] == 421


def test_host_is_checked_on_public_paths_too(door: Door) -> None:
    for path in ("/livez", "/sign-in", "/"):
        assert asked(door, path=path, headers=(("host", "evil.example"),))[0] == 421


def test_host_of_the_public_address_is_answered(sqlite_address: str) -> None:
    door = Door(sqlite_address, public_url="https://desk.example")
    try:
        assert asked(door, headers=(("host", "desk.example"),))[0] == 401
    finally:
        door.app.stop()


# --- bodies ----------------------------------------------------------------------------------


def posted(
    door: Door, *, path: str = WHO, length: str | None = None, chunks: tuple[bytes, ...]
) -> tuple[int, bytes]:
    headers = [("host", "desk"), ("content-type", "application/json")]
    if length is not None:
        headers.append(("content-length", length))
    status, _, body = asked(door, path=path, method="POST", headers=tuple(headers), chunks=chunks)
    return status, body


def test_body_that_says_it_is_too_large_is_refused_unread(door: Door) -> None:
    status, body = posted(door, length="2001", chunks=())
    assert (status, b'"body_too_large"' in body) == (413, True)


@pytest.mark.parametrize("path", [WHO, "/sign-in", "/sign-out"])
def test_body_that_turns_out_too_large_is_refused(door: Door, path: str) -> None:
    status, body = posted(door, path=path, chunks=(b"x" * 1_500, b"x" * 1_500))
    assert (status, b'"body_too_large"' in body) == (413, True)


def test_body_that_is_larger_than_it_says_is_refused(door: Door) -> None:
    assert posted(door, length="10", chunks=(b"x" * 2_001,))[0] == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "ten", "99999999999999999999999999"])
def test_body_whose_length_is_no_number_is_refused(door: Door, length: str) -> None:
    assert posted(door, length=length, chunks=(b"{}",))[0] == 413


def test_body_at_the_limit_is_read(door: Door) -> None:
    body = b'{"token": "' + b"x" * (2_000 - 13) + b'"}'
    status, said = posted(door, length="2000", chunks=(body[:900], body[900:]))
    assert (status, b"at most 1000 characters" in said) == (422, True)


# --- headers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [("/openapi.json", 401), ("/sign-in", 200), ("/", 303), ("/oidc/start", 401), ("/livez", 200)],
)
def test_every_answer_has_the_security_headers(door: Door, path: str, status: int) -> None:
    found, headers, _ = asked(door, path=path, headers=(("host", "desk"),))
    assert found == status
    assert headers["x-content-type-options"] == "nosniff"
    is_page = headers.get("content-type", "").startswith("text/html")
    assert headers["referrer-policy"] == ("same-origin" if is_page else "no-referrer")
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    # http alone: a browser would never speak http with this name again.
    assert "strict-transport-security" not in headers


def test_policy_of_pages_takes_own_files_and_that_of_the_api_nothing(door: Door) -> None:
    _, page, _ = asked(door, path="/sign-in", headers=(("host", "desk"),))
    _, api, _ = asked(door, headers=(("host", "desk"),))
    assert page["content-security-policy"].startswith("default-src 'self'; object-src 'none'")
    assert api["content-security-policy"].startswith("default-src 'none'")


def test_answer_to_what_went_wrong_has_the_security_headers(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = door.token()

    def broken(*_: object) -> None:
        raise RuntimeError("the inside of it")

    monkeypatch.setattr(door.app.store.tokens, "find", broken)
    with caplog.at_level(logging.ERROR):
        status, headers, body = asked(
            door, headers=(("host", "desk"), ("authorization", f"Bearer {token.text}"))
        )
    assert (status, headers["x-content-type-options"]) == (500, "nosniff")
    assert b"the inside" not in body
    assert token.secret not in caplog.text


# --- proxies ---------------------------------------------------------------------------------


def secure_and_counted_as(door: Door, proxy: str) -> tuple[bool, str]:
    """What a request by way of a proxy is taken for."""
    with pytest.MonkeyPatch.context() as patch:
        counted: list[str] = []
        patch.setattr(door.api.state.doorkeeper.limit, "failed", counted.append)
        _, headers, _ = asked(
            door,
            headers=(
                ("host", "desk"),
                ("authorization", "Bearer no"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-for", "203.0.113.9"),
            ),
            client=(proxy, 1),
        )
    return "strict-transport-security" in headers, counted[0]


def test_proxy_is_not_believed_unless_it_is_trusted(door: Door) -> None:
    assert secure_and_counted_as(door, "127.0.0.1") == (False, "127.0.0.1")


def test_proxy_that_is_trusted_is_believed(sqlite_address: str) -> None:
    door = Door(sqlite_address, allowed_hosts="desk", trusted_proxies="127.0.0.1, 10.1.0.0/16")
    try:
        assert secure_and_counted_as(door, "10.1.2.3") == (True, "203.0.113.9")
        assert secure_and_counted_as(door, "10.2.0.1") == (False, "10.2.0.1")
    finally:
        door.app.stop()


# --- failed sign-ins ------------------------------------------------------------------------------


def test_sign_ins_that_fail_too_often_are_told_to_wait(door: Door) -> None:
    with door.client() as client:
        for _ in range(10):
            assert client.post(WHO, json={"token": "no"}).status_code == 401
        # Now the right one has to wait too: nobody is told which it was.
        token = door.token().text
        refused = client.post(WHO, json={"token": token})
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
        assert refused.headers["retry-after"] == "60"
        assert client.post("/sign-in", data={"token": token}).status_code == 429
        assert client.get("/sign-in", params={"code": "no"}).status_code == 429
        door.clock.advance(timedelta(seconds=60))
        assert client.post(WHO, json={"token": token}).status_code == 201


def test_token_that_is_valid_is_never_told_to_wait(door: Door) -> None:
    token = door.token()
    with door.client() as client:
        answers = [
            client.get(WHO, headers={"Authorization": "Bearer no"}).status_code for _ in range(12)
        ]
        assert answers == [401] * 10 + [429] * 2
        own = {"Authorization": f"Bearer {token.text}"}
        assert client.get(WHO, headers=own).status_code == 200


def test_sign_ins_that_failed_are_in_the_log_without_what_was_shown(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), door.client() as client:
        client.post(WHO, json={"token": "a-wrong-secret"})
        client.get(WHO, headers={"Authorization": "Bearer a-wrong-secret"})
        client.get("/sign-in", params={"code": "a-wrong-secret"})
    assert caplog.text.count("a sign-in from 127.0.0.1 was refused") == 3
    assert "a-wrong-secret" not in caplog.text


class Tries:
    """Failed sign-ins on a clock that stands still."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(START)
        self.limit = SignInLimit(self.clock, 2)

    def refused(self, address: str) -> bool:
        try:
            self.limit.require(address)
        except TooManyRequests:
            return True
        return False


def test_limit_counts_each_address_and_lets_go_after_a_minute() -> None:
    tries = Tries()
    for _ in range(2):
        tries.limit.failed("192.0.2.1")
    assert tries.refused("192.0.2.1")
    assert tries.refused("::ffff:192.0.2.1")
    assert not tries.refused("192.0.2.2")
    tries.clock.advance(timedelta(seconds=60))
    assert not tries.refused("192.0.2.1")


def test_limit_takes_a_network_of_ipv6_for_one_client() -> None:
    tries = Tries()
    tries.limit.failed("2001:db8::1")
    tries.limit.failed("2001:db8::ffff:2")
    assert tries.refused("2001:db8::3")
    assert not tries.refused("2001:db8:0:1::1")


def test_limit_counts_all_addresses_together() -> None:
    tries = Tries()
    for number in range(20):
        tries.limit.failed(f"192.0.2.{number}")
    assert tries.refused("198.51.100.1")


def test_limit_remembers_a_bounded_number_of_addresses() -> None:
    tries = Tries()
    for number in range(10_100):
        tries.limit.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(tries.limit._recent) == 10_000


# --- what the web server notes ---------------------------------------------------------------------


def test_access_log_has_no_queries(caplog: pytest.LogCaptureFixture) -> None:
    keep_queries_out()
    keep_queries_out()
    log = logging.getLogger("uvicorn.access")
    form = '%s - "%s %s HTTP/%s" %d'
    with caplog.at_level(logging.INFO, "uvicorn.access"):
        log.info(form, "127.0.0.1:1", "GET", "/sign-in?code=secret&next=/", "1.1", 200)
    assert '"GET /sign-in HTTP/1.1" 200' in caplog.text
    assert "secret" not in caplog.text
    assert len(log.filters) == 1


def test_guards_are_passed_in_their_order(door: Door) -> None:
    order: list[Callable[..., Any]] = [one.cls for one in door.api.user_middleware]
    names = [getattr(one, "__name__", "") for one in order]
    wanted = ["SecurityHeaders", "LastResort", "HostCheck", "BodyLimit", "Authentication"]
    assert [name for name in names if name in {*wanted, "StrictJson"}] == [*wanted, "StrictJson"]
