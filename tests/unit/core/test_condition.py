"""Conditions on events: they answer, and can do no more than answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.condition import Condition, read_condition
from closingbell.core.error import ConditionError

DATA: dict[str, Any] = {
    "change": -0.2,
    "symbol": "AAPL",
    "order": {"status": "filled", "fills": [{"qty": 5}, {"qty": 7}], "keys": "mine"},
    "flag": True,
    "nothing": None,
    "value": "1250000.50",
    "quantity": "-12",
}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("change < -0.05", True),
        ("change < -0.05 and symbol in ('AAPL', 'IBM')", True),
        ("symbol not in ['AAPL']", False),
        ("-1 < change < 0", True),
        ("-1 < change < -0.5", False),
        ("order.status == 'filled'", True),
        ("order['status'] == 'filled'", True),
        ("order.fills[1].qty - order.fills[0].qty == 2", True),
        ("order.fills[9].qty == 2", False),
        ("order.keys == 'mine'", True),
        ("flag", True),
        ("not flag", False),
        ("not missing", True),
        ("missing is None", True),
        ("missing.deep.down is None", True),
        ("nothing is None", True),
        # What cannot be compared is false, not an error; beside it others still count.
        ("symbol < 5", False),
        ("symbol < 5 or flag", True),
        ("not (symbol < 5)", True),
        ("change / 0 > 1", False),
        ("'x' in change", False),
        ("symbol * 3 == 'x'", False),
        ("change % 2 > 0", True),
        # Decimal text, as which amounts travel, is a number beside a number.
        ("value > 1_000_000", True),
        ("1_000_000 > value", False),
        ("quantity == -12", True),
        ("-quantity * 2 == 24", True),
        ("value * quantity < 0", True),
        ("value == '1250000.50'", True),
        ("symbol > 0", False),
        ("value > True", False),
    ],
)
def test_condition_answers(text: str, answer: bool) -> None:
    assert Condition(text).matches(DATA) is answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x >",
        "x = 1",
        "import os",
        "open('x')",
        "symbol.upper()",
        "symbol.__class__",
        "order._private",
        "[x for x in order]",
        "lambda: 1",
        "f'{symbol}'",
        "(y := 1)",
        "2 ** 9999999",
        "1 if flag else 2",
        "{'a': 1}",
        "b'bytes'",
        "x; y",
        "not " * 60 + "x",
        "x" * 1_001,
        "x\0",
    ],
)
def test_condition_that_is_more_than_a_condition_is_refused(text: str) -> None:
    with pytest.raises(ConditionError):
        Condition(text)


@given(st.text(max_size=60))
def test_any_text_is_refused_or_answers(text: str) -> None:
    try:
        condition = Condition(text)
    except ConditionError:
        return
    assert condition.matches(DATA) in (True, False)


def test_equal_texts_are_one_condition() -> None:
    assert read_condition("x > 1") is read_condition("x > 1")
    assert Condition("x > 1") == Condition("x > 1")
    assert hash(Condition("x > 1")) == hash(Condition("x > 1"))
