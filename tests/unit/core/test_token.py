"""Tokens: what they read like, what is kept of them, and what is none."""

from __future__ import annotations

import os

import pytest

from closingbell.core.error import SubmitError
from closingbell.core.token import (
    Token,
    derived,
    hash_of,
    is_same,
    make_token,
    read_token,
    require_name,
)


def test_token_is_read_as_it_was_made() -> None:
    token = make_token(os.urandom)
    assert read_token(token.text) == token
    assert len(bytes.fromhex(token.secret)) == 32
    assert token.hash == hash_of(token.text)
    assert token.secret not in token.hash


def test_token_made_twice_is_never_the_same() -> None:
    assert len({make_token(os.urandom).text for _ in range(200)}) == 200


def test_token_shown_by_repr_keeps_its_secret() -> None:
    token = make_token(os.urandom)
    assert token.secret not in repr(token)
    assert token.secret not in f"{[token]}"


@pytest.mark.parametrize(
    "text",
    [
        "", "cb_", "cb__", f"cb_{'a' * 16}_{'b' * 63}", f"cb_{'a' * 16}_{'b' * 65}",
        f"cb_{'g' * 16}_{'b' * 64}", f"CB_{'a' * 16}_{'b' * 64}", f"cb_{'a' * 16}_{'b' * 64}\n",
        f" cb_{'a' * 16}_{'b' * 64}", f"cb_{'٣' * 16}_{'b' * 64}", f"cb_{'A' * 16}_{'b' * 64}",
    ],
)  # fmt: skip
def test_text_that_is_no_token_is_none(text: str) -> None:
    assert read_token(text) is None


def test_derived_secret_depends_on_secret_and_purpose_alone() -> None:
    assert derived("s", "p") == derived("s", "p")
    assert len({derived("s", "p"), derived("s", "q"), derived("t", "p"), "s"}) == 4


def test_hashes_are_the_same_or_not() -> None:
    assert is_same("é" * 3, "é" * 3)
    assert not is_same("a", "b")
    assert not is_same("a", "")


@pytest.mark.parametrize("name", ["", "  ", "a" * 101, "a\nb", "a\0b", "\x1b[2J"])
def test_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(SubmitError, match="can be printed"):
        require_name("name", name)


def test_name_is_kept_without_white_space_around_it() -> None:
    assert require_name("name", "  Ann Ó ") == "Ann Ó"
    assert Token("a", "b").text == "cb_a_b"
