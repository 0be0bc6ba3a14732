"""Durations as users write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.duration import parse_duration
from closingbell.core.error import TriggerError


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (90, 90), (0, 0), (0.5, 0.5), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172800),
        ("1w", 604800), ("250ms", 0.25), ("1.5h", 5400), (" 1 H 30 M ", 5400),
        (timedelta(hours=1), 3600),
    ],
)  # fmt: skip
def test_duration_is_read(given: Any, seconds: float) -> None:
    assert parse_duration(given) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "given",
    ["", "soon", "5", "5x", "-5m", "1h-30m", "m5", "५m", -1, timedelta(-1), True, None,
     float("nan"), float("inf"), 1e300, "99999999999999d", [], {}],
)  # fmt: skip
def test_duration_that_cannot_be_read_is_refused(given: Any) -> None:
    with pytest.raises(TriggerError, match="patience"):
        parse_duration(given, kind="patience")


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = parse_duration(text)
    except TriggerError:
        return
    assert read >= timedelta(0)


@given(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m", "h", "d", "w"]))
def test_number_and_unit_multiply(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == number * parse_duration(f"1{unit}")
