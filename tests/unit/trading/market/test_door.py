"""The door of market data: what is understood, what is refused, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest

from closingbell.core.bar import QUOTE, Bar
from closingbell.core.clock import to_micros
from closingbell.core.error import CalendarError, MarketDataError
from closingbell.trading.market.door import read_bars
from tests.unit.trading.market.sample import DAY, MINUTE, START, bar, series, weekday_hours

NEW_YORK = ZoneInfo("America/New_York")
NOW = START + 10 * DAY
ANYTHING: Any = 1.5
NAIVE = datetime(2024, 1, 1, 9, 30)  # noqa: DTZ001 - as users write them
OHLC = {"open": 10, "high": 12, "low": 9, "close": 11, "volume": 5}
#: What every form below means: two one-minute bars.
TWO = [
    Bar("X", START, START + MINUTE, *map(Decimal, (10, 12, 9, 11, 5))),
    Bar("X", START + MINUTE, START + 2 * MINUTE, *map(Decimal, ("11", "12.5", "10", "12", "6"))),
]
AWARE = [datetime(2024, 1, 1, 0, minute, tzinfo=UTC) for minute in (0, 1)]
COLUMNS: dict[str, list[Any]] = {
    "open": [10, 11],
    "high": [12, 12.5],
    "low": [9, 10],
    "close": [11, 12],
    "volume": [5, 6],
}


def rows(**changes: Any) -> list[dict[str, Any]]:
    """Two minutes as mappings; changes replace or add values of the second."""
    both = [
        {"time": at, **{name: values[row] for name, values in COLUMNS.items()}}
        for row, at in enumerate(AWARE)
    ]
    both[1] |= changes
    return both


@dataclass
class Candle:
    """How somebody else may hold a bar."""

    timestamp: int
    o: float
    h: float
    l: float  # noqa: E741
    c: float
    v: int


@pytest.mark.parametrize(
    "data",
    [
        TWO,
        rows(),
        {"timestamp": AWARE, **COLUMNS},
        {"Date": AWARE, **{name.title(): values for name, values in COLUMNS.items()}},
        [[START // 1000, 10, 12, 9, 11, 5], [(START + MINUTE) // 1000, 11, 12.5, 10, 12, 6]],
        [(START // 1_000_000, 10, 12, 9, 11, 5), (START // 1_000_000 + 60, 11, 12.5, 10, 12, 6)],
        [Candle(START, 10, 12, 9, 11, 5), Candle(START + MINUTE, 11, 12.5, 10, 12, 6)],
        {"t": ["2024-01-01T00:00:00Z", "2023-12-31T19:01:00-05:00"], **COLUMNS},
        {"start": AWARE, "end": [AWARE[1], START // 1000 + 120_000], **COLUMNS},
        {"1. open": ["10", "11"], "2. high": ["12", "12.5"], "3. low": ["9", "10"],
         "4. close": ["11", "12"], "5. volume": ["5", "6"], "timestamp": AWARE},
        pd.DataFrame(COLUMNS, index=pd.DatetimeIndex(AWARE)),
        pd.DataFrame({**COLUMNS, "time": AWARE}),
        pd.DataFrame(COLUMNS, index=pd.DatetimeIndex(AWARE, name="Datetime")).rename(
            columns=lambda name: (name.title(), "X")
        ),
        pa.table({"ts": pa.array([START, START + MINUTE], pa.timestamp("us", "UTC")), **COLUMNS}),
    ],
    ids=[
        "bars", "mappings", "columns", "titled columns", "ccxt lists", "tuples in seconds",
        "dataclasses", "ISO text", "start and end", "numbered names", "pandas by index",
        "pandas by column", "pandas of a download", "pyarrow",
    ],
)  # fmt: skip
def test_data_in_any_usual_form_is_the_same_bars(data: Any) -> None:
    batch = read_bars("X", data, now=NOW)
    assert batch.timeframe == "1m"
    assert batch.bars == TWO
    assert batch.notes == ()


def test_float_counts_as_the_number_that_it_prints() -> None:
    one = rows(open=11.1, close=11.3)[1:]
    assert read_bars("X", one, timeframe="1m").bars[0].open == Decimal("11.1")


def test_missing_volume_is_zero() -> None:
    plain = [{name: value for name, value in row.items() if name != "volume"} for row in rows()]
    assert [b.volume for b in read_bars("X", plain).bars] == [0, 0]
    assert read_bars("X", rows(volume=None)).bars[1].volume == 0


def test_columns_without_meaning_are_named_in_a_note() -> None:
    batch = read_bars("X", {"time": AWARE, **COLUMNS, "Adj Close": [1, 2], "flag": [0, 0]})
    assert batch.notes == ("ignored: Adj Close, flag",)


# --- days --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "when",
    [
        date(2024, 1, 3),
        "2024-01-03",
        NAIVE.replace(day=3, hour=0, minute=0),
        datetime(2024, 1, 3, tzinfo=UTC),
        datetime(2024, 1, 3, tzinfo=NEW_YORK),
        datetime(2024, 1, 3, 14, 30, tzinfo=UTC),
        datetime(2024, 1, 3, 16, 0, tzinfo=NEW_YORK),
        pd.Timestamp("2024-01-03", tz="America/New_York"),
        to_micros(datetime(2024, 1, 3, tzinfo=UTC)) // 1000,
    ],
    ids=["date", "text", "midnight", "midnight UTC", "midnight there", "open", "close", "pandas",
         "milliseconds"],
)  # fmt: skip
def test_daily_bar_lasts_from_open_to_close_of_its_session(when: Any) -> None:
    batch = read_bars("X", [{"date": when, **OHLC}], timeframe="1d", hours=weekday_hours, now=NOW)
    day = to_micros(datetime(2024, 1, 3, tzinfo=UTC))
    assert [b[1:3] for b in batch.bars] == [(day + 870 * MINUTE, day + 1_260 * MINUTE)]


def test_daily_bar_of_a_pair_lasts_all_day_also_on_sunday() -> None:
    sunday = [{"date": "2024-01-07", **OHLC}]
    batch = read_bars("BTC/EUR", sunday, hours=weekday_hours, now=NOW)
    day = to_micros(datetime(2024, 1, 7, tzinfo=UTC))
    assert [b[1:3] for b in batch.bars] == [(day, day + DAY)]


def test_local_day_of_a_clock_change_has_its_own_length() -> None:
    days = [{"date": "2024-03-31", **OHLC}, {"date": "2024-04-01", **OHLC}]
    first, second = read_bars("BTC/EUR", days, timezone=ZoneInfo("Europe/Berlin")).bars
    assert first.end - first.start == DAY - 3_600_000_000
    assert first.end == second.start


def test_day_that_is_no_session_is_refused_with_its_weekday() -> None:
    saturday = [{"date": "2024-01-05", **OHLC}, {"date": "2024-01-06", **OHLC}]
    with pytest.raises(MarketDataError, match=r"row 1: 2024-01-06 \(Saturday\) is no session"):
        read_bars("X", saturday, hours=weekday_hours)


def test_daily_time_that_is_neither_date_nor_open_nor_close_is_refused() -> None:
    wrong = [{"time": datetime(2024, 1, 3, 9, 30, tzinfo=UTC), **OHLC}]
    with pytest.raises(MarketDataError, match="check the zone of the times"):
        read_bars("X", wrong, timeframe="1d", hours=weekday_hours)


def test_day_beyond_the_calendar_is_refused_and_says_so() -> None:
    def unknown(first: date, last: date) -> list[tuple[date, int, int]]:
        raise CalendarError("XNYS", "it is known from 1990")

    with pytest.raises(MarketDataError, match="does not know all days from 1970-02-03"):
        read_bars("X", [{"date": "1970-02-03", **OHLC}], hours=unknown)


def test_first_and_last_known_day_of_a_calendar_are_read() -> None:
    def known(first: date, last: date) -> list[tuple[date, int, int]]:
        if first < date(2024, 1, 3) or last > date(2024, 1, 4):
            raise CalendarError("XNYS", "it is known for two days")
        return weekday_hours(first, last)

    days = [{"date": day, **OHLC} for day in ("2024-01-03", "2024-01-04")]
    assert len(read_bars("X", days, hours=known).bars) == 2


def test_week_starts_at_its_date() -> None:
    (week,) = read_bars("X", [{"date": "2024-01-01", **OHLC}], timeframe="1w").bars
    assert (week.start, week.end) == (START, START + 7 * DAY)


# --- timeframes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "timeframe"),
    [(1_000_000, "1s"), (MINUTE, "1m"), (5 * MINUTE, "5m"), (60 * MINUTE, "1h"), (DAY, "1d")],
)
def test_timeframe_is_told_from_the_step_between_rows(step: int, timeframe: str) -> None:
    first = START + 7 * MINUTE
    table = {"time": [first, first + step], **COLUMNS}
    assert read_bars("X", table).timeframe == timeframe


def test_timeframe_of_bars_is_told_from_their_length() -> None:
    assert read_bars("X", series(3)).timeframe == "1m"
    assert read_bars("X", bar(START, length=390 * MINUTE)).timeframe == "1d"


def test_timeframe_that_the_rows_name_counts() -> None:
    one = [{**rows()[0], "interval": "5m"}]
    assert read_bars("X", one).bars[0].end == START + 5 * MINUTE


def test_one_row_of_a_table_does_not_tell_its_timeframe() -> None:
    with pytest.raises(MarketDataError, match="name it: timeframe="):
        read_bars("X", rows()[1:])


# --- prices ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "price"),
    [
        ({"price": 101.5}, "101.5"),
        ({"symbol": "X", "last": "101.5", "bid": 101, "ask": 102}, "101.5"),
        ({"last": 7, "timestamp": (NOW - MINUTE) // 1000, "datetime": "ignored", "high": 9}, "7"),
        (101.5, "101.5"),
        (Decimal("101.5"), "101.5"),
        ({**OHLC}, "11"),
        ({"time": datetime(2024, 1, 1, 0, 1, tzinfo=UTC), **OHLC}, "11"),
        (pd.Series({"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0}), "11"),
    ],
    ids=["price", "ticker", "ticker with a time", "number", "decimal", "snapshot without a time",
         "snapshot", "row of a frame"],
)  # fmt: skip
def test_live_row_is_a_price_of_one_instant(data: Any, price: str) -> None:
    batch = read_bars("X", data, now=NOW)
    (one,) = batch.bars
    assert batch.timeframe == QUOTE
    assert one.start == one.end <= NOW
    assert {one.open, one.high, one.low, one.close} == {Decimal(price)}
    assert one.volume == 0


def test_live_row_that_names_a_day_that_is_over_is_a_daily_bar() -> None:
    batch = read_bars("X", {"date": "2024-01-03", **OHLC}, hours=weekday_hours, now=NOW)
    assert batch.timeframe == "1d"


def test_live_row_at_midnight_is_no_bar_of_the_day_that_begins() -> None:
    midnight = {"time": datetime(2024, 1, 1, tzinfo=UTC), **OHLC}
    assert read_bars("BTC/EUR", midnight, now=START + 5_000_000).timeframe == QUOTE


def test_live_row_with_a_timeframe_is_a_bar() -> None:
    batch = read_bars("X", rows()[1] | {"last": 11}, timeframe="1m", now=NOW)
    assert batch.bars == TWO[1:]


def test_table_of_prices_is_a_series_of_prices() -> None:
    batch = read_bars("X", {"time": AWARE, "price": [1, "1.5"]}, now=NOW)
    assert [b.start for b in batch.bars] == [START, START + MINUTE]
    assert [b.close for b in batch.bars] == [Decimal(1), Decimal("1.5")]


def test_price_of_a_clock_that_is_a_little_ahead_is_of_now() -> None:
    (one,) = read_bars("X", {"price": 1, "time": NOW + 1_500_000}, now=NOW).bars
    assert one.start == NOW
    with pytest.raises(MarketDataError, match="and it is"):
        read_bars("X", {"price": 1, "time": NOW + 3_000_000}, now=NOW)


# --- refusals ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"low": 13}, "low 13 is above high 12.5"),
        ({"open": 13}, "open 13 is outside of low 10 and high 12.5"),
        ({"close": 9}, "close 9 is outside of low 10"),
        ({"high": float("nan")}, "high is NaN; expected a number above 0"),
        ({"high": float("inf")}, "high is Infinity"),
        ({"low": -1}, "low is -1"),
        ({"low": 0}, "low is 0"),
        ({"close": None}, "close is missing"),
        ({"close": "n/a"}, "close is 'n/a'"),
        ({"close": True}, "close is True"),
        ({"volume": -1}, "volume is -1"),
        ({"volume": float("nan")}, "volume is NaN"),
        ({"time": AWARE[0]}, "2024-01-01T00:00:00+00:00 is there twice"),
        ({"time": datetime(2023, 12, 31, tzinfo=UTC)}, "the times go back"),
        ({"time": datetime(2024, 1, 1, 0, 0, 30, tzinfo=UTC)}, "may not overlap"),
        ({"time": NAIVE}, "names no zone; give aware times"),
        ({"time": None}, "its time is None"),
        ({"time": "yesterday"}, "its time 'yesterday' cannot be read"),
        ({"time": 17}, "its time 17 cannot be read"),
        ({"time": pd.NaT}, "its time is NaT"),
        ({"time": datetime(2031, 1, 1, tzinfo=UTC)}, "leave out what is not over yet"),
        ({"symbol": "Y"}, "it is a row of 'Y'"),
    ],
)
def test_wrong_row_is_refused_by_symbol_and_row(change: dict[str, Any], said: str) -> None:
    with pytest.raises(MarketDataError) as refused:
        read_bars("X", rows(**change), timeframe="1m", now=NOW)
    assert said in str(refused.value)
    assert (refused.value.symbol, refused.value.row) == ("X", 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "it is of type NoneType"),
        ("AAPL", "it is of type str"),
        ([], "there are no rows"),
        ({"time": [], **{name: [] for name in COLUMNS}}, "there are no rows"),
        (pd.DataFrame(COLUMNS).iloc[:0], "there are no rows"),
        ({}, "there are no rows"),
        ({"note": "none"}, "it lacks open, high, low, close (it has nothing that is known)"),
        ([{"time": AWARE[0], "close": 5}], "it lacks open, high, low (it has time, close)"),
        ([dict.fromkeys(COLUMNS, 1)], "it lacks a time"),
        ([[1, 2, 3]], "3 values without names"),
        ([rows()[0], [1, 2, 3, 4, 5]], "5 values without names"),
        ([[START, 1, 1, 1, 1], rows()[0]], "it has no names"),
        ([TWO[0], rows()[1]], "expected bars"),
        ([5, 6], "it is of type int"),
        ({"time": AWARE, "open": [1]}, "the columns differ in length"),
        ({"o": [1], "open": [1]}, "both mean open"),
        (pd.DataFrame([[1, 2]], columns=["open", "open"]), "is there twice"),
        ([TWO[0]._replace(symbol="Y")], "it is a bar of 'Y'"),
        ([TWO[0]._replace(close=ANYTHING)], "close is 1.5; expected a Decimal"),
        ([TWO[0]._replace(start=ANYTHING)], "start is 1.5"),
        ([TWO[0]._replace(end=START)], "expected its end after its start"),
        ([TWO[0]._replace(end=START + DAY)], "expected no more than 1m"),
        ({"price": [1, 2]}, "it lacks a time"),
    ],
)
def test_data_that_is_nothing_is_refused(data: Any, said: str) -> None:
    timeframe = "1m" if isinstance(data, list) else None
    with pytest.raises(MarketDataError) as refused:
        read_bars("X", data, timeframe=timeframe, now=NOW)
    assert said in str(refused.value)


@pytest.mark.parametrize("symbol", ["", " X", "X" * 65, "A\nB", None, 5])
def test_name_that_is_no_symbol_is_refused(symbol: Any) -> None:
    with pytest.raises(MarketDataError, match="this is no symbol"):
        read_bars(symbol, TWO)


@pytest.mark.parametrize("timeframe", ["1x", "", "0m", "daily"])
def test_timeframe_that_cannot_be_read_is_refused(timeframe: str) -> None:
    with pytest.raises(MarketDataError, match="the timeframe cannot be read"):
        read_bars("X", TWO, timeframe=timeframe)


def test_minutes_outside_of_sessions_are_kept_and_noted() -> None:
    early = {"time": [START + 869 * MINUTE, START + 870 * MINUTE], **COLUMNS}
    batch = read_bars("X", early, hours=weekday_hours)
    assert batch.notes == ("1 of 2 bars start outside of sessions: right zone?",)
    assert read_bars("A/B", early, hours=weekday_hours).notes == ()
    late = {"time": [START + 1_259 * MINUTE, START + 1_260 * MINUTE], **COLUMNS}
    assert len(read_bars("X", late, hours=weekday_hours).notes) == 1


def test_naive_times_are_of_the_zone_that_is_given() -> None:
    naive = {"time": [NAIVE, NAIVE.replace(minute=31)], **COLUMNS}
    first, _ = read_bars("X", naive, timezone=NEW_YORK).bars
    assert first.start == START + 870 * MINUTE


def test_row_may_name_the_pair_by_its_first_currency() -> None:
    assert read_bars("BTC/EUR", {"symbol": "BTC", "price": 1}, now=NOW).timeframe == QUOTE
