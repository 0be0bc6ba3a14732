"""The manifest of market data, on both stores and in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from closingbell.core.bar import Dividend, Split
from closingbell.core.error import LedgerConflict, StoreError
from closingbell.core.ledger import Fact, FileVersion, Manifest
from closingbell.store.store import open_store
from tests.conformance.desk import Desk

FACT = Fact("market_data_update", {"symbol": "AAPL"})


def file(symbol: str = "AAPL", period: str = "2012", version: int = 1, **more: Any) -> FileVersion:
    """A version of a file of daily bars."""
    name = f"{symbol}/{period}-{version}.parquet"
    return FileVersion(symbol, "1d", period, name, version, 252, 1000, 2000)._replace(**more)


def test_files_are_put_in_place_and_listed_in_order(manifest: Manifest) -> None:
    files = [file(), file(period="2011"), file("MSFT"), file(timeframe="1m", period="2012-11")]
    manifest.replace(files, [], [], 1)
    assert manifest.files() == [files[1], files[0], files[3], files[2]]
    assert manifest.files("AAPL") == [files[1], files[0], files[3]]
    assert manifest.files("AAPL", "1m") == [files[3]]
    assert manifest.files(timeframe="1d") == [files[1], files[0], files[2]]
    assert manifest.files("nobody") == []


def test_newer_version_takes_the_place_of_the_present_one(manifest: Manifest) -> None:
    manifest.replace([file()], [], [], 1)
    newer = file(version=2, rows=253, last=3000)
    manifest.replace([newer], [file()], [], 2)
    assert manifest.files() == [newer]


def test_gone_files_are_taken_away_and_may_come_again(manifest: Manifest) -> None:
    manifest.replace([file(), file("MSFT")], [], [], 1)
    manifest.replace([file(period="2013")], [file()], [], 2)
    assert manifest.files("AAPL") == [file(period="2013")]
    manifest.replace([file()], [], [], 3)
    assert len(manifest.files()) == 3


@pytest.mark.parametrize(
    ("files", "gone"),
    [
        ([file(version=1)], []),
        ([file(version=3)], []),
        ([file("MSFT", version=2)], []),
        ([], [file(version=2)]),
        ([], [file("MSFT")]),
    ],
    ids=["known as new", "one left out", "new as known", "gone in another version", "never there"],
)
def test_writer_that_was_not_first_changes_nothing(
    manifest: Manifest, files: list[FileVersion], gone: list[FileVersion]
) -> None:
    manifest.replace([file()], [], [], 1)
    with pytest.raises(LedgerConflict):
        manifest.replace([file("ZZ"), *files], gone, [], 2)
    assert manifest.files() == [file()]


def test_actions_are_stored_once_and_listed_by_time(manifest: Manifest) -> None:
    first = Split("AAPL", 500, Decimal(7))
    others = [Dividend("MSFT", 400, Decimal("0.50")), Dividend("AAPL", 400, Decimal("0.31"))]
    assert manifest.put_actions([first, *others, first]) == 3
    assert manifest.put_actions([Dividend("MSFT", 400, Decimal("0.5"))]) == 0
    assert manifest.put_actions([]) == 0
    assert manifest.actions() == [others[1], others[0], first]
    assert [type(action) for action in manifest.actions()] == [Dividend, Dividend, Split]


def test_split_and_dividend_of_one_number_are_two_actions(manifest: Manifest) -> None:
    actions = [Split("AAPL", 500, Decimal(2)), Dividend("AAPL", 500, Decimal(2))]
    assert manifest.put_actions(actions) == 2
    assert manifest.put_actions(actions) == 0
    assert {type(action) for action in manifest.actions()} == {Split, Dividend}


# --- stores ------------------------------------------------------------------------------


def test_change_and_its_facts_are_one_transaction(desk: Desk) -> None:
    told: list[Fact] = []
    followed: list[int] = []

    def emit(connection: sa.Connection, facts: Sequence[Fact]) -> bool:
        assert connection.in_transaction()
        told.extend(facts)
        return True

    desk.store.announcer.emit = emit
    desk.store.announcer.on_started = lambda: followed.append(len(desk.store.manifest.files()))
    desk.store.manifest.replace([file()], [], [FACT], 1)
    assert (told, followed) == ([FACT], [1])
    with pytest.raises(LedgerConflict):
        desk.store.manifest.replace([file()], [], [FACT], 2)
    assert (told, followed) == ([FACT], [1])


@pytest.mark.parametrize(
    "impossible", [file(rows=0), file(first=2001, last=2000), file(version=0)], ids=str
)
def test_file_that_cannot_be_is_refused(desk: Desk, impossible: FileVersion) -> None:
    with pytest.raises((StoreError, LedgerConflict)):
        desk.store.manifest.replace([impossible], [], [], 1)
    assert desk.store.manifest.files() == []


def test_of_writers_at_once_one_is_first_for_all_its_files(desk: Desk) -> None:
    stores = [open_store(desk.address, desk.clock) for _ in range(4)]
    start = threading.Barrier(len(stores))
    outcomes: list[str] = []
    symbols = ["A", "B", "C", "D"]

    def write(number: int) -> None:
        # Each in an order of its own: nobody may wait in a circle.
        mine = symbols[number:] + symbols[:number]
        for version in range(1, 6):
            start.wait(60)
            files = [file(symbol, version=version, file=f"by-{number}") for symbol in mine]
            try:
                stores[number].manifest.replace(files, [], [], version)
                outcomes.append("first")
            except LedgerConflict:
                outcomes.append("conflict")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for store in stores:
        store.close()
    assert (outcomes.count("first"), outcomes.count("conflict")) == (5, 15)
    present = desk.store.manifest.files()
    assert {one.version for one in present} == {5}
    assert len({one.file for one in present}) == 1
