"""Page tokens, and what is taken for one."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.core.error import PageTokenError

QUERY = {"route": "runs", "task": "risk_scan", "states": ["failed"]}


@given(st.integers(-(2**63), 2**63 - 1), st.text().filter(lambda text: "\0" not in text))
def test_page_token_read_again_gives_its_position(number: int, text: str) -> None:
    token = make_page_token(QUERY, (number, text))

    assert read_page_token(token, QUERY, (int, str)) == (number, text)
    assert token.isascii()
    assert "=" not in token


def test_page_token_absent_begins_at_the_start() -> None:
    assert read_page_token(None, QUERY, (int,)) is None


def test_page_token_of_another_query_is_refused() -> None:
    token = make_page_token(QUERY, (1, "a"))

    with pytest.raises(PageTokenError, match="another query"):
        read_page_token(token, {**QUERY, "task": "other"}, (int, str))


@given(st.text(max_size=300))
def test_page_token_of_nobody_is_refused(token: str) -> None:
    with pytest.raises(PageTokenError):
        read_page_token(token, QUERY, (int,))


@pytest.mark.parametrize(
    "position", [["a"], [1, 2], [], [True], [1.0], [None], [2**63], [[1]], [{"a": 1}]]
)
def test_page_token_forged_with_another_position_is_refused(position: list[object]) -> None:
    mark = json.loads(base64.urlsafe_b64decode(make_page_token(QUERY, ()) + "==="))[0]
    forged = base64.urlsafe_b64encode(json.dumps([mark, *position]).encode()).decode()

    with pytest.raises(PageTokenError, match="cannot be read"):
        read_page_token(forged, QUERY, (int,))


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_page_token_forged_with_text_that_no_store_takes_is_refused(text: str) -> None:
    mark = json.loads(base64.urlsafe_b64decode(make_page_token(QUERY, ()) + "==="))[0]
    forged = base64.urlsafe_b64encode(json.dumps([mark, text]).encode()).decode()

    with pytest.raises(PageTokenError, match="cannot be read"):
        read_page_token(forged, QUERY, (str,))
