"""`token` and `sign-in`: what they show once, what they list, and whom they let in."""

from __future__ import annotations

from pathlib import Path

import pytest

from closingbell import create_app
from closingbell.core.token import read_token
from tests.api_client import nobody
from tests.unit.cli.conftest import Command


@pytest.fixture
def stored(desk: Path, command: Command) -> Path:
    """The desk's folder with a database."""
    assert command("submit", "desk", "idle").code == 0
    return desk


def test_token_is_shown_once_and_opens_the_door(stored: Path, command: Command) -> None:
    made = command("token", "create", "robot", "--role", "operator", "--app", "desk")
    assert made.code == 0
    text = made.out.strip()
    token = read_token(text)
    assert token is not None
    assert text not in made.err
    assert "it is not shown again" in made.err
    listed = command("token", "list", "--app", "desk")
    assert token.id in listed.out
    assert token.secret not in listed.out + listed.err
    app = create_app(stored / "desk.db", guardian=False)
    with nobody(app) as client:
        told = client.get("/api/v1/session", headers={"Authorization": f"Bearer {text}"}).json()
    app.stop()
    assert (told["name"], told["role"], told["is_person"]) == ("robot", "operator", False)


def test_token_of_a_person_expires_and_is_revoked(stored: Path, command: Command) -> None:
    words = ("token", "create", "laptop", "--owner", "ann", "--expires", "90d", "--app", "desk")
    made = command(*words, "--json").json
    assert (made["role"], made["owner"], made["usable"]) == ("viewer", "ann", True)
    gone = command(
        "token", "revoke", made["id"], "--reason", "lost", "--app", "desk", "--json"
    ).json
    assert (gone["id"], gone["usable"]) == (made["id"], False)
    again = command("token", "revoke", made["id"], "--app", "desk", "--json").json
    assert again == gone, "it stays revoked as it was"
    listed = command("token", "list", "--app", "desk", "--json").json["tokens"]
    assert [one["revoked_at"] for one in listed] == [gone["revoked_at"]]
    records = command("audit", "list", "--action", "token.", "--app", "desk", "--json").json
    revoked, created = records["records"]
    assert (revoked["action"], revoked["reason"]) == ("token.revoked", "lost")
    assert created["actor_kind"] == "command line"
    assert read_token(made["token"]) is not None
    assert made["token"] not in str(records)


def test_token_that_is_not_there_is_not_found(stored: Path, command: Command) -> None:
    answer = command("token", "revoke", "nope", "--app", "desk")
    assert answer.code == 3
    assert "error[unknown_token]" in answer.err


@pytest.mark.parametrize(
    "words",
    [
        ("--role", "root"),
        ("--expires", "soon"),
        ("--expires", "0s"),
        ("--expires", "9999999d"),
        ("--owner", ""),
    ],
)
def test_token_that_makes_no_sense_is_refused(
    stored: Path, command: Command, words: tuple[str, ...]
) -> None:
    assert command("token", "create", "x", *words, "--app", "desk").code == 2
    assert command("token", "list", "--app", "desk", "--json").json == {"tokens": []}


def test_sign_in_makes_an_address_that_works_once(stored: Path, command: Command) -> None:
    words = ("sign-in", "--role", "viewer", "--as", "ann", "--url", "http://127.0.0.1")
    made = command(*words, "--app", "desk")
    assert made.code == 0
    app = create_app(stored / "desk.db", guardian=False)
    with nobody(app) as client:
        assert client.get(made.out.strip()).status_code == 200
        told = client.get("/api/v1/session").json()
        client.cookies.clear()
        assert client.get(made.out.strip()).status_code == 401
    app.stop()
    assert (told["name"], told["role"], told["came_by"]) == ("ann", "viewer", "code")


def test_sign_in_leads_to_the_public_address_or_to_this_machine(
    stored: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = command("sign-in", "--database", "desk.db", "--json").json
    assert made["url"].startswith("http://127.0.0.1:8470/sign-in?code=")
    assert (made["role"], made["expires_in_s"]) == ("admin", 900)
    monkeypatch.setenv("CLOSINGBELL_PUBLIC_URL", "https://desk.example")
    made = command("sign-in", "--database", "desk.db", "--json").json
    assert made["url"].startswith("https://desk.example/sign-in?code=")
