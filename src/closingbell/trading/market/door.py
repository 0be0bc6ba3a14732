"""The door of market data: what users pass becomes checked bars, or an error and nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from closingbell.core.amount import ZERO, plain
from closingbell.core.bar import QUOTE, Bar, SessionHours, timeframe_seconds
from closingbell.core.clock import from_micros
from closingbell.core.error import MarketDataError
from closingbell.core.ledger import Fact
from closingbell.trading.fact import market_data_update
from closingbell.trading.market.soundness import check_bars, require_symbol, require_timeframe
from closingbell.trading.market.span import Spans, timeframe_of_step
from closingbell.trading.market.stamp import Stamp, StampError, read_stamp
from closingbell.trading.market.table import PRICES, Table, read_table

#: A source's clock may be ahead of ours by so much: its price is then of now.
_AHEAD = 2_000_000
_DAY_S = 86_400


class Batch(NamedTuple):
    """Checked bars of one symbol, oldest first.

    Attributes:
        notes: what the caller may want to know: columns that were ignored, a row taken as a price,
            bars outside of sessions.
    """

    timeframe: str
    bars: list[Bar]
    notes: tuple[str, ...] = ()


def read_bars(
    symbol: str,
    data: Any,
    *,
    timeframe: str | None = None,
    timezone: ZoneInfo | None = None,
    hours: SessionHours | None = None,
    now: int | None = None,
) -> Batch:
    """Return what was given as checked bars of one symbol.

    A row's time is the start of its bar, unless there are columns `start` and `end`. A daily
    bar needs its date only: it lasts from the session's open to its close where the hours are
    known, and all day otherwise. One row without a timeframe whose time is not a day that is
    over is a live snapshot: its `price`, `last` or else `close` becomes a price (timeframe
    "quote").

    Args:
        symbol: whose.
        data: bars; a row, rows or columns as mappings; rows of time, open, high, low, close,
            volume; a data frame of pandas, polars or pyarrow; or one price.
        timeframe: which; None = told from the rows.
        timezone: of times that name none, and in which a date is a calendar day.
        hours: the sessions in which daily bars trade, of symbols without a "/": a pair such as
            "BTC/EUR" trades round the clock.
        now: nothing may be later; None = no matter.

    Raises:
        MarketDataError: anything is wrong with it.
    """
    symbol = require_symbol(symbol)
    if timeframe is not None:
        require_timeframe(timeframe)
    if isinstance(data, Bar):
        data = [data]
    if isinstance(data, Sequence) and data and isinstance(data[0], Bar):
        batch = _of_bars(symbol, data, timeframe)
    else:
        spans = Spans(None if "/" in symbol else hours, timezone)
        batch = _Reading(symbol, read_table(symbol, data), spans, timezone, now).batch(timeframe)
    check_bars(symbol, batch.bars, batch.timeframe, now)
    return batch


def _of_bars(symbol: str, given: Sequence[Any], timeframe: str | None) -> Batch:
    for row, bar in enumerate(given):
        if not isinstance(bar, Bar):
            raise MarketDataError(
                symbol, f"it is of type {type(bar).__name__}", "expected bars", row
            )
    if timeframe is None:
        longest = max(bar.end - bar.start for bar in given)
        timeframe = timeframe_of_step(longest) if longest else QUOTE
        if timeframe is None:
            raise _unnamed(symbol)
    return Batch(timeframe, list(given))


def _unnamed(symbol: str) -> MarketDataError:
    return MarketDataError(
        symbol, "the rows do not tell their timeframe", "name it: timeframe='1m', '1d', ..."
    )


def update_fact(symbol: str, batch: Batch, added: int, changed: int, at: int) -> Fact:
    """Return the event that tells of a batch that was stored at an instant."""
    told = market_data_update(batch.timeframe, [symbol], at)
    first, last = batch.bars[0], batch.bars[-1]
    more = {
        "symbol": symbol,
        "start": from_micros(first.start).isoformat(),
        "end": from_micros(last.end).isoformat(),
        "added": added,
        "changed": changed,
        "price": plain(last.close),
    }
    return Fact(told.type, {**told.data, **more})


class _Reading:
    """One table on its way through the door."""

    def __init__(
        self, symbol: str, table: Table, spans: Spans, zone: ZoneInfo | None, now: int | None
    ) -> None:
        self._symbol = symbol
        self._table = table
        self._columns: Mapping[str, Sequence[Any]] = table.columns
        self._spans = spans
        self._zone = zone
        self._now = now

    def batch(self, timeframe: str | None) -> Batch:
        self._check_owner()
        notes = [f"ignored: {', '.join(self._table.ignored)}"] if self._table.ignored else []
        if timeframe is None and "timeframe" in self._columns:
            timeframe = str(self._columns["timeframe"][0])
            require_timeframe(timeframe)
        if timeframe == QUOTE or (timeframe is None and self._is_prices()):
            return Batch(QUOTE, self._quotes("price"), tuple(notes))
        starts = self._stamps("start", "time")
        if timeframe is None and self._is_snapshot(starts):
            notes.append("one row without a timeframe: its close was taken as a price")
            return Batch(QUOTE, self._quotes("close"), tuple(notes))
        if missing := [name for name in PRICES if name not in self._columns]:
            raise self._lacking(
                ", ".join(missing), "expected open, high, low and close; a single price is price"
            )
        if starts is None:
            raise self._lacking("a time", "expected a column time, timestamp, date or start")
        ends = self._stamps("end")
        if timeframe is None:
            timeframe = self._timeframe(starts, ends)
        spans = (
            self._spans.of(self._symbol, timeframe, starts)
            if ends is None
            else self._spans.between(self._symbol, starts, ends)
        )
        if timeframe_seconds(timeframe) < _DAY_S and (count := self._spans.outside(spans)):
            notes.append(f"{count} of {len(spans)} bars start outside of sessions: right zone?")
        numbers = [*(self._numbers(name) for name in PRICES), self._volumes()]
        bars = [
            Bar(self._symbol, *span, *values) for span, *values in zip(spans, *numbers, strict=True)
        ]
        return Batch(timeframe, bars, tuple(notes))

    def _check_owner(self) -> None:
        for row, name in enumerate(self._columns.get("symbol", ())):
            if name is not None and str(name) not in (self._symbol, self._symbol.split("/")[0]):
                raise MarketDataError(
                    self._symbol,
                    f"it is a row of {name!r}",
                    "store each symbol's rows under its own name",
                    row,
                )

    def _is_prices(self) -> bool:
        whole = all(name in self._columns for name in PRICES)
        return "price" in self._columns and (self._table.single or not whole)

    def _is_snapshot(self, starts: Sequence[Stamp] | None) -> bool:
        if not self._table.single or "end" in self._columns or "close" not in self._columns:
            return False
        if starts is None or starts[0].day is None:
            return True
        if self._now is None or starts[0].at is None:
            return False
        return self._spans.of(self._symbol, "1d", starts)[0][1] > self._now

    def _quotes(self, name: str) -> list[Bar]:
        name = name if name in self._columns else "close"
        if name not in self._columns:
            raise self._lacking("a price", "expected price, last or close")
        stamps = self._stamps("time", "start")
        if stamps is not None:
            times = [
                self._spans.instant(self._symbol, stamp, row) for row, stamp in enumerate(stamps)
            ]
        elif self._now is not None and self._table.rows == 1:
            times = [self._now]
        else:
            raise self._lacking("a time", "expected a column time, timestamp or date")
        if self._now is not None:
            ahead = self._now + _AHEAD
            times = [self._now if self._now < at <= ahead else at for at in times]
        # A snapshot's volume is that of a day or so, not of this price.
        volumes = [ZERO] * self._table.rows if self._table.single else self._volumes()
        return [
            Bar(self._symbol, at, at, price, price, price, price, volume)
            for at, price, volume in zip(times, self._numbers(name), volumes, strict=True)
        ]

    def _stamps(self, *names: str) -> list[Stamp] | None:
        values = next((self._columns[name] for name in names if name in self._columns), None)
        if values is None:
            return None
        stamps = []
        for row, value in enumerate(values):
            try:
                stamps.append(read_stamp(value, self._zone))
            except StampError as error:
                raise MarketDataError(self._symbol, error.problem, error.expected, row) from None
        return stamps

    def _timeframe(self, starts: Sequence[Stamp], ends: Sequence[Stamp] | None) -> str:
        if ends is not None:
            spans = self._spans.between(self._symbol, starts, ends)
            step = max(end - start for start, end in spans)
        elif all(stamp.day is not None for stamp in starts):
            return "1d"
        else:
            instants = [
                self._spans.instant(self._symbol, stamp, row) for row, stamp in enumerate(starts)
            ]
            steps = (later - sooner for sooner, later in pairwise(instants))
            step = min((step for step in steps if step > 0), default=0)
        timeframe = timeframe_of_step(step)
        if timeframe is None:
            raise _unnamed(self._symbol)
        return timeframe

    def _volumes(self) -> list[Decimal]:
        if "volume" not in self._columns:
            return [ZERO] * self._table.rows
        return self._numbers("volume", missing=ZERO)

    def _numbers(self, name: str, missing: Decimal | None = None) -> list[Decimal]:
        numbers = []
        for row, value in enumerate(self._columns[name]):
            if value is None and missing is not None:
                numbers.append(missing)
                continue
            try:
                numbers.append(_number(value))
            except (InvalidOperation, TypeError, ValueError):
                raise MarketDataError(
                    self._symbol,
                    f"{name} is missing" if value is None else f"{name} is {value!r}",
                    "expected a number",
                    row,
                ) from None
        return numbers

    def _lacking(self, what: str, expected: str) -> MarketDataError:
        there = ", ".join(self._columns) or "nothing that is known"
        return MarketDataError(self._symbol, f"it lacks {what} (it has {there})", expected)


def _number(value: Any) -> Decimal:
    """Return a number as it is written; one that is not finite is for the checks to name."""
    if isinstance(value, float):
        return Decimal(float.__repr__(value))
    if isinstance(value, (Decimal, int)) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, bool) or value is None:
        raise TypeError
    return Decimal(str(value).strip())
