"""Stored backtests, on both stores."""

from __future__ import annotations

import threading

import pytest

from closingbell.core.error import UnknownBacktest
from closingbell.core.ledger import BacktestRecord
from closingbell.store.store import open_store
from tests.conformance.desk import Desk

PAGES = {"equity": [b"\x00\xff page 1", b"page 2"], "trades": [b""], "orders": []}


def backtest(backtest_id: str = "b1", finished_at: int = 20, **summary: object) -> BacktestRecord:
    """A finished backtest."""
    found = {"metrics": {"return": 0.1, "sharpe": None}, "seed": 7, **summary}
    return BacktestRecord(backtest_id, "momentum é", 10, finished_at, found)


def test_backtest_comes_back_with_its_pages_in_order(desk: Desk) -> None:
    backtests = desk.store.backtests
    assert backtests.put(backtest(), PAGES) == "b1"
    assert backtests.get("b1") == backtest()
    for kind, pages in PAGES.items():
        assert backtests.pages("b1", kind) == pages
    assert backtests.pages("b1", "nothing") == []
    assert backtests.pages("b2", "equity") == []


def test_same_result_again_is_left_as_it_is(desk: Desk) -> None:
    backtests = desk.store.backtests
    backtests.put(backtest(), PAGES)
    later = backtest(finished_at=99)
    assert backtests.put(later._replace(started_at=90, name="another name"), PAGES) == "b1"
    assert backtests.recent() == [backtest()]


def test_other_result_under_a_taken_id_gets_a_number(desk: Desk) -> None:
    backtests = desk.store.backtests
    backtests.put(backtest(), PAGES)
    assert backtests.put(backtest(seed=8), PAGES) == "b1-2"
    assert backtests.put(backtest(), {"equity": [b"other"]}) == "b1-3"
    assert backtests.put(backtest(seed=8), PAGES) == "b1-2"
    assert backtests.get("b1-3").id == "b1-3"
    assert backtests.pages("b1-3", "equity") == [b"other"]
    assert backtests.pages("b1", "equity") == PAGES["equity"]


def test_pages_that_are_cut_elsewhere_are_another_result(desk: Desk) -> None:
    backtests = desk.store.backtests
    assert backtests.put(backtest(), {"equity": [b"ab", b"c"]}) == "b1"
    assert backtests.put(backtest(), {"equity": [b"a", b"bc"]}) == "b1-2"


def test_backtest_is_found_by_the_beginning_of_its_id(desk: Desk) -> None:
    backtests = desk.store.backtests
    for backtest_id in ("abcd", "abef", "x", "x-2"):
        backtests.put(backtest(backtest_id), {})
    assert backtests.get("abc").id == "abcd"
    assert backtests.get("x").id == "x"
    for unknown in ("ab", "q", "", "abcd0", "%", "_bcd"):
        with pytest.raises(UnknownBacktest):
            backtests.get(unknown)
    with pytest.raises(UnknownBacktest, match="did you mean 'abcd'"):
        backtests.get("abdd")


def test_recent_backtests_are_the_newest_first(desk: Desk) -> None:
    backtests = desk.store.backtests
    for number in range(5):
        backtests.put(backtest(f"b{number}", finished_at=100 - number), {})
    assert [record.id for record in backtests.recent(3)] == ["b0", "b1", "b2"]
    assert len(backtests.recent()) == 5


def test_removed_backtest_is_gone_with_its_pages(desk: Desk) -> None:
    backtests = desk.store.backtests
    backtests.put(backtest(), PAGES)
    backtests.put(backtest("b12"), PAGES)
    assert backtests.remove("b1") is True
    assert backtests.remove("b1") is False
    assert backtests.pages("b1", "equity") == []
    assert backtests.pages("b12", "equity") == PAGES["equity"]
    assert backtests.put(backtest(seed=9), {}) == "b1"


def test_one_result_that_is_put_by_many_at_once_is_stored_once(desk: Desk) -> None:
    stores = [open_store(desk.address, desk.clock) for _ in range(4)]
    start = threading.Barrier(len(stores))
    ids: list[str] = []

    def put(number: int) -> None:
        start.wait(60)
        ids.append(stores[number].backtests.put(backtest(seed=number % 2), PAGES))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for store in stores:
        store.close()
    assert sorted(ids) == ["b1", "b1", "b1-2", "b1-2"]
    assert desk.store.backtests.pages("b1-2", "equity") == PAGES["equity"]
