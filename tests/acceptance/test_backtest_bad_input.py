"""Backtests that cannot be run as they were asked for: each is refused, and says what to do."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from closingbell import App, create_app
from closingbell.core.bar import Bar
from closingbell.core.error import BacktestError, CalendarError, MarketDataError, SettingError


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = create_app(tmp_path / "desk.db", guardian=False)
    app.registry.register_task("look", lambda algorithm: None, session="XNYS close")
    yield app
    app.stop()


def bar(day: int, symbol: str = "AAPL", **values: Any) -> Bar:
    start = int(datetime(2024, 1, day, 14, 30, tzinfo=UTC).timestamp()) * 1_000_000
    opened, high, low, close = (
        Decimal(values.get(name, 100)) for name in ("open", "high", "low", "close")
    )
    end = start + 23_400_000_000
    return Bar(symbol, start, end, opened, high, low, close, Decimal(1000))


CASES: list[tuple[dict[str, Any], str]] = [
    ({"start": "2005-01-01", "end": "2004-01-01"}, "an instant after start"),
    ({"start": date(2005, 1, 3), "end": datetime(2005, 1, 3)}, "after start"),  # noqa: DTZ001
    ({"start": "1999-01-01", "end": "1999-12-31"}, "meets the data, which is from 2000-03-01"),
    ({"start": "2014-01-01", "end": "2015-12-31"}, "meets the data, which is from 2000-03-01"),
    ({"start": "2004-07-03", "end": "2004-07-04"}, "bars of timeframe '1d' begin"),
    ({"start": "yesterday"}, "ISO text such as"),
    ({"start": 20040101}, "a datetime, a date"),
    ({"end": "2004-13-01"}, "ISO text such as"),
    ({"symbols": ["AAPPL"]}, "did you mean 'AAPL'?"),
    ({"symbols": []}, "some of AAPL, FB, GOOG, IBM, MSFT"),
    ({"symbols": "FB"}, "symbols with bars of timeframe '1d' in the window"),
    ({"tasks": ["lok"]}, "did you mean 'look'?"),
    ({"tasks": [print]}, "names of registered tasks"),
    ({"timeframe": "1m"}, "bars of the account's timeframe"),
    ({"timeframe": "1 fortnight"}, "one such as '1m', '1h', '1d'"),
    ({"cash": 0}, "an amount above 0"),
    ({"cash": "plenty"}, "an amount above 0"),
    ({"cash": float("nan")}, "an amount above 0"),
    ({"seed": 1.5}, "a whole number"),
    ({"seed": True}, "a whole number"),
    ({"data": "/nowhere/prices.csv"}, "the path of a file or folder that is there"),
    ({"data": 17}, "a source of bars, a mapping"),
]


@pytest.mark.parametrize(("asked", "advice"), CASES, ids=lambda value: str(value)[:40])
def test_what_cannot_be_run_is_refused_with_advice(
    app: App, asked: dict[str, Any], advice: str
) -> None:
    window = {"start": "2004-01-05", "end": "2004-02-05"}

    with pytest.raises(BacktestError) as refusal:
        app.backtest(**{**window, **asked})

    assert advice in str(refusal.value)
    assert app.store.backtests.recent() == []


@pytest.mark.parametrize(
    "option", [{"fee": "much"}, {"slippage": "some"}, {"fill": "never"}, {"volume_share": 2}]
)
def test_broker_options_that_cannot_be_read_are_refused(app: App, option: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        app.backtest("2004-01-05", "2004-02-05", **option)


@pytest.mark.parametrize(
    "bars",
    [
        [bar(3), bar(2), bar(3)],
        [bar(2, high=90)],
        [bar(2, low=101)],
        [bar(2, close="NaN")],
        [bar(2, open=-1)],
    ],
)
def test_bars_that_cannot_be_right_are_refused(app: App, bars: list[Bar]) -> None:
    with pytest.raises(MarketDataError):
        app.backtest("2024-01-01", "2024-02-01", {"AAPL": bars})


def test_bars_of_another_timeframe_are_refused_with_the_way_to_name_it(app: App) -> None:
    rows = [
        {"time": f"2024-01-02T00:0{n}:00Z", "open": 1, "high": 1, "low": 1, "close": 1}
        for n in range(5)
    ]

    with pytest.raises(MarketDataError, match="name timeframe="):
        app.backtest(data={"BTC/USD": rows}, store=False)
    assert app.backtest(data={"BTC/USD": rows}, store=False, timeframe="1m").events.bars == 5


def test_a_window_that_the_venues_calendar_does_not_know_is_refused(app: App) -> None:
    bars = [bar(2)._replace(start=-(10**15), end=-(10**15) + 86_400_000_000)]

    with pytest.raises(BacktestError, match=r"calendar='24/7'"):
        app.backtest(datetime(1938, 1, 1, tzinfo=UTC), datetime(1939, 1, 1, tzinfo=UTC), bars)


def test_an_unknown_venue_is_refused_where_it_is_written(app: App) -> None:
    with pytest.raises((CalendarError, ValueError), match="XNYX"):
        app.add_account(calendar="XNYX")


def test_freezing_time_is_refused_while_the_app_runs(app: App) -> None:
    with app.running(), pytest.raises(BacktestError, match="its own clock would stand"):
        app.backtest("2004-01-05", "2004-02-05", freeze=True)


def test_a_window_of_a_few_hours_works(app: App) -> None:
    start = datetime(2004, 1, 5, 14, tzinfo=UTC)
    report = app.backtest(start, start + timedelta(hours=8), store=False)

    assert report.tasks["look"].success == 1


def test_dates_mean_whole_days_in_the_apps_zone(tmp_path: Path) -> None:
    app = create_app(tmp_path / "desk.db", timezone="Asia/Tokyo", guardian=False)
    seen: list[datetime] = []

    @app.task(interval="6h")
    def look(algorithm: Any) -> None:
        seen.append(algorithm.now())

    app.backtest(date(2004, 1, 5), "2004-01-06", store=False)
    app.stop()

    assert seen[0] == datetime(2004, 1, 5, 3)  # noqa: DTZ001  (00:00, 06:00 ... in UTC)
    assert seen[-1] == datetime(2004, 1, 6, 21)  # noqa: DTZ001


def test_a_script_without_a_main_guard_does_not_begin_again_in_its_children(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            from closingbell import create_app
            app = create_app("desk.db", guardian=False)

            @app.task(interval="1d", executor="process", retries=0)
            def work():
                return 1

            report = app.backtest("2004-01-05", "2004-01-06", store=False)
            print(report.tasks["work"].failed, report.tasks["work"].last_error)
            """
        )
    )
    ran = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert ran.stdout.startswith("2 HandlerNotFound")
    assert '__name__ == "__main__"' in ran.stdout
