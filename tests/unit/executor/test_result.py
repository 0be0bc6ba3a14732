from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

from closingbell.core.error import ResultNotSerialisable
from closingbell.core.outcome import (
    Cancel,
    Cancelled,
    Raised,
    Returned,
    Skip,
    Skipped,
    Snooze,
    Snoozed,
)
from closingbell.executor.result import encode_result, outcome_of


class Side(Enum):
    BUY = "buy"


@dataclass
class Fill:
    price: Decimal
    at: datetime


class Model(BaseModel):
    day: date


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2.5, "x", None, True]}, {"a": [1, 2.5, "x", None, True]}),
        (Fill(Decimal("1.10"), datetime(2024, 1, 2, tzinfo=UTC)),
         {"price": "1.10", "at": "2024-01-02T00:00:00Z"}),
        (Side.BUY, "buy"),
        ({3}, [3]),
        ((1, "a"), [1, "a"]),
        (float("nan"), None),
        (timedelta(minutes=5), "PT300S"),
        (Model(day=date(2024, 1, 2)), {"day": "2024-01-02"}),
        (np.float64(1.5), 1.5),
        ({"n": np.int64(3), "b": np.bool_(True)}, {"n": 3, "b": True}),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (pd.Timestamp("2024-01-02T03:04:05Z"), "2024-01-02T03:04:05Z"),
        (pd.Series([1.0, 2.0]), [1.0, 2.0]),
        (Path("a/b"), "a/b"),
        (Text("x"), "x"),
        (MappingProxyType({"a": 1}), {"a": 1}),
    ],
)  # fmt: skip
def test_a_result_is_written_as_json(value: Any, expected: Any) -> None:
    text = encode_result("t", value)
    assert text is not None
    assert json.loads(text) == expected


def test_no_result_is_no_text() -> None:
    assert encode_result("t", None) is None
    assert outcome_of("t", None) == Returned(None)


def test_what_has_no_json_form_is_refused() -> None:
    itself: list[Any] = []
    itself.append(itself)
    for value in (object(), {"x": object()}, itself, {(1, 2): 3}, (i for i in range(3))):
        with pytest.raises(ResultNotSerialisable) as caught:
            encode_result("report", value)
        assert caught.value.task == "report"


def test_a_result_over_the_limit_is_refused_with_both_sizes() -> None:
    assert encode_result("t", "x" * 8, limit_bytes=10) == '"xxxxxxxx"'
    with pytest.raises(ResultNotSerialisable, match="11 bytes, and the limit is 10"):
        encode_result("t", "x" * 9, limit_bytes=10)


def test_signals_and_results_become_outcomes() -> None:
    assert outcome_of("t", Skip("closed")) == Skipped("closed")
    assert outcome_of("t", Snooze("2m", "later")) == Snoozed(120.0, "later")
    assert outcome_of("t", Cancel("no")) == Cancelled("no")
    assert outcome_of("t", {"n": 1}) == Returned('{"n":1}')
    failed = outcome_of("t", object())
    assert isinstance(failed, Raised)
    assert failed.error["code"] == "result_not_serialisable"
