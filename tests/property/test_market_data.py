"""Market data under hypothesis: upserts commute, digits survive, nobody looks ahead."""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from closingbell.core.bar import Bar, CorporateAction, Dividend, Split
from closingbell.core.clock import from_micros
from closingbell.core.error import MarketDataError
from closingbell.trading.market.catalogue import BarCatalogue
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.market.memory_manifest import MemoryManifest
from closingbell.trading.market.reader import MarketReader
from closingbell.trading.walk import CLOSING, OPENING, MarketWalk
from tests.unit.trading.market.sample import EVER, HOUR, START, clock

SYMBOLS = ("A/B", "C", "D.E")
#: Hours around a new year, so that bars fall into two files.
FIRST = START - 6 * HOUR


@st.composite
def numbers(draw: st.DrawFn, *, at_least: int = 1, digits: int = 18) -> Decimal:
    """Any number that a file holds."""
    whole = draw(st.integers(at_least, 10**digits - 1))
    return Decimal(whole).scaleb(-draw(st.integers(0, 20)))


@st.composite
def bars(draw: st.DrawFn, symbol: str, hour: int) -> Bar:
    low, one, two, high = sorted(draw(st.tuples(numbers(), numbers(), numbers(), numbers())))
    opening, close = draw(st.permutations([one, two]))
    start = FIRST + hour * HOUR + draw(st.integers(0, 10)) * 60_000_000
    end = start + draw(st.integers(1, 50)) * 60_000_000
    return Bar(symbol, start, end, opening, high, low, close, draw(numbers(at_least=0)))


@st.composite
def histories(draw: st.DrawFn, symbol: str = "C", hours: int = 12) -> list[Bar]:
    """Bars of a symbol, oldest first: at most one an hour, some hours without."""
    chosen = sorted(draw(st.sets(st.integers(0, hours - 1), min_size=1)))
    return [draw(bars(symbol, hour)) for hour in chosen]


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[Bar], list[CorporateAction]]:
    """Bars of several symbols and actions between and at them."""
    found = [bar for symbol in SYMBOLS for bar in draw(histories(symbol))]
    instants = st.sampled_from([bar.start for bar in found]) | st.integers(
        FIRST - HOUR, FIRST + 13 * HOUR
    )
    kinds = st.sampled_from([Split, Dividend])
    actions = draw(
        st.lists(
            st.builds(
                lambda kind, symbol, at: kind(symbol, at, Decimal(2)),
                kinds,
                st.sampled_from(SYMBOLS),
                instants,
            ),
            max_size=4,
            unique_by=lambda action: (type(action), action),
        )
    )
    return found, actions


def catalogue(folder: str) -> BarCatalogue:
    return BarCatalogue(Path(folder), MemoryManifest(), None, clock())


@settings(max_examples=60)
@given(history=histories(), data=st.data())
def test_chunks_in_any_order_make_the_same_history_as_one(
    history: list[Bar], data: st.DataObject
) -> None:
    cuts = data.draw(st.sets(st.integers(1, max(len(history) - 1, 1)), max_size=4))
    edges = [0, *sorted(cuts), len(history)]
    chunks = [history[low:high] for low, high in pairwise(edges) if low < high]
    again = data.draw(st.lists(st.sampled_from(chunks), max_size=2))
    ordered = data.draw(st.permutations([*chunks, *again]))
    with tempfile.TemporaryDirectory() as folder:
        whole, parts = catalogue(f"{folder}/whole"), catalogue(f"{folder}/parts")
        whole.store("C", history, timeframe="1h")
        memory = MemoryBars()
        added = 0
        for chunk in ordered:
            added += parts.store("C", chunk, timeframe="1h").added
            memory.upsert("C", "1h", chunk)
        assert added == len(history)
        for source in (parts, memory):
            assert source.bars("C", "1h", 0, EVER) == whole.bars("C", "1h", 0, EVER) == history
        files = whole.manifest.files()
        assert [f[:3] + f[5:] for f in files] == [f[:3] + f[5:] for f in parts.manifest.files()]


@settings(max_examples=60)
@given(old=histories(), new=histories())
def test_upsert_is_the_new_bars_and_the_old_ones_at_other_starts(
    old: list[Bar], new: list[Bar]
) -> None:
    starts = {bar.start for bar in new}
    kept = [bar for bar in old if bar.start not in starts]
    expected = sorted([*kept, *new], key=lambda bar: bar.start)
    overlap = any(a.end > b.start for a, b in pairwise(expected))
    with tempfile.TemporaryDirectory() as folder:
        stored = catalogue(folder)
        stored.store("C", old, timeframe="1h")
        try:
            result = stored.store("C", new, timeframe="1h")
        except MarketDataError:
            assert overlap
            assert stored.bars("C", "1h", 0, EVER) == old
            return
        assert not overlap
        assert stored.bars("C", "1h", 0, EVER) == expected
        before = {bar.start: bar for bar in old}
        assert result.added == sum(bar.start not in before for bar in new)
        assert result.changed == sum(before.get(bar.start, bar) != bar for bar in new)


