"""Bearer tokens at the door: good, forged, expired, revoked, foreign, given; made and revoked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from closingbell.core.clock import to_micros
from closingbell.core.error import SettingError, StoreUnavailable
from closingbell.core.role import Role
from closingbell.core.token import make_token
from tests.unit.api.door_rig import GIVEN, START, Door

WHO = "/api/v1/session"


@pytest.fixture
def door(sqlite_address: str) -> Iterator[Door]:
    made = Door(sqlite_address)
    yield made
    made.app.stop()


def status(door: Door, token: str) -> int:
    with door.client(token) as client:
        return client.get(WHO).status_code


def test_token_says_who_it_is(door: Door) -> None:
    with door.client(door.token(Role.OPERATOR, "ann").text) as client:
        assert client.get(WHO).json() == {
            "name": "ann",
            "role": "operator",
            "is_person": True,
            "came_by": "bearer",
            "expires_at": None,
            "csrf_token": None,
            "timezone": "UTC",
        }
    with door.client(door.token(Role.VIEWER).text) as client:
        told = client.get(WHO).json()
    assert (told["name"], told["is_person"]) == ("a viewer", False)


def test_token_that_is_forged_is_refused(door: Door) -> None:
    token = door.token()
    forged = [
        token.text[:-1] + ("0" if token.text[-1] != "0" else "1"),
        token.text.upper(),
        token.hash,
        token.id,
        f"cb_{token.id}_{'0' * 64}",
        "x" * 5_000,
        "ü",
    ]
    for text in forged:
        with door.client() as client:
            answer = client.get(WHO, headers={b"Authorization": f"Bearer {text}".encode()})
        assert answer.status_code == 401, text
        assert answer.json()["code"] == "sign_in_refused"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert text not in answer.text
        door.clock.advance(timedelta(minutes=1))


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YWRtaW46YWRtaW4=", "token x"])
def test_authorization_that_is_no_bearer_token_is_refused(door: Door, header: str) -> None:
    with door.client(Authorization=header) as client:
        assert client.get(WHO).status_code == 401


def test_token_of_another_store_is_refused(door: Door, tmp_path: Path) -> None:
    other = Door(f"sqlite:///{tmp_path / 'other.db'}")
    try:
        assert status(other, other.token().text) == 200
        assert status(door, other.token().text) == 401
    finally:
        other.app.stop()


def test_token_is_refused_from_the_instant_it_expires(door: Door) -> None:
    token = door.token(expires_at=to_micros(START + timedelta(seconds=2)))
    assert status(door, token.text) == 200
    door.clock.advance(timedelta(seconds=1.999999))
    assert status(door, token.text) == 200
    # The door remembers it for five seconds, and does not let that count.
    door.clock.advance(timedelta(microseconds=1))
    assert status(door, token.text) == 401


def test_token_revoked_is_refused_at_once_in_the_same_process(door: Door) -> None:
    token, admin = door.token(Role.VIEWER), door.token()
    with door.client(token.text) as robot, door.client(admin.text) as client:
        assert robot.get(WHO).status_code == 200
        gone = client.delete(f"/api/v1/tokens/{token.id}", params={"reason": "a leak"})
        assert gone.status_code == 200
        assert gone.json()["usable"] is False
        assert robot.get(WHO).status_code == 401


def test_token_revoked_by_another_process_is_refused_after_the_cache_s_time(
    door: Door, sqlite_address: str
) -> None:
    from closingbell.store.store import open_store

    token = door.token(Role.VIEWER)
    assert status(door, token.text) == 200
    elsewhere = open_store(sqlite_address, door.clock)
    elsewhere.tokens.revoke(token.id, door.clock.micros())
    elsewhere.close()
    assert status(door, token.text) == 200
    door.clock.advance(timedelta(seconds=5))
    assert status(door, token.text) == 401


def test_token_verified_a_moment_ago_asks_the_store_no_more(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = door.token()
    assert status(door, token.text) == 200

    def gone(*_: object) -> None:
        raise StoreUnavailable("no database")

    monkeypatch.setattr(door.app.store.tokens, "find", gone)
    with door.client(token.text) as client:
        assert client.get("/openapi.json").status_code == 200
        door.clock.advance(timedelta(seconds=5))
        answer = client.get("/openapi.json")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")


def test_token_made_by_the_api_works_and_its_secret_is_shown_once(door: Door) -> None:
    with door.client(door.token(Role.ADMIN, "eve").text) as client:
        asked = {"name": "robot", "role": "operator", "owner": "ann", "expires_in_s": 60}
        made = client.post("/api/v1/tokens", json=asked)
        assert made.status_code == 201
        told = made.json()
        assert made.headers["location"] == f"/api/v1/tokens/{told['id']}"
        assert told["expires_at"] == "2026-03-02T14:31:00Z"
        assert (told["created_by"], told["owner"], told["usable"]) == ("eve", "ann", True)
        listed = client.get("/api/v1/tokens")
        one = client.get(made.headers["location"])
        assert told["token"] not in listed.text + one.text
        assert one.json()["id"] == told["id"]
    assert status(door, told["token"]) == 200


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"name": "x"},
        {"name": "x", "role": "root"},
        {"name": "", "role": "viewer"},
        {"name": "\u001b[2J", "role": "viewer"},
        {"name": "x", "role": "viewer", "expires_in_s": 0},
        {"name": "x", "role": "viewer", "expires_in_s": 1e300},
        {"name": "x", "role": "viewer", "owner": " "},
        {"name": "x", "role": "viewer", "secret": "mine"},
    ],
)
def test_token_that_makes_no_sense_is_refused(door: Door, asked: dict[str, object]) -> None:
    with door.client(door.token().text) as client:
        assert client.post("/api/v1/tokens", json=asked).status_code == 422
        assert len(client.get("/api/v1/tokens").json()["items"]) == 1


def test_tokens_are_listed_in_pages(door: Door) -> None:
    ids = [door.token().id for _ in range(5)]
    with door.client(door.token().text) as client:
        first = client.get("/api/v1/tokens", params={"limit": 4}).json()
        rest = client.get("/api/v1/tokens", params={"limit": 4, "after": first["next"]}).json()
        bad = client.get("/api/v1/tokens", params={"after": "bm8"})
    listed = [one["id"] for one in first["items"] + rest["items"]]
    assert set(ids) < set(listed)
    assert len(listed) == 6
    assert rest["next"] is None
    assert bad.status_code == 422


def test_token_that_is_not_there_is_404(door: Door) -> None:
    with door.client(door.token().text) as client:
        for answer in (client.get("/api/v1/tokens/no"), client.delete("/api/v1/tokens/no")):
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_token")


def test_token_use_is_noted(door: Door) -> None:
    token = door.token()
    status(door, token.text)
    assert door.app.store.tokens.get(token.id).last_used_at == to_micros(START)


def test_token_is_good_while_the_store_cannot_be_written(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = door.token()

    def full(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(door.app.store.tokens, "touch", full)
    assert status(door, token.text) == 200


# --- a token that is given ----------------------------------------------------------------------


def test_given_token_is_an_admins_and_is_not_stored(sqlite_address: str) -> None:
    door = Door(sqlite_address, token=GIVEN)
    try:
        with door.client(GIVEN) as client:
            told = client.get(WHO).json()
        assert (told["name"], told["role"], told["is_person"]) == ("admin", "admin", False)
        assert status(door, GIVEN + "x") == 401
        assert status(door, GIVEN[:-1]) == 401
        assert door.app.store.tokens.page(10) == []
    finally:
        door.app.stop()


def test_given_token_may_stand_in_a_file(sqlite_address: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{GIVEN}\n")
    door = Door(sqlite_address, token_file=str(tmp_path / "secret"))
    try:
        assert status(door, GIVEN) == 200
    finally:
        door.app.stop()


def test_given_token_that_is_stored_keeps_its_stored_role(sqlite_address: str) -> None:
    """An operator's token in the environment of `serve` does not become an admin's."""
    first = Door(sqlite_address)
    token = first.token(Role.OPERATOR)
    first.app.stop()
    door = Door(sqlite_address, token=token.text)
    try:
        with door.client(token.text) as client:
            assert client.get(WHO).json()["role"] == "operator"
        door.app.store.tokens.revoke(token.id, door.clock.micros())
        assert status(door, token.text) == 401
    finally:
        door.app.stop()


@pytest.mark.parametrize(
    "token", ["", "short", "x" * 31, "x" * 40 + " y", "x" * 40 + "\n", "ü" * 40]
)
def test_given_token_that_could_be_guessed_or_not_be_sent_is_refused(
    sqlite_address: str, token: str
) -> None:
    with pytest.raises(SettingError, match="32 random characters") as refused:
        Door(sqlite_address, token=token)
    assert token == "" or token not in str(refused.value)


@pytest.mark.parametrize("content", ["", "short\n", None])
def test_given_token_file_without_a_token_is_refused(
    sqlite_address: str, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingError, match="token_file"):
        Door(sqlite_address, token_file=str(path))


def test_settings_shown_by_repr_keep_their_secrets(sqlite_address: str) -> None:
    door = Door(sqlite_address, token=GIVEN, oidc_client_secret="a client's secret")
    assert GIVEN not in repr(door.app.settings)
    assert "a client's secret" not in repr(door.app.settings)


def test_new_tokens_are_all_different() -> None:
    assert make_token(lambda n: b"\0" * n).text == f"cb_{'0' * 16}_{'0' * 64}"


def test_given_token_that_is_replaced_ends_its_sessions(sqlite_address: str) -> None:
    first = Door(sqlite_address, token=GIVEN)
    with first.client() as client:
        assert client.post(WHO, json={"token": GIVEN}).status_code == 201
        assert client.get(WHO).status_code == 200
        cookie = {"Cookie": f"closingbell_session={client.cookies['closingbell_session']}"}
    first.app.stop()
    for token, status_after in ((GIVEN, 200), ("another-" + "h" * 40, 401), (None, 401)):
        door = Door(sqlite_address, **({} if token is None else {"token": token}))
        with door.client() as client:
            assert client.get(WHO, headers=cookie).status_code == status_after
        door.app.stop()


def test_token_made_with_an_idempotency_key_leaves_no_secret_behind(door: Door) -> None:
    asked = {"name": "robot", "role": "viewer"}
    with door.client(door.token().text) as client:
        key = {"Idempotency-Key": "once"}
        made = client.post("/api/v1/tokens", json=asked, headers=key)
        again = client.post("/api/v1/tokens", json=asked, headers=key)
    secret = made.json()["token"]
    assert (made.status_code, again.status_code) == (201, 409)
    assert secret not in again.text
    with door.app.store.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM idempotency_keys").all()
    assert len(rows) == 1
    assert secret not in str(rows)
