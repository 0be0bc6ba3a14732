"""Sessions of browsers: strict cookies, CSRF, idle and absolute ends, sign-out, and the list."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from http.cookies import SimpleCookie

import pytest

from closingbell.core.role import Role
from tests.unit.api.door_rig import Door

WHO = "/api/v1/session"


@pytest.fixture
def door(sqlite_address: str) -> Iterator[Door]:
    made = Door(sqlite_address, session_idle_s=3_600, session_s=86_400)
    yield made
    made.app.stop()


def test_session_begins_with_a_token_and_says_who_it_is(door: Door) -> None:
    with door.client() as client:
        csrf = door.signed_in(client, Role.OPERATOR, "ann")
        told = client.get(WHO).json()
    assert told == {
        "name": "ann",
        "role": "operator",
        "is_person": True,
        "came_by": "token",
        "expires_at": "2026-03-03T14:30:00Z",
        "csrf_token": csrf,
        "timezone": "UTC",
    }


def test_session_begun_over_a_planted_cookie_is_a_new_one(door: Door) -> None:
    planted = "a" * 64
    with door.client() as client, door.client() as attacker:
        client.cookies.set("closingbell_session", planted)
        attacker.cookies.set("closingbell_session", planted)
        answer = client.post(WHO, json={"token": door.token().text})
        cookie = SimpleCookie(answer.headers["set-cookie"])["closingbell_session"]
        assert cookie.value != planted
        assert attacker.get(WHO).status_code == 401
        # Signing in again makes another: who saw the first one gains nothing by it.
        again = client.post(WHO, json={"token": door.token().text})
        assert again.headers["set-cookie"] != answer.headers["set-cookie"]


def test_session_cookie_is_strict_and_for_no_script(door: Door) -> None:
    with door.client() as client:
        token = door.token().text
        answer = client.post(WHO, json={"token": token})
    name, cookie = next(iter(SimpleCookie(answer.headers["set-cookie"]).items()))
    assert name == "closingbell_session"
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
    assert (cookie["secure"], cookie["domain"], cookie["max-age"]) == ("", "", "86400")
    assert cookie.value not in answer.text
    assert len(cookie.value) == 64


def test_session_cookie_over_https_is_for_this_host_alone(sqlite_address: str) -> None:
    door = Door(sqlite_address, public_url="https://desk.example")
    try:
        with door.client() as client:
            answer = client.post(WHO, json={"token": door.token().text})
            name, cookie = next(iter(SimpleCookie(answer.headers["set-cookie"]).items()))
            assert (name, cookie["secure"]) == ("__Host-closingbell_session", True)
            assert "max-age=31536000" in answer.headers["strict-transport-security"]
            # A cookie without the prefix may come from a neighbour.
            client.cookies.clear()
            plain = {"Cookie": f"closingbell_session={cookie.value}"}
            assert client.get(WHO, headers=plain).status_code == 401
            own = {"Cookie": f"{name}={cookie.value}"}
            assert client.get(WHO, headers=own).status_code == 200
    finally:
        door.app.stop()


def test_session_that_is_not_seen_ends(door: Door) -> None:
    with door.client() as client:
        door.signed_in(client)
        for _ in range(3):
            door.clock.advance(timedelta(minutes=59))
            assert client.get(WHO).status_code == 200
        door.clock.advance(timedelta(minutes=60))
        assert client.get(WHO).status_code == 401


def test_session_ends_however_busy_it_is(door: Door) -> None:
    with door.client() as client:
        door.signed_in(client)
        for _ in range(47):
            door.clock.advance(timedelta(minutes=30))
            assert client.get(WHO).status_code == 200
        door.clock.advance(timedelta(minutes=30))
        assert client.get(WHO).status_code == 401


def test_session_ends_when_its_token_does(door: Door) -> None:
    until = door.clock.micros() + 600_000_000
    token = door.token(Role.VIEWER, expires_at=until)
    revoked = door.token(Role.VIEWER)
    with door.client() as first, door.client() as second:
        assert first.post(WHO, json={"token": token.text}).status_code == 201
        assert second.post(WHO, json={"token": revoked.text}).status_code == 201
        assert first.get(WHO).json()["expires_at"] == "2026-03-02T14:40:00Z"
        assert second.get(WHO).status_code == 200
        door.app.store.tokens.revoke(revoked.id, door.clock.micros())
        assert second.get(WHO).status_code == 401
        door.clock.advance(timedelta(minutes=10))
        assert first.get(WHO).status_code == 401


def test_session_signed_out_is_over_everywhere_at_once(door: Door) -> None:
    with door.client() as client:
        csrf = door.signed_in(client)
        kept = {"Cookie": f"closingbell_session={client.cookies['closingbell_session']}"}
        answer = client.delete(WHO, headers={"X-CSRF-Token": csrf})
        assert answer.status_code == 204
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert client.get(WHO).status_code == 401
        assert client.get(WHO, headers=kept).status_code == 401


def test_sessions_are_listed_and_ended_by_an_admin(door: Door) -> None:
    with door.client() as ann, door.client() as eve:
        door.signed_in(ann, Role.VIEWER, "ann")
        csrf = door.signed_in(eve, Role.ADMIN, "eve")
        assert ann.get("/api/v1/sessions").status_code == 403
        listed = eve.get("/api/v1/sessions").json()["items"]
        assert {(one["person"], one["current"]) for one in listed} == {
            ("ann", False),
            ("eve", True),
        }
        of_ann = next(one["id"] for one in listed if one["person"] == "ann")
        assert ann.cookies["closingbell_session"] not in str(listed)
        gone = eve.delete(f"/api/v1/sessions/{of_ann}", headers={"X-CSRF-Token": csrf})
        assert gone.status_code == 204
        assert ann.get(WHO).status_code == 401
        missing = eve.delete("/api/v1/sessions/no", headers={"X-CSRF-Token": csrf})
        assert (missing.status_code, missing.json()["code"]) == (404, "unknown_session")


def test_session_is_in_the_audit_ledger_without_its_secret(door: Door) -> None:
    with door.client() as client:
        csrf = door.signed_in(client, owner="ann")
        client.delete(WHO, headers={"X-CSRF-Token": csrf})
        secret = client.cookies.get("closingbell_session") or csrf
    records = door.app.store.audit.records()
    acts = [(record.action, record.actor, record.actor_kind) for record in records][:2]
    assert acts == [("session.ended", "ann", "person"), ("session.begun", "ann", "person")]
    assert secret not in str(records)


# --- requests that other sites make a browser send ------------------------------------------------


def unsafe(door: Door, **headers: str) -> int:
    """Send what changes something by cookie; the CSRF token is right unless it is given."""
    with door.client() as client:
        csrf = door.signed_in(client)
        sent = {"X-CSRF-Token": csrf, **{n.replace("_", "-"): v for n, v in headers.items()}}
        asked = {"name": "x", "role": "viewer"}
        return client.post("/api/v1/tokens", json=asked, headers=sent).status_code


def test_request_by_cookie_needs_the_sessions_csrf_token(door: Door) -> None:
    assert unsafe(door) == 201
    assert unsafe(door, **{"X-CSRF-Token": ""}) == 403
    assert unsafe(door, **{"X-CSRF-Token": "0" * 64}) == 403
    with door.client() as other, door.client() as client:
        theirs = door.signed_in(other)
        door.signed_in(client)
        answer = client.delete(WHO, headers={"X-CSRF-Token": theirs})
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
        assert client.delete(WHO).status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1", 201),
        ("http://127.0.0.1:80", 201),
        ("http://127.0.0.1:8470", 403),
        ("https://127.0.0.1", 403),
        ("http://evil.example", 403),
        ("http://127.0.0.1.evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
    ],
)
def test_request_by_cookie_comes_from_an_own_page(door: Door, origin: str, status: int) -> None:
    assert unsafe(door, Origin=origin) == status


@pytest.mark.parametrize(
    ("site", "status"),
    [("same-origin", 201), ("none", 201), ("same-site", 403), ("cross-site", 403)],
)
def test_request_by_cookie_that_the_browser_calls_foreign_is_refused(
    door: Door, site: str, status: int
) -> None:
    assert unsafe(door, Sec_Fetch_Site=site) == status


def test_request_from_the_public_address_is_an_own_one(sqlite_address: str) -> None:
    door = Door(sqlite_address, public_url="http://desk.example:8080/")
    try:
        assert unsafe(door, Origin="http://desk.example:8080") == 201
        assert unsafe(door, Origin="http://desk.example") == 403
    finally:
        door.app.stop()


def test_request_with_a_bearer_token_needs_no_csrf_token_and_leads_over_a_cookie(
    door: Door,
) -> None:
    with door.client() as client:
        door.signed_in(client, Role.ADMIN, "ann")
        robot = {"Authorization": f"Bearer {door.token(Role.VIEWER).text}"}
        assert client.get(WHO, headers=robot).json()["name"] == "a viewer"
        # What the cookie may do does not help a token that may not.
        refused = client.post("/api/v1/tokens", json={"name": "x", "role": "viewer"}, headers=robot)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        admin = {"Authorization": f"Bearer {door.token().text}", "Origin": "http://evil.example"}
        made = client.post("/api/v1/tokens", json={"name": "x", "role": "viewer"}, headers=admin)
        assert made.status_code == 201
        # And a bad token is not mended by a good cookie.
        assert client.get(WHO, headers={"Authorization": "Bearer no"}).status_code == 401


def test_sign_in_that_another_site_sends_is_refused(door: Door) -> None:
    token = door.token().text
    with door.client(Origin="http://evil.example") as client:
        assert client.post(WHO, json={"token": token}).status_code == 403
        form = client.post("/sign-in", data={"token": token})
        assert form.status_code == 403
        assert "set-cookie" not in form.headers


@pytest.mark.parametrize("cookie", ["x", "0" * 64, "a" * 3_000, "a;b", "é"])
def test_cookie_that_is_forged_is_nobodys(door: Door, cookie: str) -> None:
    with door.client() as client:
        sent = {b"Cookie": f"closingbell_session={cookie}".encode()}
        assert client.get(WHO, headers=sent).status_code == 401
