"""What a backtest's tasks store, over the data that they are tested on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from closingbell.core.bar import QUOTE, Split
from closingbell.core.error import MarketDataError
from closingbell.core.ledger import Fact
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.market.overlay import OverlayBars
from closingbell.trading.market.reader import MarketReader
from tests.unit.trading.market.sample import EVER, MINUTE, START, bar, clock, series

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
SPLIT = Split("X", START, Decimal(2))


def overlay(count: int = 5) -> OverlayBars:
    source = MemoryBars(series(count), timeframe="1m", actions=[SPLIT])
    return OverlayBars(source, clock(NOON), timeframe="1m")


def closes(market: OverlayBars, symbol: str = "X", timeframe: str = "1m") -> list[Decimal]:
    return [b.close for b in market.bars(symbol, timeframe, 0, EVER)]


def test_stored_bars_are_read_over_the_source_and_do_not_move_the_market() -> None:
    market = overlay()
    result = market.store("X", [bar(START + 4 * MINUTE, 7), bar(START + 5 * MINUTE, 8)])
    assert result[:3] == (1, 1, 2)
    assert closes(market) == [100, 101, 102, 103, 7, 8]
    assert [b.close for b in market.bars("X", "1m", 0, EVER, 3)] == [103, 7, 8]
    assert sum(1 for _ in market.slices("1m", 0, EVER)) == 5
    assert market.span("1m") == (START, START + 6 * MINUTE)
    assert market.actions(0, EVER) == [SPLIT]


def test_same_bars_again_change_nothing() -> None:
    told: list[Fact] = []
    source = MemoryBars(series(5), timeframe="1m")
    market = OverlayBars(source, clock(NOON), on_facts=told.extend)
    assert market.store("X", series(3)).added == 0
    assert told == []
    assert market.store("X", bar(START, 7)).changed == 1
    assert market.store("X", bar(START, 7)).changed == 0
    assert [fact.data["price"] for fact in told] == ["7"]
    assert market.store("X", bar(START, 8), facts=False).changed == 1
    assert len(told) == 1


def test_what_is_stored_is_known_from_then_on() -> None:
    now = clock(NOON)
    market = OverlayBars(MemoryBars(), now)
    reader = MarketReader(market, now.micros)
    assert market.store("BTC/EUR", {"price": "40000.5"}).timeframe == QUOTE
    assert reader.get("BTC/EUR", QUOTE).closes() == [Decimal("40000.5")]
    with pytest.raises(MarketDataError, match="leave out what is not over yet"):
        market.store("BTC/EUR", {"price": 1, "time": NOON + timedelta(minutes=1)})
    assert market.symbols() == ["BTC/EUR"]


def test_bar_that_overlaps_the_sources_is_refused() -> None:
    market = overlay()
    with pytest.raises(MarketDataError, match="may not overlap"):
        market.store("X", [bar(START + 30_000_000)], timeframe="1m")
    with pytest.raises(MarketDataError, match="round it to 18"):
        market.store("X", [bar(START, "1.1234567890123456789")], timeframe="1m")
    assert closes(market) == [100, 101, 102, 103, 104]


def test_archived_bars_are_hidden_from_tasks_and_counted_once() -> None:
    market = overlay()
    market.store("X", {"price": 5})
    market.store("Y", bar(START, symbol="Y"))
    before = START + 2 * MINUTE
    assert market.archive(before, ["X"]) == 2
    assert closes(market) == [102, 103, 104]
    assert closes(market, "Y") == [100]
    assert market.archive(before) == 1
    assert market.archive(before) == 0
    assert len(market.bars("X", "1m", 0, EVER, archived=True)) == 5
    assert market.archive(EVER) == 4
    assert closes(market) == closes(market, timeframe=QUOTE) == []
    assert sum(1 for _ in market.slices("1m", 0, EVER)) == 5


def test_overlay_without_bars_has_no_span() -> None:
    assert OverlayBars(MemoryBars(), clock(NOON)).span("1d") is None