@settings(max_examples=60)
@given(market=markets(), window=st.tuples(st.integers(-60, 900), st.integers(-60, 900)))
def test_file_and_memory_tell_the_same_market(
    market: tuple[list[Bar], list[CorporateAction]], window: tuple[int, int]
) -> None:
    found, actions = market
    start, end = (FIRST + minute * 60_000_000 for minute in sorted(window))
    memory = MemoryBars(found, timeframe="1h", actions=actions)
    with tempfile.TemporaryDirectory() as folder:
        stored = catalogue(folder)
        for symbol in SYMBOLS:
            own = [bar for bar in found if bar.symbol == symbol]
            stored.store(symbol, own, timeframe="1h")
        stored.put_actions(actions)
        for chosen in (None, ["C"], ["C", "A/B", "none"]):
            told = list(stored.slices("1h", start, end, chosen))
            assert told == list(memory.slices("1h", start, end, chosen))
        for symbol in SYMBOLS:
            for limit in (None, 0, 1, 3):
                assert stored.bars(symbol, "1h", start, end, limit) == memory.bars(
                    symbol, "1h", start, end, limit
                )
        assert stored.span("1h") == memory.span("1h")
        assert stored.actions(start, end) == memory.actions(start, end)


@given(market=markets())
def test_walk_tells_moments_in_order_and_each_bar_and_action_once(
    market: tuple[list[Bar], list[CorporateAction]],
) -> None:
    found, actions = market
    walk = MarketWalk(MemoryBars(found, timeframe="1h", actions=actions), "1h", 0, EVER)
    moments = []
    while (coming := walk.peek()) is not None:
        moment = walk.pop()
        assert (moment.at, moment.phase) == coming
        moments.append(moment)
    order = [(moment.at, moment.phase) for moment in moments]
    assert order == sorted(order)
    for phase in (OPENING, CLOSING):
        told = [bar for moment in moments if moment.phase == phase for bar in moment.slice.bars]
        assert sorted(told) == sorted(found)
    for moment in moments:
        part = moment.slice
        assert moment.at == (part.start if moment.phase == OPENING else part.end)
        assert [bar.symbol for bar in part.bars] == sorted(bar.symbol for bar in part.bars)
        assert all(action.at <= part.start for action in part.actions)
    last = max(bar.start for bar in found)
    told_actions = [action for moment in moments if moment.phase == OPENING
                    for action in moment.slice.actions]  # fmt: skip
    assert told_actions == sorted(told_actions, key=lambda action: (action.at, action.symbol))
    assert sorted(told_actions) == sorted(action for action in actions if action.at <= last)


@given(market=markets(), cut=st.integers(-60, 900))
def test_history_walked_in_two_windows_is_the_history(
    market: tuple[list[Bar], list[CorporateAction]], cut: int
) -> None:
    found, actions = market
    source = MemoryBars(found, timeframe="1h", actions=actions)
    middle = FIRST + cut * 60_000_000
    whole = list(source.slices("1h", FIRST - 2 * HOUR, EVER))
    first = list(source.slices("1h", FIRST - 2 * HOUR, middle))
    assert [*first, *source.slices("1h", middle, EVER)] == [
        # Nobody holds anything before the first bar: what happened then is of no window but one
        # that begins before it.
        part if first or part is not whole[0] else part._replace(
            actions=tuple(action for action in part.actions if action.at >= middle)
        )
        for part in whole
    ]  # fmt: skip


@given(
    market=markets(),
    minutes=st.integers(-60, 900),
    limit=st.none() | st.integers(0, 5),
    adjusted=st.booleans(),
)
def test_nobody_reads_what_is_not_over_yet(
    market: tuple[list[Bar], list[CorporateAction]],
    minutes: int,
    limit: int | None,
    adjusted: bool,
) -> None:
    found, actions = market
    now = FIRST + minutes * 60_000_000
    reader = MarketReader(MemoryBars(found, timeframe="1h", actions=actions), lambda: now)
    later = [action for action in actions if action.at > now]
    for symbol in SYMBOLS:
        own = [bar for bar in found if bar.symbol == symbol]
        known = own[: bisect_right([bar.end for bar in own], now)]
        read = reader.get(symbol, "1h", limit=limit, adjusted=adjusted)
        expected = known if limit is None else known[max(len(known) - limit, 0) :]
        assert [bar[:3] for bar in read] == [bar[:3] for bar in expected]
        assert not set(later) & set(reader.actions(symbol))
        # What comes later changes nothing of what is read now.
        past = MemoryBars(
            [bar for bar in found if bar.end <= now],
            timeframe="1h",
            actions=[action for action in actions if action.at <= now],
        )
        if symbol in past.symbols():
            again = MarketReader(past, lambda: now)
            assert again.get(symbol, "1h", limit=limit, adjusted=adjusted) == read
    assert from_micros(reader.known_until) == from_micros(now)
