"""A source that is loaded when it is first asked, and once."""

from __future__ import annotations

from typing import Any

import pytest

from closingbell.trading.market.deferred import DeferredBars
from closingbell.trading.market.memory import MemoryBars
from tests.unit.trading.market.sample import EVER, series


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("symbols", ()),
        ("span", ("1m",)),
        ("slices", ("1m", 0, EVER)),
        ("bars", ("X", "1m", 0, EVER, 2)),
        ("actions", (0, EVER)),
    ],
)
def test_deferred_source_answers_as_its_own_and_is_loaded_once(
    call: str, arguments: tuple[Any, ...]
) -> None:
    loads: list[MemoryBars] = []

    def load() -> MemoryBars:
        loads.append(MemoryBars(series(4, symbol="X"), timeframe="1m"))
        return loads[-1]

    deferred = DeferredBars(load)
    before = len(loads)
    answers = [getattr(deferred, call)(*arguments) for _ in range(2)]
    expected = getattr(loads[0], call)(*arguments)
    if call == "slices":
        answers, expected = [list(one) for one in answers], list(expected)

    assert (before, len(loads)) == (0, 1)
    assert answers == [expected, expected]
    assert expected or call == "actions"
