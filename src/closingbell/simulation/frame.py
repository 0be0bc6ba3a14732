"""Tables of a report as data frames, for those who have the libraries."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from closingbell.core.book import RoundTrip
from closingbell.core.clock import from_micros
from closingbell.core.entry import Entry
from closingbell.core.error import BacktestError
from closingbell.core.order import Order
from closingbell.simulation.account_report import EquityPoint
from closingbell.simulation.firing import FiringLine

if TYPE_CHECKING:
    from closingbell.simulation.report import Report

_COLUMNS: dict[str, Sequence[str]] = {
    "equity": EquityPoint._fields,
    "trades": Entry._fields,
    "round_trips": RoundTrip._fields,
    "orders": tuple(Order.__slots__),
    "firings": FiringLine._fields,
}
_LIBRARIES = ("pandas", "polars", "pyarrow")


def frame(report: Report, table: str, account: str | None, library: str) -> Any:
    """Return a table of a report as a data frame; amounts are floats, instants aware UTC.

    Raises:
        BacktestError: there is no such table or library, or the library is not installed.
    """
    if table not in _COLUMNS:
        raise BacktestError("table", repr(table), "one of " + ", ".join(_COLUMNS))
    if library not in _LIBRARIES:
        raise BacktestError("library", repr(library), "one of " + ", ".join(_LIBRARIES))
    try:
        frames = importlib.import_module(library)
    except ImportError:
        raise BacktestError("library", repr(library), "an installed one") from None
    rows: Iterable[Any] = (
        report.firings() if table == "firings" else getattr(report.account(account), table)
    )
    names = _COLUMNS[table]
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows:
        for name in names:
            columns[name].append(_cell(name, getattr(row, name)))
    return frames.table(columns) if library == "pyarrow" else frames.DataFrame(columns)


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, int) and (name == "at" or name.endswith("_at")):
        return from_micros(value)
    return value
