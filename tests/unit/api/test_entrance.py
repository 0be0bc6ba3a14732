"""The first start: an admin token in a file, and an address that signs in."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from closingbell import create_app
from closingbell.api.security.entrance import entrance
from closingbell.app import App
from closingbell.core.error import SettingError
from closingbell.core.role import Role
from closingbell.core.token import read_token
from tests.api_client import ADDRESS
from tests.unit.api.door_rig import GIVEN, Door


@pytest.fixture
def door(sqlite_address: str) -> Iterator[Door]:
    made = Door(sqlite_address)
    yield made
    made.app.stop()


def test_first_start_makes_a_token_that_only_this_user_can_read(door: Door, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = entrance(door.app, ADDRESS, terminal=False)
    finally:
        os.umask(before)
    assert made.token_file == tmp_path / "closingbell.db.token"
    assert stat.S_IMODE(made.token_file.stat().st_mode) == 0o600
    text = made.token_file.read_text().strip()
    assert read_token(text) is not None
    with door.client(text) as client:
        told = client.get("/api/v1/session").json()
    assert (told["role"], told["is_person"]) == ("admin", False)
    assert list(tmp_path.glob(".*")) == []


def test_first_start_gives_an_address_that_signs_in_as_admin(door: Door) -> None:
    made = entrance(door.app, ADDRESS, terminal=False)
    assert made.sign_in_url is not None
    assert made.sign_in_url.startswith(f"{ADDRESS}/sign-in?code=")
    with door.client() as client:
        assert client.get(made.sign_in_url).status_code == 200
        assert client.get("/api/v1/session").json()["role"] == "admin"


def test_later_start_makes_no_token_and_tells_an_address_to_a_terminal_only(door: Door) -> None:
    first = entrance(door.app, ADDRESS, terminal=False)
    assert first.token_file is not None
    content = first.token_file.read_text()
    assert entrance(door.app, ADDRESS, terminal=False) == (None, None)
    later = entrance(door.app, ADDRESS, terminal=True)
    assert later.token_file is None
    assert later.sign_in_url is not None
    assert first.token_file.read_text() == content
    assert len(door.app.store.tokens.page(10)) == 1


def test_start_without_a_usable_admin_makes_a_token_again(door: Door) -> None:
    first = entrance(door.app, ADDRESS, terminal=False)
    assert first.token_file is not None
    old = first.token_file.read_text()
    door.token(Role.OPERATOR)
    token = read_token(old.strip())
    assert token is not None
    door.app.store.tokens.revoke(token.id, door.clock.micros())
    again = entrance(door.app, ADDRESS, terminal=False)
    assert again.token_file == first.token_file
    assert first.token_file.read_text() != old


def test_start_with_a_given_token_makes_none(sqlite_address: str, tmp_path: Path) -> None:
    door = Door(sqlite_address, token=GIVEN)
    try:
        assert entrance(door.app, ADDRESS, terminal=False) == (None, None)
        assert entrance(door.app, ADDRESS, terminal=True).sign_in_url is not None
        assert door.app.store.tokens.page(10) == []
        assert list(tmp_path.glob("*.token")) == []
    finally:
        door.app.stop()


def test_start_behind_a_public_address_gives_that(sqlite_address: str) -> None:
    door = Door(sqlite_address, public_url="https://desk.example/")
    try:
        url = entrance(door.app, ADDRESS, terminal=False).sign_in_url
        assert url is not None
        assert url.startswith("https://desk.example/sign-in?code=")
    finally:
        door.app.stop()


def test_token_file_is_not_written_through_a_link_of_somebody_else(
    door: Door, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("keep")
    (tmp_path / "closingbell.db.token").symlink_to(theirs)
    made = entrance(door.app, ADDRESS, terminal=False)
    assert made.token_file is not None
    assert theirs.read_text() == "keep"
    assert not made.token_file.is_symlink()


def test_token_that_cannot_be_written_is_not_stored(door: Door, tmp_path: Path) -> None:
    (tmp_path / "closingbell.db.token").mkdir()
    with pytest.raises(SettingError, match="CLOSINGBELL_TOKEN"):
        entrance(door.app, ADDRESS, terminal=False)
    assert door.app.store.tokens.page(10) == []
    assert list(tmp_path.glob(".closingbell*")) == []


@pytest.mark.postgres
def test_first_start_on_postgresql_writes_into_the_working_folder(
    postgres_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app: App = create_app(postgres_address, guardian=False)
    try:
        assert entrance(app, ADDRESS, terminal=False).token_file == tmp_path / "closingbell.token"
    finally:
        app.stop()


def test_first_start_is_in_the_audit_ledger(door: Door) -> None:
    entrance(door.app, ADDRESS, terminal=False)
    acts = [(r.action, r.actor, r.actor_kind) for r in door.app.store.audit.records(limit=2)]
    assert acts == [
        ("sign_in_address.made", "closingbell", "system"),
        ("token.created", "closingbell", "system"),
    ]
