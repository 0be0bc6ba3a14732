"""Window: from when to when a backtest runs, as people say it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from closingbell.core.bar import BarSource
from closingbell.core.clock import from_micros, to_micros
from closingbell.core.error import BacktestError
from closingbell.core.zone import require_zone

#: An instant as a caller may say it.
Moment = datetime | date | str | None
_EXPECTED = "a datetime, a date, or ISO text such as '2012-01-03' or '2012-01-03T09:30'"


def read_window(
    start: Moment, end: Moment, timezone: str, source: BarSource, timeframe: str
) -> tuple[int, int]:
    """Return a window in microseconds.

    A date is the local day: a window begins with the first of them and ends after the last.
    None means as far as the data goes.

    Args:
        start: of the window.
        end: of the window.
        timezone: of what names no zone.
        source: the data.
        timeframe: of the bars that must be there.

    Raises:
        BacktestError: it cannot be read, ends before it begins, or has no data.
    """
    span = source.span(timeframe)
    if span is None:
        raise BacktestError(
            "the data",
            f"without bars of timeframe {timeframe!r}",
            "bars of the account's timeframe",
        )
    first = span[0] if start is None else _instant("start", start, timezone, is_end=False)
    last = span[1] if end is None else _instant("end", end, timezone, is_end=True)
    if last <= first:
        raise BacktestError("end", end, f"an instant after start, {start}")
    if last <= span[0] or first >= span[1]:
        raise BacktestError(
            "the window",
            f"{_day(first)} to {_day(last)}",
            f"one that meets the data, which is from {_day(span[0])} to {_day(span[1])}",
        )
    return first, last


def _instant(name: str, given: object, timezone: str, *, is_end: bool) -> int:
    moment = given
    if isinstance(given, str):
        text = given.strip()
        try:
            moment = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
        except ValueError as problem:
            raise BacktestError(name, given, _EXPECTED) from problem
    if isinstance(moment, datetime):
        local = moment
    elif isinstance(moment, date):
        day = moment + timedelta(days=1) if is_end else moment
        local = datetime(day.year, day.month, day.day)  # noqa: DTZ001  (its zone follows)
    else:
        raise BacktestError(name, given, _EXPECTED)
    if local.tzinfo is None:
        local = local.replace(tzinfo=require_zone(timezone))
    try:
        return to_micros(local)
    except OverflowError as problem:
        raise BacktestError(name, given, _EXPECTED) from problem


def _day(micros: int) -> str:
    return from_micros(micros).strftime("%Y-%m-%d %H:%M UTC")
