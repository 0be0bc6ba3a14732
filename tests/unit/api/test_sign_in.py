"""The pages of the door: the form, one-time addresses, where one goes on to, and signing out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from closingbell.api.route.sign_in import own_path
from closingbell.api.security.entrance import sign_in_address
from closingbell.core.role import Role
from tests.api_client import ADDRESS
from tests.unit.api.door_rig import Door

COOKIE = "closingbell_session"


@pytest.fixture
def door(sqlite_address: str) -> Iterator[Door]:
    made = Door(sqlite_address)
    yield made
    made.app.stop()


def address(door: Door, role: Role = Role.ADMIN) -> str:
    return sign_in_address(door.app, ADDRESS, "ann@desk-1", role)


def csrf_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf_token" value="(\w+)"', page.text)
    assert found is not None
    return found[1]


def test_front_page_leads_who_is_not_signed_in_to_the_form(door: Door) -> None:
    with door.client() as client:
        answer = client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        form = client.get("/sign-in")
    assert form.status_code == 200
    assert '<form method="post" action="/sign-in">' in form.text
    assert "<script" not in form.text
    assert "style=" not in form.text


def test_form_with_a_token_signs_in_and_goes_on(door: Door) -> None:
    with door.client() as client:
        fields = {"token": f" {door.token(Role.VIEWER, 'ann').text} ", "next": "/openapi.json?a=b"}
        answer = client.post("/sign-in", data=fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/openapi.json?a=b")
        assert client.get("/openapi.json").status_code == 200
        front = client.get("/")
        assert "ann" in front.text
        assert "viewer" in front.text
        # Who is signed in already needs no form.
        again = client.get("/sign-in", params={"next": "/openapi.json"})
        assert (again.status_code, again.headers["location"]) == (303, "/openapi.json")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"token=", b"token=no&next=/x", b"token=%00", b"token=%ff", b"\xff\xfe", b"next=/x",
        b"&".join(b"a%d=b" % number for number in range(50)), b"token=" + b"x" * 20_000,
    ],
)  # fmt: skip
def test_form_without_a_good_token_says_so(door: Door, body: bytes) -> None:
    with door.client() as client:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = client.post("/sign-in", content=body, headers=kind)
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert COOKIE not in answer.cookies


def test_form_of_another_kind_is_no_form(door: Door) -> None:
    token = door.token().text
    with door.client() as client:
        assert client.post("/sign-in", json={"token": token}).status_code == 401
        plain = {"Content-Type": "text/plain"}
        assert client.post("/sign-in", content=f"token={token}", headers=plain).status_code == 401


def test_address_signs_in_once(door: Door) -> None:
    url = address(door, Role.OPERATOR)
    with door.client() as first, door.client() as second:
        page = first.get(url)
        assert page.status_code == 200
        # A redirect would come from the site of the link: the strict cookie would not be sent.
        assert '<meta http-equiv="refresh" content="0; url=/">' in page.text
        assert page.headers["referrer-policy"] == "no-referrer"
        told = first.get("/api/v1/session").json()
        used = second.get(url)
        assert (used.status_code, COOKIE in used.cookies) == (401, False)
        assert "used already" in used.text
    assert (told["name"], told["role"], told["came_by"]) == ("ann@desk-1", "operator", "code")
    # Whoever opened it: nobody was named.
    assert told["is_person"] is False


def test_address_is_too_old_after_a_quarter_of_an_hour(door: Door) -> None:
    url = address(door)
    door.clock.advance(timedelta(minutes=15))
    with door.client() as client:
        assert client.get(url).status_code == 401


def test_address_is_not_used_up_by_a_look_at_its_head(door: Door) -> None:
    url = address(door)
    with door.client() as client:
        assert client.head(url).status_code == 405
        assert client.get(url).status_code == 200


def test_address_in_the_audit_ledger_and_the_store_has_no_code(door: Door) -> None:
    code = address(door).rpartition("=")[2]
    record = door.app.store.audit.records(limit=1)[0]
    assert record.action == "sign_in_address.made"
    assert code not in str(record)
    with door.app.store.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM sign_in_codes").all()
    assert code not in str(rows)


@pytest.mark.parametrize(
    ("following", "goes_to"),
    [
        ("/runs/1?x=y#z", "/runs/1?x=y#z"),
        (None, "/"),
        ("", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("\\\\evil.example", "/"),
        ("/a\nb", "/"),
        ("/a\x00", "/"),
        ("/ä", "/"),
        (" /x", "/"),
    ],
)
def test_following_path_is_an_own_one(door: Door, following: str | None, goes_to: str) -> None:
    assert own_path(following) == goes_to
    if following is not None and "\x00" not in following:
        with door.client() as client:
            fields = {"token": door.token().text, "next": following}
            assert client.post("/sign-in", data=fields).headers["location"] == goes_to


def test_text_from_the_address_is_shown_as_text(door: Door) -> None:
    with door.client() as client:
        page = client.get("/sign-in", params={"next": '/"><script>alert(1)</script>'})
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


def test_sign_out_ends_the_session_with_the_pages_own_token(door: Door) -> None:
    with door.client() as client:
        client.post("/sign-in", data={"token": door.token().text})
        front = client.get("/")
        foreign = client.post("/sign-out", data={"csrf_token": "0" * 64})
        assert foreign.status_code == 403
        assert client.post("/sign-out").status_code == 403
        assert client.get("/api/v1/session").status_code == 200
        cookie = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
        out = client.post("/sign-out", data={"csrf_token": csrf_of(front)})
        assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
        assert COOKIE not in client.cookies
        assert client.get("/api/v1/session", headers=cookie).status_code == 401
        # And once more: nothing is left to end.
        assert client.post("/sign-out", headers=cookie).status_code == 303


def test_style_and_picture_are_files_of_their_own(door: Door) -> None:
    with door.client() as client:
        style, picture = client.get("/sign-in.css"), client.get("/sign-in.svg")
    assert style.headers["content-type"].startswith("text/css")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert style.headers["cache-control"] == "max-age=86400"


def test_provider_that_is_not_set_is_not_offered(door: Door) -> None:
    with door.client() as client:
        assert "/oidc/start" not in client.get("/sign-in").text
        for path in ("/oidc/start", "/oidc/callback?state=x&code=y"):
            assert client.get(path).status_code == 401
