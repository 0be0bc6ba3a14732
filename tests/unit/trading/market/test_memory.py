"""Bars in memory: slices over several symbols, corporate actions, upserts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.bar import Bar, Dividend, Slice, Split
from closingbell.core.error import MarketDataError
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.walk import CLOSING, OPENING, MarketWalk
from tests.unit.trading.market.sample import DAY, EVER, MINUTE, START, bar, series, weekday_hours

TWO = Decimal(2)
ANYTHING: Any = 1.5


def walked(source: MemoryBars, timeframe: str = "1m") -> list[tuple[int, int, str]]:
    walk = MarketWalk(source, timeframe, 0, EVER)
    moments = []
    while walk.peek() is not None:
        moment = walk.pop()
        moments.append((moment.at, moment.phase, "".join(b.symbol for b in moment.slice.bars)))
    return moments


def test_slices_of_several_symbols_come_by_start_and_end() -> None:
    long = bar(START, symbol="A", length=3 * MINUTE)
    source = MemoryBars([*series(2, symbol="B"), long, *series(3, symbol="C")], timeframe="5m")
    found = [(s.start - START, s.end - START, [b.symbol for b in s.bars])
             for s in source.slices("5m", 0, EVER)]  # fmt: skip
    assert found == [
        (0, MINUTE, ["B", "C"]),
        (0, 3 * MINUTE, ["A"]),
        (MINUTE, 2 * MINUTE, ["B", "C"]),
        (2 * MINUTE, 3 * MINUTE, ["C"]),
    ]


def test_walk_over_two_symbols_closes_before_it_opens() -> None:
    source = MemoryBars([*series(2, symbol="A"), *series(1, symbol="B")], timeframe="1m")
    assert walked(source) == [
        (START, OPENING, "AB"),
        (START + MINUTE, CLOSING, "AB"),
        (START + MINUTE, OPENING, "A"),
        (START + 2 * MINUTE, CLOSING, "A"),
    ]


def test_slices_keep_to_their_window_and_symbols() -> None:
    source = MemoryBars([*series(5, symbol="A"), *series(5, symbol="B")], timeframe="1m")
    found = list(source.slices("1m", START + MINUTE, START + 3 * MINUTE, ["B", "Z"]))
    assert [s.start for s in found] == [START + MINUTE, START + 2 * MINUTE]
    assert {b.symbol for s in found for b in s.bars} == {"B"}


def test_many_blocks_of_uneven_symbols_stay_in_order() -> None:
    source = MemoryBars(
        [*series(20_000, symbol="A"), *series(9_000, symbol="B", start=START + 3 * MINUTE)],
        timeframe="1m",
    )
    starts = [part.start for part in source.slices("1m", 0, EVER)]
    assert starts == sorted(set(starts))
    assert sum(len(part.bars) for part in source.slices("1m", 0, EVER)) == 29_000


def test_bars_are_those_that_start_and_end_within() -> None:
    source = MemoryBars(series(5), timeframe="1m")
    assert [b.close for b in source.bars("X", "1m", START + 1, START + 4 * MINUTE)] == [
        101, 102, 103,
    ]  # fmt: skip
    assert [b.close for b in source.bars("X", "1m", 0, START + 4 * MINUTE - 1)] == [100, 101, 102]
    assert [b.close for b in source.bars("X", "1m", 0, EVER, 2)] == [103, 104]
    assert source.bars("X", "1m", 0, EVER, 0) == []
    assert source.bars("Y", "1m", 0, EVER) == source.bars("X", "1d", 0, EVER) == []


def test_source_without_bars_has_no_span() -> None:
    assert MemoryBars().span("1d") is None
    assert MemoryBars().symbols() == []
    assert list(MemoryBars().slices("1d", 0, EVER)) == []


def test_span_is_over_all_symbols_of_the_timeframe() -> None:
    source = MemoryBars([*series(2, symbol="B", start=START + DAY), *series(3)], timeframe="1m")
    assert source.span("1m") == (START, START + DAY + 2 * MINUTE)


# --- corporate actions -------------------------------------------------------------------


def actions_of(source: MemoryBars, start: int = 0, end: int = EVER, **kw: Any) -> list[Any]:
    return [(s.start, s.actions) for s in source.slices("1m", start, end, **kw) if s.actions]


def test_action_comes_with_the_slice_that_starts_then() -> None:
    split = Split("X", START + MINUTE, TWO)
    source = MemoryBars(series(3), timeframe="1m", actions=[split])
    assert actions_of(source) == [(START + MINUTE, (split,))]


def test_actions_between_bars_come_with_the_next_slice_in_order() -> None:
    split = Split("X", START + MINUTE // 2, TWO)
    paid = Dividend("X", START + 20, TWO)
    other = Dividend("Y", START + 20, TWO)
    source = MemoryBars(series(3), timeframe="1m", actions=[split, other, paid, paid])
    assert actions_of(source) == [(START + MINUTE, (paid, other, split))]
    assert actions_of(source, symbols=["X"]) == [(START + MINUTE, (paid, split))]


def test_action_after_the_last_slice_comes_with_none() -> None:
    split = Split("X", START + 10 * MINUTE, TWO)
    assert actions_of(MemoryBars(series(3), timeframe="1m", actions=[split])) == []


def test_history_cut_into_windows_has_each_action_once() -> None:
    weekend = Split("X", START + DAY, TWO)
    source = MemoryBars(
        [*series(2), *series(2, start=START + 2 * DAY)], timeframe="1m", actions=[weekend]
    )
    for cut in (START + MINUTE, START + DAY - 1, START + DAY, START + DAY + 1, START + 2 * DAY):
        assert actions_of(source, 0, cut) == []
        assert actions_of(source, cut) == [(START + 2 * DAY, (weekend,))]


def test_action_from_before_the_first_bar_and_the_window_comes_with_none() -> None:
    source = MemoryBars(series(2), timeframe="1m", actions=[Split("X", START - DAY, TWO)])
    assert actions_of(source, START) == []
    assert actions_of(source, START - DAY) == [(START, (Split("X", START - DAY, TWO),))]


@pytest.mark.parametrize(
    "action",
    [Split("X", 1, Decimal(0)), Split("X", 1, Decimal("NaN")), Dividend("X", 1, Decimal(-1)),
     Split("", 1, TWO), Dividend("X", ANYTHING, TWO), ("X", 1, TWO)],
)  # fmt: skip
def test_action_that_cannot_be_right_is_refused(action: Any) -> None:
    with pytest.raises(MarketDataError):
        MemoryBars(actions=[action])


def test_same_action_counts_once() -> None:
    source = MemoryBars(actions=[Split("X", 5, TWO)])
    assert source.put_actions([Split("X", 5, TWO), Split("X", 5, Decimal(3))]) == 1
    assert source.put_actions([Dividend("X", 5, TWO)] * 2) == 1
    assert len(source.actions(5, 6)) == 3
    assert source.actions(0, 5) == []


# --- upserts -----------------------------------------------------------------------------


def test_upsert_counts_what_is_new_and_what_is_changed() -> None:
    source = MemoryBars(series(4), timeframe="1m")
    later = [bar(START + 3 * MINUTE, 7), bar(START + 4 * MINUTE, 8)]
    assert source.upsert("X", "1m", later) == (1, 1)
    assert source.upsert("X", "1m", later) == (0, 0)
    assert [b.close for b in source.bars("X", "1m", 0, EVER)] == [100, 101, 102, 7, 8]


def test_upsert_that_overlaps_what_stays_changes_nothing() -> None:
    source = MemoryBars(series(4), timeframe="5m")
    with pytest.raises(MarketDataError, match="may not overlap"):
        source.upsert("X", "5m", [bar(START + 2 * MINUTE, length=90_000_000)])
    with pytest.raises(MarketDataError, match="may not overlap"):
        source.upsert("X", "5m", [bar(START + 3 * MINUTE + 1, length=90_000_000)])
    assert source.bars("X", "5m", 0, EVER) == series(4)


@pytest.mark.parametrize("start", [-(10**17), 10**18, START * 1000])
def test_bar_in_a_year_that_no_calendar_has_is_refused(start: int) -> None:
    with pytest.raises(MarketDataError, match="no calendar has it"):
        MemoryBars([bar(start)], timeframe="1m")


def test_bars_that_go_back_are_refused() -> None:
    with pytest.raises(MarketDataError, match="row 1: the times go back"):
        MemoryBars(reversed(series(2)), timeframe="1m")


def test_rows_by_symbol_become_bars() -> None:
    source = MemoryBars(
        {"X": {"date": ["2024-01-03"], "o": [1], "h": [2], "l": [1], "c": [2]}},
        hours=weekday_hours,
    )
    (one,) = source.slices("1d", 0, EVER)
    opens = START + 2 * DAY + 870 * MINUTE
    assert one == Slice(
        opens,
        opens + 390 * MINUTE,
        (Bar("X", opens, opens + 390 * MINUTE, *map(Decimal, (1, 2, 1, 2, 0))),),
    )
