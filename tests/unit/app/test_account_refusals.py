"""Accounts that cannot be meant are refused in one sentence that says what to write."""

from __future__ import annotations

from typing import Any

import pytest

from closingbell import create_app
from closingbell.core.error import AccountError


@pytest.mark.parametrize(
    ("term", "given", "sentence"),
    [
        (
            "timeframe",
            "fortnight",
            "timeframe is 'fortnight': expected one such as '1m', '1h', '1d'",
        ),
        ("calendar", "NYSEE", "calendar is 'NYSEE': expected a known venue; did you mean 'NYSE'?"),
        (
            "fees",
            "0.1%",
            "option is 'fees': expected one of fee, fill, seed, slippage, volume_share; "
            "did you mean 'fee'?",
        ),
    ],
)
def test_term_of_an_account_that_cannot_be_read_is_refused_with_what_to_write(
    term: str, given: Any, sentence: str
) -> None:
    app = create_app("sqlite:///never-opened.db")
    with pytest.raises(AccountError) as refused:
        app.add_account(**{term: given})
    assert sentence in str(refused.value)
