"""Bars as Parquet: exact decimals, compact, and fast to read; any tool can open it.

Columns: start and end (microseconds, UTC), open, high, low, close and volume
as decimals of the smallest scale that is exact. One file holds one symbol's
bars, oldest first.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from closingbell.core.bar import Bar

if TYPE_CHECKING:
    import pyarrow as pa

#: Bars in a row group: what is read at once.
ROW_GROUP = 4_096
NUMBERS = Bar._fields[3:]
#: 64 bits hold 18 digits; 38 are the most of a decimal128.
_NARROW, _WIDE = 18, 38
#: Holds every number of a file; the caller's own context must not round what was stored.
_EXACT = Context(prec=_WIDE + 2)
_WORD = 1 << 64
#: From so many of each number on, looking it up is faster than making it again.
_OFTEN = 3


def bars_to_table(bars: Sequence[Bar]) -> pa.Table:
    """Return bars as a table; they have passed `check_digits`."""
    import pyarrow as pa

    instant = pa.timestamp("us", "UTC")
    columns: dict[str, Any] = {
        name: pa.array(list(map(itemgetter(place), bars)), instant)
        for place, name in ((1, "start"), (2, "end"))
    }
    for place, name in enumerate(NUMBERS, 3):
        values = list(map(itemgetter(place), bars))
        columns[name] = pa.array(values, _type_of(set(values)))
    return pa.table(columns)


def joined(old: pa.Table, new: pa.Table) -> pa.Table:
    """Return the rows of two tables, oldest first; no start is in both."""
    import pyarrow as pa

    schema = pa.schema(
        [
            field if field.name in ("start", "end") else (field.name, _common(old, new, field.name))
            for field in old.schema
        ]
    )
    return pa.concat_tables([old.cast(schema), new.cast(schema)]).sort_by("start")


def table_to_bytes(table: pa.Table) -> bytes:
    """Return a table as the bytes of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    narrow = [field.name for field in table.schema if _is_narrow(field.type)]
    pq.write_table(
        table,
        sink,
        row_group_size=ROW_GROUP,
        compression="zstd",
        use_dictionary=False,
        store_decimal_as_integer=True,
        column_encoding=dict.fromkeys(narrow, "DELTA_BINARY_PACKED"),
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


class Block:
    """Some rows of one symbol, as they lie in memory; only what is asked for becomes bars.

    Attributes:
        starts, ends: in microseconds, oldest first.
        bytes: what it occupies.
    """

    __slots__ = ("_numbers", "_symbol", "bytes", "ends", "starts")

    def __init__(self, symbol: str, table: pa.Table) -> None:
        table = table.combine_chunks()
        self._symbol = symbol
        self.bytes: int = table.nbytes
        self.starts = _words(table, "start", 1)
        self.ends = _words(table, "end", 1)
        self._numbers = [
            (_words(table, name, 2), table.schema.field(name).type) for name in NUMBERS
        ]

    def __len__(self) -> int:
        return len(self.starts)

    def rows_from(self, start: int) -> int:
        """Return the row of the first bar that starts at or after an instant."""
        return bisect_left(self.starts, start)

    def rows_until(self, end: int) -> int:
        """Return the row behind the last bar that ends at or before an instant."""
        return bisect_right(self.ends, end)

    def bars(self, low: int = 0, high: int | None = None) -> list[Bar]:
        """Return the bars from one row up to another."""
        high = len(self) if high is None else high
        if low >= high:
            return []
        columns = [
            _decimals(_integers(words[2 * low : 2 * high], kind.precision), kind.scale)
            for words, kind in self._numbers
        ]
        fields = zip(
            repeat(self._symbol),
            self.starts[low:high].tolist(),
            self.ends[low:high].tolist(),
            *columns,
            strict=False,
        )
        return list(map(tuple.__new__, repeat(Bar), fields))


def _words(table: pa.Table, name: str, count: int) -> memoryview:
    """Return a column's 64-bit words, `count` for each row."""
    column = table.column(name)
    if column.num_chunks == 0:
        return memoryview(b"").cast("q")
    (chunk,) = column.chunks
    first = chunk.offset * count
    return memoryview(chunk.buffers()[1]).cast("q")[first : first + len(chunk) * count]


def _decimals(integers: list[int], scale: int) -> Iterable[Decimal]:
    """Return integers as decimals, each number that comes often made once."""
    power = Decimal(-scale)
    distinct = set(integers)
    if len(distinct) * _OFTEN > len(integers):
        return map(_EXACT.scaleb, integers, repeat(power))
    known = dict(zip(distinct, map(_EXACT.scaleb, distinct, repeat(power)), strict=True))
    return map(known.__getitem__, integers)


def _integers(words: memoryview, precision: int) -> list[int]:
    lows: list[int] = words[::2].tolist()
    if precision <= _NARROW:
        return lows
    highs: list[int] = words[1::2].tolist()
    return [high * _WORD + low % _WORD for low, high in zip(lows, highs, strict=True)]


def _type_of(values: set[Decimal]) -> pa.DataType:
    import pyarrow as pa

    whole = places = 0
    for value in values:
        plain = value.normalize(_EXACT)
        # Only finite numbers get here: their exponent is a number.
        places = max(places, -int(plain.as_tuple().exponent))
        whole = max(whole, plain.adjusted() + 1)
    return pa.decimal128(_NARROW if whole + places <= _NARROW else _WIDE, places)


def _common(old: pa.Table, new: pa.Table, name: str) -> pa.DataType:
    """Return the type that holds a column of both."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = [table.schema.field(name).type for table in (old, new)]
    places = max(kind.scale for kind in kinds)
    largest = max(pc.max(table.column(name)).as_py() for table in (old, new) if len(table))
    fits = max(largest.adjusted() + 1, 0) + places <= _NARROW
    return pa.decimal128(_NARROW if fits else _WIDE, places)


def _is_narrow(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return not pa.types.is_decimal(kind) or kind.precision <= _NARROW
