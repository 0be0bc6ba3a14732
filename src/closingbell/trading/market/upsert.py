"""What storing bars makes of the files that are there."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from closingbell.core.bar import QUOTE, Bar, timeframe_seconds
from closingbell.core.clock import from_micros, to_micros
from closingbell.core.error import MarketDataError
from closingbell.core.ledger import FileVersion
from closingbell.trading.market.encoding import Block, bars_to_table, joined
from closingbell.trading.market.merge import START

if TYPE_CHECKING:
    import pyarrow as pa

_MINUTE, _HOUR = 60, 3_600


class Merged(NamedTuple):
    """A period's bars after an upsert.

    Attributes:
        table: all of them; None when nothing changed.
        added: bars that were not there.
        changed: bars that were there with other values.
    """

    table: pa.Table | None
    added: int
    changed: int


def periods(timeframe: str, bars: Sequence[Bar]) -> Iterator[tuple[str, int, list[Bar]]]:
    """Yield (period, row of its first bar, its bars), by the UTC date of their start.

    A period is what one file holds: a year; below an hour a month; below a minute, and of
    single prices, a day: they come one by one, and each rewrites its file.
    """
    seconds = 0 if timeframe == QUOTE else timeframe_seconds(timeframe)
    row = 0
    while row < len(bars):
        day = from_micros(bars[row].start).date()
        if seconds >= _HOUR:
            name, following = f"{day:%Y}", date(day.year + 1, 1, 1)
        elif seconds >= _MINUTE:
            name = f"{day:%Y-%m}"
            following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
        else:
            name, following = day.isoformat(), day + timedelta(days=1)
        until = to_micros(datetime.combine(following, time(0), UTC))
        end = bisect_left(bars, until, row, key=START)
        yield name, row, list(bars[row:end])
        row = end


def merged(symbol: str, old: pa.Table | None, bars: Sequence[Bar], first_row: int = 0) -> Merged:
    """Return a period's bars with new ones among them, those with the same start replaced.

    Args:
        symbol: whose.
        old: what is stored.
        bars: the new ones.
        first_row: which row of what was given the first of them is, for messages.

    Raises:
        MarketDataError: a new bar overlaps one that stays.
    """
    import pyarrow.compute as pc

    new = bars_to_table(bars)
    if old is None:
        return Merged(new, len(bars), 0)
    known = pc.is_in(old.column("start"), value_set=new.column("start").combine_chunks())
    before = Block(symbol, old.filter(known)).bars()
    changed = len(set(before) - set(bars))
    added = len(bars) - len(before)
    if not added and not changed:
        return Merged(None, 0, 0)
    table = joined(old.filter(pc.invert(known)), new)
    block = Block(symbol, table)
    for row, (end, start) in enumerate(zip(block.ends[:-1], block.starts[1:], strict=True)):
        if end > start:
            _refuse(symbol, bars, block.bars(row, row + 2), first_row)
    return Merged(table, added, changed)


def check_neighbours(symbol: str, files: Sequence[FileVersion], bars: Sequence[Bar]) -> None:
    """Refuse bars that reach into the next period's first one.

    Args:
        symbol: whose.
        files: of one timeframe, as they would be.
        bars: the new ones.

    Raises:
        MarketDataError: they do.
    """
    for before, after in pairwise(sorted(files, key=lambda file: file.first)):
        if before.last > after.first:
            bar = next((bar for bar in bars if bar.end > after.first >= bar.start), bars[0])
            raise MarketDataError(
                symbol,
                f"it lasts from {_when(bar.start)} to {_when(bar.end)}, and a bar that is stored "
                f"begins at {_when(after.first)}",
                "bars of one timeframe may not overlap",
                bars.index(bar),
            )


def _refuse(symbol: str, bars: Sequence[Bar], pair: Sequence[Bar], first_row: int) -> None:
    new = next(bar for bar in pair if bar in bars)
    stored = next(bar for bar in pair if bar is not new)
    raise MarketDataError(
        symbol,
        f"it lasts from {_when(new.start)} to {_when(new.end)}, and one that is stored from "
        f"{_when(stored.start)} to {_when(stored.end)}",
        "bars of one timeframe may not overlap: name another timeframe, or give the same start",
        first_row + bars.index(new),
    )


def _when(micros: int) -> str:
    return from_micros(micros).isoformat()
