"""What users pass as `data=` to a backtest, as a source of bars."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from closingbell.core.bar import Bar, BarSource, SessionHours
from closingbell.core.error import BacktestError, MarketDataError
from closingbell.trading.market.catalogue import BarCatalogue
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.market.table import read_table

_SUFFIXES = (".csv", ".csv.gz", ".parquet")
_EXPECTED = (
    "a source of bars, a mapping from symbol to bars, rows, a table or a path, a table with a "
    "column symbol, or the path of a CSV or Parquet file or of a folder of such files"
)


def load_data(
    data: Any,
    *,
    timeframe: str = "1d",
    hours: SessionHours | None = None,
    timezone: ZoneInfo | None = None,
) -> BarSource:
    """Return a source of bars.

    Files are named after their symbol ("AAPL.csv"; "BTC-EUR.csv" is the pair "BTC/EUR"), or have
    a column `symbol`.

    Args:
        data: a source of bars; a mapping from symbol to bars, rows, a table or a path; bars; a
            table with a column `symbol`; the path of a file, or of a folder of files.
        timeframe: of the bars.
        hours: the sessions in which daily rows trade that have only a date.
        timezone: of times that name none.

    Raises:
        BacktestError: it is nothing of that, or a path leads nowhere.
        MarketDataError: what it holds is wrong.
    """
    if isinstance(data, BarCatalogue):
        return data.view(timeframe=timeframe)
    if hasattr(data, "slices") and hasattr(data, "bars"):
        return cast("BarSource", data)
    tables: dict[str, Any] = {}
    if isinstance(data, (str, Path)):
        for file in _files(Path(data)):
            for symbol, table in by_symbol(read_file(file), symbol_of_file(file)).items():
                if symbol in tables:
                    raise BacktestError("data", data, f"one file for {symbol}, not two")
                tables[symbol] = table
    elif isinstance(data, Mapping):
        for symbol, rows in data.items():
            tables[symbol] = read_file(rows) if isinstance(rows, (str, Path)) else rows
    elif type(data).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow"):
        tables = by_symbol(data, None)
    elif isinstance(data, Iterable):
        bars = list(data)
        if not all(isinstance(bar, Bar) for bar in bars):
            raise BacktestError("data", f"a {type(data).__name__}", _EXPECTED)
        return MemoryBars(bars, timeframe=timeframe)
    else:
        raise BacktestError("data", f"a {type(data).__name__}", _EXPECTED)
    return MemoryBars(tables, timeframe=timeframe, hours=hours, timezone=timezone)


def read_file(path: str | Path) -> Mapping[str, list[Any]]:
    """Return the columns of a CSV or Parquet file; CSV values as text, so that no digit is lost.

    Raises:
        MarketDataError: there is no such file, it is neither, or it cannot be read.
    """
    file = Path(path)
    if not file.is_file():
        raise MarketDataError(str(path), "there is no such file", "expected the path of one")
    if not file.name.endswith(_SUFFIXES):
        ends = ", ".join(_SUFFIXES)
        raise MarketDataError(file.name, "the file is of no known kind", f"expected {ends}")
    try:
        return _parquet(file) if file.suffix == ".parquet" else _csv(file)
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise MarketDataError(file.name, f"the file cannot be read ({problem})", "check it") from (
            problem
        )


def symbol_of_file(file: Path) -> str:
    """Return the symbol that a file is named after: "BTC-EUR.csv" means the pair "BTC/EUR".

    A share of a class keeps its hyphen: "BRK-B.csv" means "BRK-B".
    """
    name = file.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    pair = re.fullmatch(r"([A-Za-z0-9]{2,})-([A-Za-z]{3,5})", name)
    return f"{pair[1]}/{pair[2]}" if pair else name


def by_symbol(table: Any, symbol: str | None) -> dict[str, Any]:
    """Return a table's parts by its column `symbol`, or all of it under a symbol.

    Raises:
        BacktestError: it has no such column, and no symbol is given.
        MarketDataError: it is no table, or a row has no symbol.
    """
    read = read_table(symbol or "data", table)
    owners = read.columns.get("symbol")
    if owners is None:
        if symbol is None:
            raise BacktestError("data", "a table without a column symbol", _EXPECTED)
        return {symbol: table}
    rows: dict[str, list[int]] = {}
    for row, owner in enumerate(owners):
        if owner is None:
            raise MarketDataError("data", "its symbol is missing", "name one in every row", row)
        rows.setdefault(str(owner), []).append(row)
    return {
        owner: {name: [values[row] for row in own] for name, values in read.columns.items()}
        for owner, own in rows.items()
    }


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BacktestError("data", path, "the path of a file or folder that is there")
    found = sorted(file for file in path.iterdir() if file.name.endswith(_SUFFIXES))
    if not found:
        raise BacktestError("data", path, f"a folder with files that end in {', '.join(_SUFFIXES)}")
    return found


def _csv(file: Path) -> dict[str, list[Any]]:
    content = file.read_bytes()
    if file.suffix == ".gz":
        content = gzip.decompress(content)
    lines = content.decode("utf-8-sig").splitlines()
    if not lines:
        raise MarketDataError(file.name, "the file is empty", "expected a line of column names")
    delimiter = max(",;\t|", key=lines[0].count)
    reader = csv.reader(lines, delimiter=delimiter)
    names = [name.strip() for name in next(reader)]
    columns: dict[str, list[Any]] = {name: [] for name in names}
    if len(columns) < len(names):
        raise MarketDataError(file.name, "a column is there twice", "give each its own name")
    for row, values in enumerate(reader):
        if not values:
            continue
        if len(values) != len(names):
            problem = f"it has {len(values)} values for {len(names)} columns"
            raise MarketDataError(file.name, problem, "expected one for each", row)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value.strip() or None)
    return columns


def _parquet(file: Path) -> dict[str, list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns: dict[str, list[Any]] = pq.read_table(file).to_pydict()
    except pa.ArrowException as problem:
        raise MarketDataError(
            file.name, f"the file cannot be read ({problem})", "expected Parquet"
        ) from problem
    return columns
