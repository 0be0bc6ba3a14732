"""What a payload's refusal says of fields that nothing shows."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from closingbell.core.error import PayloadMismatch
from closingbell.executor.binding import Binding


class Account(BaseModel):
    name: str
    secret: int


def by_name(api_key: int, n: int = 0) -> None: ...


def nested(account: Account) -> None: ...


def whole(payload: dict[str, int]) -> None: ...


def bare(anything: dict[str, int]) -> None: ...


@pytest.mark.parametrize(
    ("handler", "masked", "payload"),
    [
        (by_name, ["api_key"], {"api_key": "hunter2"}),
        (nested, ["account.secret"], {"account": {"name": "main", "secret": "hunter2"}}),
        (nested, ["account.secret"], {"account": "hunter2"}),
        (whole, ["api_key"], {"api_key": "hunter2"}),
        (bare, ["api_key"], {"api_key": "hunter2"}),
    ],
)
def test_refusal_quotes_no_masked_value(
    handler: Any, masked: list[str], payload: dict[str, Any]
) -> None:
    with pytest.raises(PayloadMismatch) as plain:
        Binding("t", handler).check(payload)
    assert "hunter2" in str(plain.value)
    with pytest.raises(PayloadMismatch) as refusal:
        Binding("t", handler, masked).check(payload)
    error = refusal.value
    assert "hunter2" not in str(error) + repr(error.fields) + repr(error.__cause__)
    assert "masked" in str(error)


def test_refusal_of_another_field_still_quotes_it() -> None:
    with pytest.raises(PayloadMismatch, match="'n' should be int, was the str 'x'"):
        Binding("t", by_name, ["api_key"]).check({"api_key": 1, "n": "x"})
