"""Table: what users pass as market data, as columns with our names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from closingbell.core.error import MarketDataError

PRICES = ("open", "high", "low", "close")

#: Names as sources write them, in lower case without blanks, signs and leading numbers.
_NAMES = {
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "highprice"),
    "low": ("low", "l", "lowprice"),
    "close": ("close", "c", "closeprice"),
    "volume": ("volume", "v", "vol", "basevolume"),
    "price": ("price", "last", "lastprice"),
    "start": ("start", "starttime", "opentime"),
    "end": ("end", "endtime"),
    # Of several, the first in this order counts.
    "time": ("timestamp", "datetime", "time", "date", "ts", "t"),
    "symbol": ("symbol", "ticker"),
    "timeframe": ("timeframe", "interval"),
}
_MEANING = {
    name: (field, rank) for field, names in _NAMES.items() for rank, name in enumerate(names)
}
_EXPECTED = (
    "expected bars, one or more rows with time, open, high, low, close and volume, a table of "
    "pandas, polars or pyarrow, or a price"
)


class Table(NamedTuple):
    """Values by column, as they were given.

    Attributes:
        columns: by our own names, of which only those are there that were given.
        rows: how many.
        single: it was one row, not a table of one.
        ignored: names of columns that mean nothing to us, as they were given.
    """

    columns: Mapping[str, Sequence[Any]]
    rows: int
    single: bool
    ignored: tuple[str, ...] = ()


def read_table(symbol: str, data: Any) -> Table:
    """Return what was given as columns; values are not looked at.

    Args:
        symbol: whose, for messages.
        data: a mapping (a row, or columns), rows as mappings or as sequences of time, open,
            high, low, close and volume, a data frame, or one price.

    Raises:
        MarketDataError: it is none of these, has no rows, or names a column twice.
    """
    origin = type(data).__module__.partition(".")[0]
    if origin == "pandas":
        return _pandas(symbol, data)
    if origin == "polars" and hasattr(data, "to_dict"):
        return _columns(symbol, data.to_dict(as_series=False))
    if origin == "pyarrow" and hasattr(data, "to_pydict"):
        return _columns(symbol, data.to_pydict())
    if isinstance(data, (int, float, Decimal)) and not isinstance(data, bool):
        return Table({"price": [data]}, 1, single=True)
    row = _as_mapping(data)
    if row is not None:
        row = {
            name: value.tolist()
            if hasattr(value, "tolist") and hasattr(value, "__len__")
            else value
            for name, value in row.items()
        }
        if any(isinstance(value, (list, tuple)) for value in row.values()):
            return _columns(symbol, row)
        return _columns(symbol, {name: [value] for name, value in row.items()}, single=True)
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _rows(symbol, data)
    raise MarketDataError(symbol, f"it is of type {type(data).__name__}", _EXPECTED)


def _as_mapping(data: Any) -> Mapping[str, Any] | None:
    if isinstance(data, Mapping):
        return data
    if isinstance(data, tuple) and hasattr(data, "_asdict"):
        named: Mapping[str, Any] = data._asdict()
        return named
    if is_dataclass(data) and not isinstance(data, type):
        return asdict(data)
    return None


def _rows(symbol: str, data: Sequence[Any]) -> Table:
    if not data:
        raise MarketDataError(symbol, "there are no rows", _EXPECTED)
    mappings = [_as_mapping(row) for row in data]
    names: dict[str, None] = {}
    for number, (row, mapping) in enumerate(zip(data, mappings, strict=True)):
        if mapping is not None:
            names.update(dict.fromkeys(mapping))
        elif isinstance(row, (str, bytes)) or not isinstance(row, Sequence):
            raise MarketDataError(symbol, f"it is of type {type(row).__name__}", _EXPECTED, number)
        elif len(row) not in (5, 6) or mappings[0] is not None:
            raise MarketDataError(
                symbol,
                f"it has {len(row)} values without names",
                "expected time, open, high, low, close and volume, or names with every row",
                number,
            )
    if not names:
        volumes = [row[5] if len(row) == 6 else None for row in data]
        columns = {
            name: [row[place] for row in data] for place, name in enumerate(("time", *PRICES))
        }
        return Table({**columns, "volume": volumes}, len(data), single=False)
    for number, mapping in enumerate(mappings):
        if mapping is None:
            raise MarketDataError(
                symbol, "it has no names", "expected names with every row", number
            )
    return _columns(
        symbol, {name: [row.get(name) for row in mappings if row is not None] for name in names}
    )


def _pandas(symbol: str, data: Any) -> Table:
    if not hasattr(data, "columns"):
        # A row of a data frame: its name is the time that the frame had as index.
        row = {str(name): value for name, value in data.to_dict().items()}
        if hasattr(data.name, "year"):
            row.setdefault("time", data.name)
        return _columns(symbol, {name: [value] for name, value in row.items()}, single=True)
    columns: dict[str, Sequence[Any]] = {}
    for place, name in enumerate(data.columns):
        # Downloads of several symbols have (field, symbol) as names.
        plain = str(name[0] if isinstance(name, tuple) else name)
        if plain in columns:
            raise MarketDataError(
                symbol, f"column {plain!r} is there twice", "store one symbol at a time"
            )
        columns[plain] = data.iloc[:, place].tolist()
    index = data.index
    if hasattr(index, "tz") or _meaning(str(index.name or "")) is not None:
        columns.setdefault(str(index.name or "time"), index.tolist())
    return _columns(symbol, columns)


def _columns(symbol: str, given: Mapping[str, Sequence[Any]], *, single: bool = False) -> Table:
    chosen: dict[str, tuple[int, str]] = {}
    ignored = []
    for name in given:
        meaning = _meaning(str(name))
        if meaning is None:
            ignored.append(str(name))
            continue
        field, rank = meaning
        if field in chosen and field not in ("time", "price"):
            raise MarketDataError(
                symbol,
                f"columns {chosen[field][1]!r} and {name!r} both mean {field}",
                "leave one of them out",
            )
        if field not in chosen or rank < chosen[field][0]:
            chosen[field] = rank, name
    columns = {field: given[name] for field, (_, name) in chosen.items()}
    lengths = {name: len(values) for name, values in given.items() if _is_column(values)}
    if len(set(lengths.values())) > 1:
        raise MarketDataError(
            symbol, f"the columns differ in length: {lengths}", "expected a value in every row"
        )
    for field, values in columns.items():
        if not _is_column(values):
            raise MarketDataError(
                symbol, f"column {field!r} is a {type(values).__name__}", "expected a list"
            )
    rows = max(lengths.values(), default=0)
    if rows == 0:
        raise MarketDataError(symbol, "there are no rows", _EXPECTED)
    return Table(columns, rows, single, tuple(ignored))


def _is_column(values: Any) -> bool:
    return isinstance(values, (list, tuple))


def _meaning(name: str) -> tuple[str, int] | None:
    plain = re.sub(r"^\d+\.?|[\s_\-.]", "", name.strip().lower())
    return _MEANING.get(plain)
