"""A catalogue over another source: each symbol from one of them, each action once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from closingbell.core.bar import QUOTE, Dividend, Split
from closingbell.trading.market.catalogue import BarCatalogue
from closingbell.trading.market.layered import LayeredBars
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.market.memory_manifest import MemoryManifest
from tests.unit.trading.market.sample import DAY, EVER, MINUTE, START, bar, clock, series

TWO = Decimal(2)
SPLIT = Split("B", START + 2 * MINUTE, TWO)


@pytest.fixture
def catalogue(tmp_path: Path) -> BarCatalogue:
    return BarCatalogue(tmp_path, MemoryManifest(), None, clock())


@pytest.fixture
def layered(catalogue: BarCatalogue) -> LayeredBars:
    """Over A and B, of which B splits."""
    bars = [*series(4, symbol="A"), *series(4, symbol="B")]
    return LayeredBars(catalogue, MemoryBars(bars, timeframe="1m", actions=[SPLIT]))


def told(source: LayeredBars, start: int = 0, end: int = EVER, **options: Any) -> list[Any]:
    return [
        (
            (part.start - START) // MINUTE,
            [f"{b.symbol}{b.close}" for b in part.bars],
            list(part.actions),
        )
        for part in source.slices("1m", start, end, **options)
    ]


def test_empty_catalogue_shows_what_is_below(layered: LayeredBars) -> None:
    assert told(layered)[1:3] == [
        (1, ["A101", "B101"], []),
        (2, ["A102", "B102"], [SPLIT]),
    ]
    assert layered.symbols() == ["A", "B"]
    assert layered.span("1m") == (START, START + 4 * MINUTE)
    assert layered.span("1d") is None


def test_stored_symbol_is_the_catalogues_alone(
    layered: LayeredBars, catalogue: BarCatalogue
) -> None:
    catalogue.store("B", [bar(START + MINUTE, 7, symbol="B"), bar(START + DAY, 8, symbol="B")])
    assert told(layered) == [
        (0, ["A100"], []), (1, ["A101", "B7"], []), (2, ["A102"], []), (3, ["A103"], []),
        (1_440, ["B8"], []),
    ]  # fmt: skip
    assert told(layered, symbols=["B"]) == [(1, ["B7"], []), (1_440, ["B8"], [])]
    assert told(layered, symbols=["A", "unknown"])[0] == (0, ["A100"], [])
    assert told(layered, symbols=[]) == []
    assert [b.close for b in layered.bars("B", "1m", 0, EVER)] == [7, 8]
    assert [b.close for b in layered.bars("A", "1m", 0, EVER, 1)] == [103]
    assert layered.bars("B", "1m", 0, START) == []
    assert layered.span("1m") == (START, START + DAY + MINUTE)
    assert layered.actions(0, EVER) == []


def test_stored_prices_hide_neither_bars_nor_splits(
    layered: LayeredBars, catalogue: BarCatalogue
) -> None:
    catalogue.store("B", {"price": 5})
    assert layered.actions(0, EVER) == [SPLIT]
    assert told(layered)[2] == (2, ["A102", "B102"], [SPLIT])
    assert [b.close for b in layered.bars("B", QUOTE, 0, EVER)] == [5]


def test_split_that_both_know_comes_once_and_with_its_bars(
    layered: LayeredBars, catalogue: BarCatalogue
) -> None:
    catalogue.store("C", [bar(START, symbol="C"), bar(START + 3 * MINUTE, symbol="C")])
    paid = Dividend("B", START + 2 * MINUTE, TWO)
    catalogue.put_actions([SPLIT, paid, Split("Z", START, TWO)])
    found = [(minute, actions) for minute, _, actions in told(layered) if actions]
    assert found == [(0, [Split("Z", START, TWO)]), (2, [SPLIT, paid])]
    assert set(layered.actions(START + 1, EVER)) == {SPLIT, paid}
    assert len(layered.actions(START + 1, EVER)) == 2


def test_history_cut_into_windows_has_each_action_once(
    layered: LayeredBars, catalogue: BarCatalogue
) -> None:
    catalogue.store("C", [bar(START, symbol="C"), bar(START + DAY, symbol="C")])
    late = Split("A", START + 10 * MINUTE, TWO)
    catalogue.put_actions([late])
    whole = told(layered)
    for cut in (START + MINUTE, START + 90_000_000, START + 2 * MINUTE, START + 11 * MINUTE,
                START + DAY):  # fmt: skip
        assert told(layered, 0, cut) + told(layered, cut) == whole
    assert told(layered, START + DAY + 1) == []


def test_archived_bars_are_read_when_asked_for(
    layered: LayeredBars, catalogue: BarCatalogue
) -> None:
    catalogue.store("B", series(2, symbol="B"))
    catalogue.archive(START + MINUTE)
    assert len(layered.bars("B", "1m", 0, EVER)) == 1
    catalogue.archive(EVER)
    assert layered.bars("B", "1m", 0, EVER) == told(layered, symbols=["B"]) == []
    assert len(layered.bars("B", "1m", 0, EVER, archived=True)) == 2
