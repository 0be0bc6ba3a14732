"""Which service a client means, and what it shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from closingbell.client.address import DEFAULT_URL, Address, find_address
from closingbell.core.error import SettingError


def test_address_without_anything_said_is_this_machines_service() -> None:
    assert find_address(environ={}) == Address(DEFAULT_URL, None)


def test_address_of_the_environment_is_used_and_what_is_given_leads(tmp_path: Path) -> None:
    env = {"CLOSINGBELL_URL": "https://desk.example/", "CLOSINGBELL_TOKEN": "from-env"}
    file = tmp_path / "desk.token"
    file.write_text("from-file\nmore\n")

    assert find_address(environ=env) == Address("https://desk.example", "from-env")
    assert find_address(token_file=file, environ=env).token == "from-file"
    given = find_address("https://other.example", "given", file, environ=env)
    assert given == Address("https://other.example", "given")


@pytest.mark.parametrize(
    "url",
    ["desk", "ftp://desk", "http://", "http://desk:port", "http://a:b@desk", "http://desk?x=1"],
)
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingError) as refusal:
        find_address(url, environ={})
    assert refusal.value.setting == "url"


def test_token_is_not_sent_unencrypted_to_another_machine() -> None:
    with pytest.raises(SettingError, match="unencrypted"):
        find_address("http://desk.example", "secret", environ={})
    assert find_address("http://desk.example", "secret", insecure=True, environ={}).token
    assert find_address("http://127.0.0.1:1", "secret", environ={}).token
    assert find_address("http://[::1]:1", "secret", environ={}).token
    assert find_address("http://desk.example", environ={}).token is None


@pytest.mark.parametrize("token", ["two words", "ünicode", "tab\there", "nul\0"])
def test_token_that_cannot_be_a_header_is_refused_without_being_told(token: str) -> None:
    with pytest.raises(SettingError) as refusal:
        find_address(token=token, environ={})
    assert token not in str(refusal.value)


def test_token_file_without_a_token_is_named(tmp_path: Path) -> None:
    (empty := tmp_path / "empty.token").write_text("\n")
    with pytest.raises(SettingError, match=r"empty\.token.*first line, which is empty"):
        find_address(token_file=empty, environ={"CLOSINGBELL_TOKEN": "of-somebody-else"})


def test_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"gone\.token"):
        find_address(token_file=tmp_path / "gone.token", environ={})


def test_address_shows_no_token() -> None:
    assert "secret" not in repr(find_address(token="secret", environ={}))
