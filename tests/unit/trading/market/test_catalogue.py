"""The catalogue: what is stored is read back, and what is refused leaves no trace."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from closingbell.core.bar import QUOTE, Bar, Split
from closingbell.core.clock import SimulatedClock, SystemClock
from closingbell.core.error import (
    LedgerConflict,
    MarketDataError,
    SettingError,
    StoreReadOnly,
    StoreUnavailable,
)
from closingbell.core.ledger import Fact, FileVersion
from closingbell.trading.market.catalogue import BarCatalogue
from closingbell.trading.market.encoding import bars_to_table, table_to_bytes
from closingbell.trading.market.memory_manifest import MemoryManifest
from tests.unit.trading.market.sample import (
    DAY,
    EVER,
    HOUR,
    MINUTE,
    START,
    bar,
    clock,
    series,
    weekday_hours,
)

Make = Callable[..., BarCatalogue]


@pytest.fixture(params=["folder", "file", "mock"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """A folder, the same as an address, and an object store without folders of ours."""
    roots: dict[str, str | Path] = {
        "folder": tmp_path / "a market",
        "file": f"file://{tmp_path}/market",
        "mock": "mock:///market",
    }
    return roots[str(request.param)]


@pytest.fixture
def facts() -> list[Fact]:
    """What was emitted, in order."""
    return []


@pytest.fixture
def catalogue(root: str | Path, facts: list[Fact]) -> BarCatalogue:
    return BarCatalogue(root, MemoryManifest(facts.extend), None, clock())


def local(tmp_path: Path, manifest: MemoryManifest | None = None) -> BarCatalogue:
    return BarCatalogue(tmp_path, manifest or MemoryManifest(), None, clock())


def everything(source: BarCatalogue, symbol: str = "X", timeframe: str = "1m") -> list[Bar]:
    return source.bars(symbol, timeframe, -EVER, EVER)


def on_disk(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))


# --- reading back ------------------------------------------------------------------------


def test_stored_bars_are_read_back_as_they_were(catalogue: BarCatalogue) -> None:
    bars = series(10_000)
    result = catalogue.store("X", bars)
    assert result == (10_000, 0, 10_000, "1m", ())
    assert everything(catalogue) == bars
    assert [b for part in catalogue.slices("1m", 0, EVER) for b in part.bars] == bars
    assert catalogue.symbols() == ["X"]
    assert catalogue.timeframes() == ["1m"]
    assert catalogue.span("1m") == (START, START + 10_000 * MINUTE)
    assert catalogue.span("1d") is None


def test_reads_keep_to_their_window(catalogue: BarCatalogue) -> None:
    bars = series(10_000)
    catalogue.store("X", bars)
    first, last = START + 4_000 * MINUTE, START + 9_000 * MINUTE
    assert catalogue.bars("X", "1m", first, last) == bars[4_000:9_000]
    assert catalogue.bars("X", "1m", first + 1, last - 1) == bars[4_001:8_999]
    assert catalogue.bars("X", "1m", first, last, 5_000) == bars[4_000:9_000]
    assert catalogue.bars("X", "1m", first, last, 3) == bars[8_997:9_000]
    assert catalogue.bars("X", "1m", first, last, 0) == []
    assert catalogue.bars("Y", "1m", first, last) == catalogue.bars("X", "5m", first, last) == []
    window = [part.bars[0] for part in catalogue.slices("1m", first, last)]
    assert window == bars[4_000:9_000]


def test_symbols_side_by_side_come_in_order(catalogue: BarCatalogue) -> None:
    symbols = ["BTC/EUR", "BRK.B", "..", "ÄÖ", "a b", "%2E"]
    for symbol in symbols:
        catalogue.store(symbol, series(300, symbol=symbol))
    parts = list(catalogue.slices("1m", 0, EVER))
    assert [part.start for part in parts] == [START + row * MINUTE for row in range(300)]
    assert all([b.symbol for b in part.bars] == sorted(symbols) for part in parts)
    few = catalogue.slices("1m", 0, EVER, ["..", "a b", "unknown"])
    assert {b.symbol for part in few for b in part.bars} == {"..", "a b"}


def test_folders_outside_of_the_catalogue_are_out_of_reach(tmp_path: Path) -> None:
    market = tmp_path / "market"
    BarCatalogue(market, MemoryManifest(), None, clock()).store("../..", series(1, symbol="../.."))
    (path,) = on_disk(tmp_path)
    assert path.startswith("market/bars/1m/%2E%2E%2F%2E%2E/2024-01-1-")


def test_files_hold_years_months_or_days(catalogue: BarCatalogue) -> None:
    catalogue.store("X", series(3, step=DAY, start=START - 2 * DAY), timeframe="1d")
    catalogue.store("X", series(3, step=HOUR, start=START - HOUR), timeframe="1h")
    catalogue.store("X", series(3, start=START - MINUTE), timeframe="1m")
    catalogue.store("X", series(3, step=1_000_000, start=START - 1_000_000), timeframe="1s")
    catalogue.store("X", [bar(START - 1, length=0), bar(START, length=0)], timeframe=QUOTE)
    found = [(file.timeframe, file.period, file.rows) for file in catalogue.manifest.files()]
    assert found == [
        ("1d", "2023", 2), ("1d", "2024", 1),
        ("1h", "2023", 1), ("1h", "2024", 2),
        ("1m", "2023-12", 1), ("1m", "2024-01", 2),
        ("1s", "2023-12-31", 1), ("1s", "2024-01-01", 2),
        ("quote", "2023-12-31", 1), ("quote", "2024-01-01", 1),
    ]  # fmt: skip


NUMBERS = [
    ["1.5", "2", "1.25", "1.75", "0"],
    ["0.00000812", "0.00000812", "0.00000812", "0.00000812", "123456789012345678.5"],
    ["123456789012345678", "123456789012345678", "0.01", "0.01", "1E-20"],
    ["100.00", "1E+2", "99.999999999999999", "100", "7"],
]


def test_every_digit_is_kept_also_beside_longer_numbers(catalogue: BarCatalogue) -> None:
    bars = [Bar("X", START + row * MINUTE, START + (row + 1) * MINUTE, *map(Decimal, values))
            for row, values in enumerate(NUMBERS)]  # fmt: skip
    for one in bars:
        catalogue.store("X", one, timeframe="1m")
    assert everything(catalogue) == bars


def test_tiny_number_may_replace_the_only_bar(catalogue: BarCatalogue) -> None:
    catalogue.store("X", bar(START, 1), timeframe="1m")
    catalogue.store("X", bar(START, "1E-19"), timeframe="1m")
    assert everything(catalogue) == [bar(START, "1E-19")]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("high", "1234567890.123456789", "has 19 digits; round it to 18"),
        ("high", "1000000000000000000", "expected less than 1E+18"),
        ("volume", "1E+18", "expected less than 1E+18"),
        ("volume", "1E-21", "has 21 decimal places"),
    ],
)
def test_number_that_no_file_can_hold_is_refused(
    catalogue: BarCatalogue, field: str, value: str, said: str
) -> None:
    changes: dict[str, Any] = {field: Decimal(value)}
    wrong = bar(START + MINUTE, 1)._replace(**changes)
    with pytest.raises(MarketDataError, match=f"row 1: .*{said}".replace("+", r"\+")):
        catalogue.store("X", [bar(START, 1), wrong], timeframe="1m")
    assert catalogue.symbols() == []


def test_files_are_plain_parquet_that_others_read(tmp_path: Path) -> None:
    local(tmp_path).store("X", series(3))
    frame = pq.read_table(next(tmp_path.rglob("*.parquet"))).to_pandas()
    assert list(frame.columns) == ["start", "end", "open", "high", "low", "close", "volume"]
    assert str(frame["start"].dtype) == "datetime64[us, UTC]"
    assert list(frame["close"]) == [Decimal(100), Decimal(101), Decimal(102)]


# --- changing ----------------------------------------------------------------------------


def test_same_bars_again_change_nothing(catalogue: BarCatalogue, facts: list[Fact]) -> None:
    catalogue.store("X", series(5))
    before = catalogue.manifest.files()
    assert catalogue.store("X", series(5)) == (0, 0, 5, "1m", ())
    assert catalogue.manifest.files() == before
    assert len(facts) == 1


def test_other_values_replace_and_are_counted(catalogue: BarCatalogue) -> None:
    catalogue.store("X", series(5))
    again = [bar(START + 3 * MINUTE, "7.125"), *series(3, start=START + 4 * MINUTE, first=104)]
    assert catalogue.store("X", again)[:3] == (2, 1, 4)
    assert [b.close for b in everything(catalogue)] == [
        100, 101, 102, Decimal("7.125"), 104, 105, 106,
    ]  # fmt: skip
    (file,) = catalogue.manifest.files()
    assert (file.version, file.rows) == (2, 7)


def test_change_is_told_as_one_fact(catalogue: BarCatalogue, facts: list[Fact]) -> None:
    catalogue.store("X", series(3, start=START - MINUTE))
    catalogue.store("X", bar(START, "9.50"), facts=False)
    (fact,) = facts
    assert fact.type == "market_data_update"
    assert fact.data == {
        "timeframe": "1m", "symbols": ["X"], "at": "2030-01-01T00:00:00+00:00",
        "symbol": "X", "added": 3, "changed": 0, "price": "102",
        "start": "2023-12-31T23:59:00+00:00", "end": "2024-01-01T00:02:00+00:00",
    }  # fmt: skip


def test_replaced_files_are_gone(tmp_path: Path) -> None:
    catalogue = local(tmp_path)
    for count in (1, 2, 3):
        catalogue.store("X", series(count))
    assert on_disk(tmp_path) == [file.file for file in catalogue.manifest.files()]


@pytest.mark.parametrize(
    ("bars", "row"),
    [
        ([bar(START - 30_000_000)], 0),
        ([bar(START - MINUTE), bar(START + 2 * MINUTE + 1)], 1),
        ([bar(START + MINUTE, length=2 * MINUTE)], 0),
    ],
)
def test_bar_that_overlaps_a_stored_one_is_refused_whole(
    catalogue: BarCatalogue, bars: list[Bar], row: int
) -> None:
    catalogue.store("X", series(4), timeframe="5m")
    with pytest.raises(MarketDataError, match="may not overlap") as refused:
        catalogue.store("X", bars, timeframe="5m")
    assert refused.value.row == row
    assert everything(catalogue, timeframe="5m") == series(4)


def test_bar_that_reaches_into_the_next_file_is_refused(catalogue: BarCatalogue) -> None:
    catalogue.store("X", series(4, step=HOUR), timeframe="1h")
    with pytest.raises(MarketDataError, match="a bar that is stored begins at 2024-01-01"):
        catalogue.store("X", [bar(START - MINUTE, length=HOUR)], timeframe="1h")
    assert len(everything(catalogue, timeframe="1h")) == 4


def test_wrong_row_keeps_out_the_whole_batch(catalogue: BarCatalogue) -> None:
    rows = [{"time": b.start, "o": 1, "h": 1, "l": 1, "c": 1} for b in series(50)]
    rows[49]["h"] = 0
    with pytest.raises(MarketDataError, match="row 49"):
        catalogue.store("X", rows)
    assert catalogue.manifest.files() == []


def test_bar_that_is_not_over_is_refused(tmp_path: Path) -> None:
    now = datetime(2024, 1, 1, 0, 1, tzinfo=UTC)
    catalogue = BarCatalogue(tmp_path, MemoryManifest(), None, clock(now))
    with pytest.raises(MarketDataError, match="row 1: it ends at 2024-01-01T00:02:00"):
        catalogue.store("X", series(2))
    assert catalogue.store("X", series(1)).added == 1


def test_prices_are_a_series_of_their_own(tmp_path: Path) -> None:
    now = SimulatedClock(datetime(2024, 1, 1, 15, tzinfo=UTC))
    catalogue = BarCatalogue(tmp_path, MemoryManifest(), weekday_hours, now)
    for price in (10, 11):
        assert catalogue.store("X", {"last": price}).timeframe == QUOTE
        now.advance(timedelta(minutes=1))
    assert [b.close for b in everything(catalogue, timeframe=QUOTE)] == [10, 11]
    assert catalogue.gaps("X", QUOTE) == []


# --- others at the same time -------------------------------------------------------------


class Race(MemoryManifest):
    """A manifest where another writer is first, so many times."""

    def __init__(self, times: int, other: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.times = times
        self.other = other

    def replace(
        self, files: Sequence[FileVersion], gone: Any, facts: Sequence[Fact], at: int
    ) -> None:
        if self.times:
            self.times -= 1
            self.other()
            raise LedgerConflict("market data 'X'", 1, 2)
        super().replace(files, gone, facts, at)


def test_overtaken_writer_merges_with_what_the_other_wrote(tmp_path: Path) -> None:
    manifest = Race(0)
    first, second = local(tmp_path, manifest), local(tmp_path, manifest)
    first.store("X", series(2))
    manifest.other = lambda: second.store("X", bar(START + 3 * MINUTE, 9))
    manifest.times = 1
    assert first.store("X", bar(START + 2 * MINUTE, 8)).added == 1
    assert [b.close for b in everything(first)] == [100, 101, 8, 9]
    assert len(on_disk(tmp_path)) == 1


def test_writer_that_is_always_overtaken_gives_up_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(LedgerConflict):
        local(tmp_path, Race(1_000)).store("X", series(2))
    assert on_disk(tmp_path) == []


def test_death_before_the_manifest_leaves_an_orphan_that_nobody_reads(tmp_path: Path) -> None:
    class Dies(MemoryManifest):
        def replace(self, *_: Any) -> None:
            raise KeyboardInterrupt

    dead = local(tmp_path, Dies())
    with pytest.raises(KeyboardInterrupt):
        dead.store("X", series(2))
    assert len(on_disk(tmp_path)) == 1
    living = BarCatalogue(tmp_path, MemoryManifest(), None, SystemClock())
    assert living.symbols() == []
    living.store("X", series(3))
    assert living.sweep() == 0
    (orphan,) = set(on_disk(tmp_path)) - {file.file for file in living.manifest.files()}
    old = os.stat(tmp_path / orphan).st_mtime - 2 * 86_400  # noqa: PTH116 - beside os.utime
    os.utime(tmp_path / orphan, (old, old))
    assert living.sweep() == 1
    assert everything(living) == series(3)


def test_reader_goes_on_in_the_new_version_of_a_file(catalogue: BarCatalogue) -> None:
    catalogue.store("X", series(10_000))
    parts = catalogue.slices("1m", 0, EVER)
    seen = [next(parts).bars[0]]
    catalogue.store("X", bar(START + 9_999 * MINUTE, 7))
    seen += [part.bars[0] for part in parts]
    assert len(seen) == 10_000
    assert [b.close for b in seen[-2:]] == [10_098, 7]


@pytest.mark.parametrize("address", ["folder", "mock"])
def test_reader_goes_on_where_a_file_vanishes_in_the_middle_of_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    place = tmp_path if address == "folder" else "mock:///market"
    catalogue = BarCatalogue(place, MemoryManifest(), None, clock())
    catalogue.store("X", series(10_000))
    read = pq.ParquetFile.read_row_group
    calls: list[int] = []

    def vanishes(parquet: Any, group: int, **options: Any) -> Any:
        calls.append(group)
        if len(calls) == 2:
            catalogue.store("X", bar(START + 10_000 * MINUTE))
            raise OSError("NO_SUCH_KEY during GetObject")
        return read(parquet, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", vanishes)
    parts = [part.bars[0] for part in catalogue.slices("1m", 0, EVER)]
    assert parts[:-1] == series(10_000)
    assert len(parts) == 10_001
    assert len(calls) == 4


def test_view_stays_as_it_was_for_what_others_add(catalogue: BarCatalogue) -> None:
    catalogue.store("X", series(2))
    view = catalogue.view()
    catalogue.store("Y", series(2, symbol="Y"))
    assert view.symbols() == ["X"]
    assert view.bars("X", "1m", 0, EVER) == series(2)


def test_file_that_is_gone_for_good_is_told(tmp_path: Path) -> None:
    catalogue = local(tmp_path)
    catalogue.store("X", series(2))
    (path,) = tmp_path.rglob("*.parquet")
    path.unlink()
    for read in (
        lambda: everything(catalogue),
        lambda: list(catalogue.slices("1m", 0, EVER)),
        lambda: catalogue.store("X", series(3)),
        lambda: catalogue.archive(EVER),
    ):
        with pytest.raises(StoreUnavailable, match="closingbell data check"):
            read()


def test_file_that_is_damaged_is_told(tmp_path: Path) -> None:
    catalogue = local(tmp_path)
    catalogue.store("X", series(2))
    next(tmp_path.rglob("*.parquet")).write_bytes(b"no Parquet at all")
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        everything(catalogue)


def test_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "bars").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises((StoreUnavailable, StoreReadOnly), match="cannot be written"):
        local(tmp_path).store("X", series(2))


def test_address_that_nobody_knows_is_refused() -> None:
    with pytest.raises(SettingError, match="nowhere://x"):
        BarCatalogue("nowhere://x", MemoryManifest(), None, clock())


# --- putting away ------------------------------------------------------------------------


def test_archived_bars_are_read_only_when_asked_for(catalogue: BarCatalogue) -> None:
    catalogue.store("X", series(6, start=START - 3 * MINUTE))
    catalogue.store("Y", series(6, symbol="Y", start=START - 3 * MINUTE))
    assert catalogue.archive(START + MINUTE, ["X"]) == 4
    assert [b.close for b in everything(catalogue)] == [104, 105]
    assert [part.start for part in catalogue.slices("1m", 0, EVER, ["X"])] == [
        START + MINUTE, START + 2 * MINUTE,
    ]  # fmt: skip
    away = catalogue.bars("X", "1m", 0, EVER, archived=True)
    assert away == series(6, start=START - 3 * MINUTE)
    assert catalogue.bars("X", "1m", 0, EVER, 3, archived=True) == away[3:]
    assert len(everything(catalogue, "Y")) == 6


def test_archiving_twice_adds_to_the_archive(catalogue: BarCatalogue) -> None:
    catalogue.store("X", series(6))
    assert catalogue.archive(START + 2 * MINUTE) == 2
    assert catalogue.archive(START + 2 * MINUTE) == 0
    assert catalogue.archive(START + 5 * MINUTE) == 3
    assert catalogue.archive(EVER) == 1
    assert catalogue.symbols() == []
    assert catalogue.bars("X", "1m", 0, EVER, archived=True) == series(6)


def test_bar_stored_again_after_it_was_put_away_leads(catalogue: BarCatalogue) -> None:
    catalogue.store("X", series(3))
    catalogue.archive(EVER)
    catalogue.store("X", bar(START + MINUTE, 7))
    closes = [b.close for b in catalogue.bars("X", "1m", 0, EVER, archived=True)]
    assert closes == [100, 7, 102]
    assert catalogue.archive(EVER) == 1
    assert [b.close for b in catalogue.bars("X", "1m", 0, EVER, archived=True)] == closes


def test_who_reads_while_bars_are_put_away_reads_all_of_them(catalogue: BarCatalogue) -> None:
    catalogue.store("X", series(10_000))
    parts = catalogue.slices("1m", 0, EVER)
    next(parts)
    assert catalogue.archive(EVER) == 10_000
    assert sum(1 for _ in parts) == 9_999


# --- inspection --------------------------------------------------------------------------


def test_sound_catalogue_has_no_problems(catalogue: BarCatalogue) -> None:
    catalogue.store("A/B", series(10, symbol="A/B"))
    catalogue.archive(START + 5 * MINUTE)
    assert list(catalogue.problems()) == []
    assert catalogue.adopt() == []


def test_problems_are_told_by_file(tmp_path: Path) -> None:
    catalogue = local(tmp_path)
    for symbol in ("gone", "damaged", "other", "unsound", "fine"):
        catalogue.store(symbol, series(3, symbol=symbol))
    paths = {file.symbol: tmp_path / file.file for file in catalogue.manifest.files()}
    paths["gone"].unlink()
    paths["damaged"].write_bytes(b"none")
    paths["other"].write_bytes(table_to_bytes(bars_to_table(series(2))))
    wrong = series(3)
    wrong[1] = wrong[1]._replace(low=Decimal(900))
    paths["unsound"].write_bytes(table_to_bytes(bars_to_table(wrong)))
    found = {problem.symbol: problem.sentence for problem in catalogue.problems()}
    assert sorted(found) == ["damaged", "gone", "other", "unsound"]
    assert found["gone"] == "the file is gone"
    assert "cannot be read" in found["damaged"]
    assert found["other"].startswith("the file holds 2 bars, and the manifest says 3")
    assert "row 1: low 900 is above high 101" in found["unsound"]


def test_older_manifest_adopts_what_the_folder_has_since(tmp_path: Path) -> None:
    manifest = MemoryManifest()
    catalogue = local(tmp_path, manifest)
    catalogue.store("A/B", series(3, symbol="A/B"))
    catalogue.store("X", series(6, start=START - 3 * MINUTE))
    older = MemoryManifest()
    older.replace([file._replace(version=1) for file in manifest.files()], [], [], 0)
    catalogue.store("A/B", series(3, symbol="A/B", start=START + 3 * MINUTE))
    catalogue.store("A/B", series(3, symbol="A/B", step=DAY), timeframe="1d")
    catalogue.archive(START, ["X"])
    (tmp_path / "bars" / "notes.txt").write_text("not ours", encoding="utf-8")
    restored = local(tmp_path, older)
    assert [file.symbol for file in restored.adopt()] == ["A/B", "A/B"]
    assert list(restored.problems()) == []
    assert len(everything(restored, "A/B")) == 6
    assert len(everything(restored, "A/B", "1d")) == 3
    # What was put away since is still read from the file that it was in.
    assert everything(restored) == series(6, start=START - 3 * MINUTE)
    assert restored.adopt() == []
    assert restored.store("A/B", bar(START, 7, symbol="A/B"), timeframe="1m").changed == 1


def test_older_manifest_adopts_what_was_put_away_and_swept_since(tmp_path: Path) -> None:
    manifest = MemoryManifest()
    catalogue = local(tmp_path, manifest)
    catalogue.store("X", series(6, start=START - 3 * MINUTE))
    older = MemoryManifest()
    older.replace(manifest.files(), [], [], 0)
    catalogue.archive(START)
    assert catalogue.sweep(timedelta(days=-1)) == 1
    restored = local(tmp_path, older)
    assert [file.period for file in restored.adopt()] == ["archive/2023-12"]
    assert list(restored.problems()) == []
    assert len(everything(restored)) == 3
    assert len(restored.bars("X", "1m", 0, EVER, archived=True)) == 6


# --- corporate actions, gaps -------------------------------------------------------------


def test_actions_come_with_their_slices(catalogue: BarCatalogue) -> None:
    catalogue.store("X", series(6_000))
    split = Split("X", START + 5_000 * MINUTE - 1, Decimal(2))
    assert catalogue.put_actions([split]) == 1
    assert catalogue.put_actions([split]) == 0
    assert catalogue.actions(0, EVER) == [split]
    for start in (0, START + 4_999 * MINUTE + 1, START + 5_000 * MINUTE):
        found = [part for part in catalogue.slices("1m", start, EVER) if part.actions]
        assert [(part.start, part.actions) for part in found] == [
            (START + 5_000 * MINUTE, (split,))
        ]
    assert not any(part.actions for part in catalogue.slices("1m", START + 5_001 * MINUTE, EVER))
    assert not any(part.actions for part in catalogue.slices("1m", 0, EVER, ["Y"]))


def test_action_that_cannot_be_right_is_not_stored(catalogue: BarCatalogue) -> None:
    with pytest.raises(MarketDataError, match="ratio is Decimal"):
        catalogue.put_actions([Split("X", 1, Decimal(0))])
    assert catalogue.actions(0, EVER) == []


def test_gaps_are_steps_without_a_bar(catalogue: BarCatalogue) -> None:
    bars = series(10)
    catalogue.store("X", [*bars[:2], *bars[5:6], *bars[9:]])
    assert [(gap.start, gap.end, gap.missing) for gap in catalogue.gaps("X", "1m")] == [
        (START + 2 * MINUTE, START + 5 * MINUTE, 3),
        (START + 6 * MINUTE, START + 9 * MINUTE, 3),
    ]
    assert catalogue.gaps("Y", "1m") == []


def test_gaps_of_days_are_sessions_without_a_bar(tmp_path: Path) -> None:
    catalogue = BarCatalogue(tmp_path, MemoryManifest(), weekday_hours, clock())
    days = ["2024-01-02", "2024-01-05", "2024-01-08", "2024-01-10"]
    table = {"date": days, **{name: [1] * 4 for name in ("open", "high", "low", "close")}}
    catalogue.store("X", table)
    opens, closes = 870 * MINUTE, 1_260 * MINUTE
    assert [gap[2:] for gap in catalogue.gaps("X", "1d")] == [
        (START + 2 * DAY + opens, START + 3 * DAY + closes, 2),
        (START + 8 * DAY + opens, START + 8 * DAY + closes, 1),
    ]
    catalogue.store("A/B", {**table, "date": ["2024-01-05", "2024-01-06", "2024-01-08",
                                             "2024-01-09"]})  # fmt: skip
    assert [gap[2:] for gap in catalogue.gaps("A/B", "1d")] == [
        (START + 6 * DAY, START + 7 * DAY, 1)
    ]


def test_gaps_within_sessions_pass_over_the_night(tmp_path: Path) -> None:
    catalogue = BarCatalogue(tmp_path, MemoryManifest(), weekday_hours, clock())
    last = START + 1_260 * MINUTE - 10 * MINUTE
    catalogue.store("X", [bar(last), bar(START + DAY + 870 * MINUTE + MINUTE)], timeframe="1m")
    assert [gap[2:] for gap in catalogue.gaps("X", "1m")] == [
        (last + MINUTE, last + 10 * MINUTE, 9),
        (START + DAY + 870 * MINUTE, START + DAY + 871 * MINUTE, 1),
    ]
