"""What users pass as `data=` to a backtest."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from closingbell.core.bar import Bar
from closingbell.core.error import BacktestError, MarketDataError
from closingbell.trading.market.catalogue import BarCatalogue
from closingbell.trading.market.load import load_data, symbol_of_file
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.market.memory_manifest import MemoryManifest
from closingbell.trading.market.view import CatalogueView
from tests.unit.trading.market.sample import DAY, EVER, START, bar, clock, series

CSV = "Date,Open,High,Low,Close,Volume\n2024-01-01,1.10,2,1,1.5,7\n2024-01-02,1.5,2,1,1.75,\n"
EXPECTED = [
    Bar("X", START, START + DAY, *map(Decimal, ("1.10", "2", "1", "1.5", "7"))),
    Bar("X", START + DAY, START + 2 * DAY, *map(Decimal, ("1.5", "2", "1", "1.75", "0"))),
]
TABLE: dict[str, list[Any]] = {
    "date": ["2024-01-01", "2024-01-02"],
    "open": [1.1, 1.5], "high": [2, 2], "low": [1, 1], "close": [1.5, 1.75], "volume": [7, 0],
}  # fmt: skip


def bars_of(data: Any, symbol: str = "X", **options: Any) -> list[Bar]:
    return list(load_data(data, **options).bars(symbol, "1d", 0, EVER))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files in every form; X.csv is what EXPECTED says."""
    (tmp_path / "X.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "BTC-EUR.csv.gz").write_bytes(
        gzip.compress(b"\xef\xbb\xbf" + CSV.replace(",", ";").encode())
    )
    pq.write_table(pa.table(TABLE), tmp_path / "Z.parquet")
    (tmp_path / "notes.txt").write_text("nothing", encoding="utf-8")
    return tmp_path


def test_source_is_taken_as_it_is() -> None:
    source = MemoryBars(series(2), timeframe="1m")
    assert load_data(source) is source


def test_catalogue_is_taken_as_it_is_now(tmp_path: Path) -> None:
    catalogue = BarCatalogue(tmp_path, MemoryManifest(), None, clock())
    catalogue.store("X", series(2))
    source = load_data(catalogue, timeframe="1m")
    catalogue.store("X", [bar(START + 5 * DAY)])
    assert isinstance(source, CatalogueView)
    assert list(source.symbols()) == ["X"]


@pytest.mark.parametrize("form", ["path", "text", "mapping of paths", "rows", "table", "bars"])
def test_forms_of_data_are_the_same_bars(folder: Path, form: str) -> None:
    forms: dict[str, Any] = {
        "path": folder / "X.csv",
        "text": str(folder / "X.csv"),
        "mapping of paths": {"X": str(folder / "Z.parquet")},
        "rows": {"X": TABLE},
        "table": pd.DataFrame({**TABLE, "ticker": ["X", "X"]}),
        "bars": iter(EXPECTED),
    }
    assert bars_of(forms[form]) == EXPECTED


def test_folder_has_a_symbol_for_each_file(folder: Path) -> None:
    source = load_data(folder)
    assert source.symbols() == ["BTC/EUR", "X", "Z"]
    assert len(source.bars("BTC/EUR", "1d", 0, EVER)) == 2


def test_file_with_a_column_of_symbols_has_several(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text(
        "symbol,date,o,h,l,c\nA,2024-01-01,1,1,1,1\nB,2024-01-01,2,2,2,2\nA,2024-01-02,1,1,1,1\n",
        encoding="utf-8",
    )
    source = load_data(tmp_path / "all.csv")
    assert source.symbols() == ["A", "B"]
    assert len(source.bars("A", "1d", 0, EVER)) == 2


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("AAPL.csv", "AAPL"), ("BTC-EUR.csv.gz", "BTC/EUR"), ("BRK-B.parquet", "BRK-B"),
     ("BRK.B.csv", "BRK.B")],
)  # fmt: skip
def test_file_is_named_after_its_symbol(name: str, symbol: str) -> None:
    assert symbol_of_file(Path(name)) == symbol


@pytest.mark.parametrize(
    "data",
    [None, 5, [1, 2], "nowhere.csv", Path("nowhere"), pd.DataFrame(TABLE)],
)
def test_data_that_is_nothing_of_that_is_refused(data: Any) -> None:
    with pytest.raises(BacktestError, match="backtest refused: data"):
        load_data(data)


def test_folder_or_file_without_data_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BacktestError, match="a folder with files"):
        load_data(tmp_path / "empty")
    with pytest.raises(MarketDataError, match="of no known kind"):
        load_data(folder / "notes.txt")
    with pytest.raises(MarketDataError, match=r"'nowhere\.csv': there is no such file"):
        load_data({"X": "nowhere.csv"})


def test_two_files_of_one_symbol_are_refused(folder: Path) -> None:
    (folder / "X.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    with pytest.raises(BacktestError, match="one file for X, not two"):
        load_data(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe\x00", "the file cannot be read"),
        (b"date,open,high,low,close\n2024-01-01,1,1\n", "row 0: it has 3 values for 5 columns"),
        (b"date,open,open\n1,2,3\n", "a column is there twice"),
        (b"date,open,high,low,close\n2024-01-01,1,1,,1\n", "low is missing"),
        (b"symbol,date,o,h,l,c\n,2024-01-01,1,1,1,1\n", "its symbol is missing"),
    ],
)
def test_file_that_is_wrong_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "X.csv").write_bytes(content)
    with pytest.raises(MarketDataError, match=said):
        load_data(tmp_path / "X.csv")


def test_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "X.parquet").write_bytes(b"none")
    with pytest.raises(MarketDataError, match="expected Parquet"):
        load_data(tmp_path / "X.parquet")
