"""DataSync: symbols do not hold each other up, retries end, and wrong data is not asked for again."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.error import TaskDefinitionError
from closingbell.tasks.data_sync import DataSync
from tests.unit.tasks.desk_rig import START, DeskRig


def bar(day: int, close: float = 10.0, **more: Any) -> dict[str, Any]:
    opened = START.replace(hour=14, minute=30) - timedelta(days=7 - day)
    row = {"time": opened, "open": 10.0, "high": 12.0, "low": 9.0, "close": close, "volume": 5}
    return {**row, "end": opened + timedelta(hours=6.5), **more}


class Latest:
    """Answers for each symbol in turn; an exception is raised."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def get_latest_data(self, symbol: str) -> Any:
        self.asked.append(symbol)
        answer = self.answers[symbol].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def sync(provider: Any, *symbols: str, **more: Any) -> DataSync:
    return DataSync(symbols, provider, timeframe="1d", **more)


def test_latest_data_of_every_symbol_is_stored_and_counted() -> None:
    rig = DeskRig()
    provider = Latest(A=[[bar(1), bar(2)], [bar(2, 11.0), bar(3)]], B=[[bar(1)], [bar(1)]])
    task = sync(provider, "A", "B")
    first, second = rig.run(task), rig.run(task, source="real_time_feed")
    closes = rig.algorithm("look").get_market_data("A", "1d").closes()

    assert first == {"added": 3, "changed": 0, "unchanged": 0, "failed": {}}
    assert (second["added"], second["changed"], second["unchanged"]) == (1, 1, 1)
    assert second["source"] == "real_time_feed"
    assert closes == [Decimal("10.0"), Decimal("11.0"), Decimal("10.0")]


def test_single_price_is_stored_as_one() -> None:
    rig = DeskRig()
    rig.run(DataSync(["BTC/EUR"], Latest(**{"BTC/EUR": [{"price": 41_000.5}]})))

    assert rig.algorithm("look").get_market_data("BTC/EUR", "quote")[-1].close == 41_000.5


def test_symbol_that_fails_holds_up_no_other_and_is_told_once() -> None:
    rig = DeskRig()
    down = [ConnectionError("no answer")] * 6
    provider = Latest(A=[*down, [bar(1)], *down], B=[[bar(1)]] * 4)
    task = sync(provider, "A", "B")
    found = [rig.run(task) for _ in range(4)]

    assert [list(one["failed"]) for one in found] == [["A"], ["A"], [], ["A"]]
    assert found[0]["failed"] == {"A": "ConnectionError: no answer"}
    assert [alert.message for alert in rig.alerts] == [
        "no data for A: ConnectionError: no answer"
    ] * 2
    assert rig.algorithm("look").get_market_data("B", "1d").closes() == [Decimal("10.0")]


def test_fetch_that_fails_is_tried_again_with_longer_waits() -> None:
    rig = DeskRig()
    provider = Latest(A=[TimeoutError(), TimeoutError(), [bar(1)]])
    began = rig.clock.now()
    rig.run(sync(provider, "A", tries=3, wait_s=2.0))

    assert provider.asked == ["A"] * 3
    assert rig.clock.now() - began == timedelta(seconds=6)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (bar(1, low=13.0), "low 13.0 is above high 12.0"),
        (bar(1, close=float("nan")), "NaN"),
        (bar(9), "it ends at"),
        ({"open": 1.0}, "its time is None"),
    ],
)
def test_wrong_data_is_refused_whole_and_not_asked_for_again(wrong: Any, says: str) -> None:
    rig = DeskRig()
    provider = Latest(A=[[bar(0), wrong]], B=[[bar(1)]])
    found = rig.run(sync(provider, "A", "B"))

    assert provider.asked == ["A", "B"]
    assert says in found["failed"]["A"]
    assert rig.catalogue.symbols() == ["B"]


def test_run_fails_when_no_symbol_works() -> None:
    rig = DeskRig()
    provider = Latest(A=[ConnectionError("down")], B=[ConnectionError("down")])

    with pytest.raises(ConnectionError, match="down"):
        rig.run(sync(provider, "A", "B", tries=1))


class Bars:
    """Knows a bar for each day."""

    def __init__(self) -> None:
        self.asked: list[datetime | None] = []

    def get_bars(self, symbol: str, timeframe: str, since: datetime | None) -> Any:
        self.asked.append(since)
        known = [bar(day) for day in range(1, 5)]
        return [b for b in known if since is None or b["time"].replace(tzinfo=None) >= since]


def test_provider_of_bars_is_asked_from_the_newest_stored_one_on() -> None:
    rig, provider = DeskRig(), Bars()
    task = sync(provider, "A")
    first, second = rig.run(task), rig.run(task)

    assert provider.asked == [None, bar(4)["time"].replace(tzinfo=None)]
    assert (first["added"], second["added"], second["unchanged"]) == (4, 0, 1)


@pytest.mark.parametrize(
    ("given", "more"),
    [("AAPL", {}), (["A"], {"tries": 0}), (["A"], {"wait_s": -1}), (["A"], {"timeframe": None})],
)
def test_argument_that_cannot_be_is_refused_at_once(given: Any, more: dict[str, Any]) -> None:
    with pytest.raises(TaskDefinitionError, match="data_sync"):
        DataSync(given, Bars(), **{"timeframe": "1d", **more})
