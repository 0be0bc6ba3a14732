"""Market data with the store's manifest: several writers, sudden deaths, one transaction."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from closingbell.core.bar import CorporateAction, Dividend, Split
from closingbell.core.clock import SystemClock
from closingbell.core.error import StoreFull
from closingbell.core.ledger import Fact
from closingbell.store.store import Store, open_store
from closingbell.trading.market.catalogue import BarCatalogue
from tests.integration.market_writer import row

EVER = 1 << 62
Writer = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(store_address: str) -> Iterator[Store]:
    """An empty store, on each database in turn."""
    opened = open_store(store_address, SystemClock())
    opened.prepare()
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def catalogue(store: Store, tmp_path: Path) -> BarCatalogue:
    return BarCatalogue(tmp_path / "market", store.manifest, None, SystemClock())


def closes(catalogue: BarCatalogue) -> list[int]:
    return [int(bar.close) for bar in catalogue.bars("X", "1m", 0, EVER)]


@pytest.fixture
def writer(store_address: str, tmp_path: Path) -> Iterator[Writer]:
    """Starts processes that store bars: (first minute, step, count)."""
    started: list[Any] = []

    def start(*numbers: int) -> Any:
        words = [store_address, str(tmp_path / "market"), *map(str, numbers)]
        command = [sys.executable, "-m", "tests.integration.market_writer", *words]
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def events(store: Store) -> list[str]:
    with store.database.reading() as connection:
        return list(connection.execute(sa.text("SELECT type FROM events")).scalars())


def test_writers_of_one_file_at_the_same_time_lose_nothing(
    store: Store, catalogue: BarCatalogue, tmp_path: Path, writer: Writer
) -> None:
    writers = [writer(first, 4, 12) for first in range(4)]
    for process in writers:
        process.communicate(timeout=90)
        assert process.returncode == 0
    assert closes(catalogue) == list(range(1, 49))
    assert list(catalogue.problems()) == []
    (file,) = store.manifest.files()
    assert (file.version, file.rows) == (48, 48)
    left = list((tmp_path / "market").rglob("*.parquet"))
    assert [path.relative_to(tmp_path / "market").as_posix() for path in left] == [file.file]


def test_killed_writer_leaves_every_bar_that_it_said_was_stored(
    catalogue: BarCatalogue, writer: Writer
) -> None:
    said: list[int] = []
    for life in range(5):
        process = writer(life * 100, 1, 100)
        for _ in range(3 + life):
            said.append(int(process.stdout.readline()))
        process.kill()
        said += map(int, process.stdout.read().split())
        process.wait()
    stored = closes(catalogue)
    assert {minute + 1 for minute in said} <= set(stored)
    # One bar at most was stored and not said, in each life.
    assert len(stored) <= len(said) + 5
    assert list(catalogue.problems()) == []
    assert catalogue.store("X", [row(900)], timeframe="1m").added == 1


def test_bars_and_their_event_are_true_together_or_not_at_all(
    store: Store, catalogue: BarCatalogue
) -> None:
    stored = store.announcer.emit

    def fails(connection: Any, facts: Any) -> bool:
        stored(connection, facts)
        raise StoreFull("no room for the runs")

    store.announcer.emit = fails
    with pytest.raises(StoreFull):
        catalogue.store("X", [row(0)], timeframe="1m")
    assert events(store) == []
    assert closes(catalogue) == []
    store.announcer.emit = stored
    assert catalogue.store("X", [row(0)], timeframe="1m").added == 1
    assert events(store) == ["market_data_update"]
    assert closes(catalogue) == [1]


def test_single_price_is_a_file_of_the_store(store: Store, catalogue: BarCatalogue) -> None:
    assert catalogue.store("X", {"price": 5}).added == 1
    (file,) = store.manifest.files("X", "quote")
    assert file.first == file.last
    assert [bar.close for bar in catalogue.bars("X", "quote", 0, EVER)] == [5]


def test_archive_is_one_transaction(
    store: Store, catalogue: BarCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.store("X", [row(minute) for minute in range(10)], timeframe="1m")
    replace = store.manifest.replace

    def dies(files: Any, gone: Any, facts: list[Fact], at: int) -> None:
        raise StoreFull("no room")

    monkeypatch.setattr(store.manifest, "replace", dies)
    middle = int(str(row(5)["time"]))
    with pytest.raises(StoreFull):
        catalogue.archive(middle)
    assert closes(catalogue) == list(range(1, 11))
    monkeypatch.setattr(store.manifest, "replace", replace)
    assert catalogue.archive(middle) == 5
    assert closes(catalogue) == list(range(6, 11))
    assert len(catalogue.bars("X", "1m", 0, EVER, archived=True)) == 10
    assert list(catalogue.problems()) == []


def test_corporate_actions_are_kept_by_the_store(store: Store, catalogue: BarCatalogue) -> None:
    actions: list[CorporateAction] = [
        Split("X", 5, Decimal("1.50")),
        Dividend("X", 5, Decimal("1.5")),
    ]
    assert catalogue.put_actions([*actions, actions[0]]) == 2
    assert catalogue.put_actions(actions) == 0
    assert set(catalogue.actions(5, 6)) == set(actions)
