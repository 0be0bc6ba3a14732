"""What an algorithm may know of the market now."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from closingbell.core.bar import Bar, Dividend, Split
from closingbell.core.error import LookAhead, MarketDataError, UnknownSymbol
from closingbell.trading.market.action import adjusted
from closingbell.trading.market.bars import Bars
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.market.reader import MarketReader
from tests.unit.trading.market.sample import DAY, EVER, MINUTE, START, bar, series

SPLIT = Split("X", START + 2 * MINUTE, Decimal(2))


def reader(known_until: int, *actions: Any) -> MarketReader:
    return MarketReader(MemoryBars(series(5), timeframe="1m", actions=actions), lambda: known_until)


def closes(bars: list[Bar]) -> list[Decimal]:
    return [b.close for b in bars]


def test_bar_is_known_from_its_end_on() -> None:
    end = START + 3 * MINUTE
    assert closes(reader(end).get("X", "1m")) == [100, 101, 102]
    assert closes(reader(end - 1).get("X", "1m")) == [100, 101]
    assert reader(START).get("X", "1m") == []
    assert reader(end).known_until == end
    assert list(reader(end).symbols()) == ["X"]


def test_window_and_limit_are_kept() -> None:
    market = reader(START + 5 * MINUTE)
    assert closes(market.get("X", "1m", START + MINUTE, START + 4 * MINUTE)) == [101, 102, 103]
    assert closes(market.get("X", "1m", limit=2)) == [103, 104]
    assert market.get("X", "1m", limit=0) == []


@pytest.mark.parametrize("argument", ["start", "end"])
def test_reading_beyond_now_is_refused(argument: str) -> None:
    now = START + 3 * MINUTE
    times: dict[str, Any] = {argument: now + 1}
    with pytest.raises(LookAhead, match="nothing later is known"):
        reader(now).get("X", "1m", **times)
    assert reader(now).get("X", "1m", end=now) != []


def test_symbol_that_nobody_stored_is_unknown_and_a_near_one_is_named() -> None:
    market = MarketReader(MemoryBars(series(2, symbol="AAPL"), timeframe="1m"), lambda: EVER)
    with pytest.raises(UnknownSymbol, match="did you mean 'AAPL'"):
        market.get("APPL")
    assert market.get("AAPL", "1d") == []


def test_arguments_that_mean_nothing_are_refused() -> None:
    with pytest.raises(MarketDataError, match="timeframe"):
        reader(EVER).get("X", "daily")
    with pytest.raises(MarketDataError, match="limit is -1"):
        reader(EVER).get("X", limit=-1)


def test_split_adjusts_earlier_bars_once_it_is_effective() -> None:
    market = reader(START + 5 * MINUTE, SPLIT)
    assert closes(market.get("X", "1m")) == [100, 101, 102, 103, 104]
    found = market.get("X", "1m", adjusted=True)
    assert closes(found) == [50, Decimal("50.5"), 102, 103, 104]
    assert [b.volume for b in found] == [2, 2, 1, 1, 1]
    before = reader(START + 2 * MINUTE - 1, SPLIT).get("X", "1m", adjusted=True)
    assert closes(before) == [100]
    assert reader(START + 2 * MINUTE - 1, SPLIT).actions("X") == []
    assert market.actions("X") == [SPLIT]
    assert market.actions("Y") == []


def test_splits_multiply_and_a_third_of_thirty_is_ten() -> None:
    bars = [bar(START, 30), bar(START + MINUTE, 10), bar(START + 2 * MINUTE, 5)]
    found = adjusted(bars, [Split("X", START + MINUTE, Decimal(3)),
                            Split("X", START + 2 * MINUTE, Decimal(2)),
                            Split("Y", START, Decimal(7))])  # fmt: skip
    assert closes(found) == [5, 5, 5]
    assert [b.volume for b in found] == [6, 2, 1]


def test_dividend_lowers_earlier_bars_by_its_share_of_the_close_before() -> None:
    bars = [bar(START, 100), bar(START + MINUTE, 50), bar(START + 2 * MINUTE, 49)]
    paid = Dividend("X", START + 2 * MINUTE, Decimal(1))
    assert closes(adjusted(bars, [paid])) == [100, 50, 49]
    found = adjusted(bars, [paid], dividends=True)
    assert closes(found) == [98, 49, 49]
    assert [b.volume for b in found] == [1, 1, 1]
    split = Split("X", START + MINUTE, Decimal(2))
    assert closes(adjusted(bars, [split, paid], dividends=True)) == [49, 49, 49]


def test_dividend_before_every_bar_or_above_the_price_adjusts_nothing() -> None:
    bars = [bar(START, 100), bar(START + MINUTE, 50)]
    early = Dividend("X", START, Decimal(1))
    huge = Dividend("X", START + MINUTE, Decimal(100))
    assert adjusted(bars, [early, huge], dividends=True) == bars
    assert adjusted([], [SPLIT]) == []


def test_dividends_are_read_when_asked_for() -> None:
    market = reader(START + 5 * MINUTE, Dividend("X", START + MINUTE, Decimal(1)))
    assert closes(market.get("X", "1m", adjusted=True, dividends=True))[0] == 99


# --- what is returned --------------------------------------------------------------------


def test_bars_are_a_list_with_exits_to_other_tools() -> None:
    bars = Bars(series(3, step=DAY))
    assert bars.closes() == [100, 101, 102]
    frame = bars.to_pandas()
    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert list(frame["close"]) == [100.0, 101.0, 102.0]
    assert frame.index[0] == pd.Timestamp("2024-01-01", tz="UTC")
    assert frame.index.name == "start"
    assert bars.to_arrow().column("close").to_pylist() == bars.closes()


def test_no_bars_are_an_empty_frame_of_floats() -> None:
    frame = Bars().to_pandas()
    assert len(frame) == 0
    assert str(frame["close"].dtype) == "float64"
    assert Bars().to_arrow().num_rows == 0
