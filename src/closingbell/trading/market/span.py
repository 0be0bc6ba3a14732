"""From when to when a row's bar lasts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from closingbell.core.bar import SessionHours, timeframe_seconds
from closingbell.core.clock import from_micros, to_micros
from closingbell.core.error import CalendarError, MarketDataError
from closingbell.trading.market.stamp import Stamp

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_MARGIN = timedelta(days=1)
#: Steps between rows, in seconds, that tell a timeframe where none is named.
_TIMEFRAME_OF = {
    1: "1s", 5: "5s", 10: "10s", 15: "15s", 30: "30s", 60: "1m", 120: "2m", 180: "3m", 300: "5m",
    600: "10m", 900: "15m", 1_800: "30m", 3_600: "1h", 7_200: "2h", 14_400: "4h", 21_600: "6h",
    28_800: "8h", 43_200: "12h",
}  # fmt: skip


def timeframe_of_step(micros: int) -> str | None:
    """Return the timeframe whose bars begin so far from each other, if that is plain."""
    if micros % _SECOND == 0 and micros // _SECOND in _TIMEFRAME_OF:
        return _TIMEFRAME_OF[micros // _SECOND]
    # A session is shorter than a day, and the day in which clocks are put back is longer.
    if 3 * 3_600 * _SECOND < micros < 7 * _DAY:
        return "1d"
    return "1w" if micros == 7 * _DAY else None


def day_span(day: date, zone: ZoneInfo | None, days: int = 1) -> tuple[int, int]:
    """Return the first instant of a date and of the date so many days later, in a zone or UTC."""
    midnight = datetime.combine(day, time(0), zone or UTC)
    return to_micros(midnight), to_micros(midnight + timedelta(days=days))


def sessions_around(
    hours: SessionHours, first: date, last: date
) -> Sequence[tuple[date, int, int]]:
    """Return the sessions of dates and of the day before and after, where those are known.

    A session may open on the evening before its date, and its instants may lie on another date
    in UTC.

    Raises:
        CalendarError: the dates themselves are not known.
    """
    try:
        return hours(first - _MARGIN, last + _MARGIN)
    except CalendarError:
        return hours(first, last)


class Spans:
    """What turns the times of rows into starts and ends.

    Args:
        hours: the sessions in which daily bars trade; None = a day is a calendar day.
        zone: in which a date is a calendar day; None = UTC.
    """

    def __init__(self, hours: SessionHours | None, zone: ZoneInfo | None) -> None:
        self._hours = hours
        self._zone = zone

    def between(
        self, symbol: str, starts: Sequence[Stamp], ends: Sequence[Stamp]
    ) -> list[tuple[int, int]]:
        """Return given starts and ends as instants.

        Raises:
            MarketDataError: one is a plain date, and no zone is given.
        """
        return [
            (self.instant(symbol, start, row), self.instant(symbol, end, row))
            for row, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]

    def of(self, symbol: str, timeframe: str, stamps: Sequence[Stamp]) -> list[tuple[int, int]]:
        """Return from when to when the bars last that have these times.

        Raises:
            MarketDataError: a day is no session, or a time does not say which day.
        """
        if timeframe == "1d" and self._hours is not None:
            return self._sessions(symbol, self._hours, stamps)
        length = timeframe_seconds(timeframe) * _SECOND
        if length % _DAY == 0:
            return [
                day_span(stamp.day, self._zone, length // _DAY)
                if stamp.day is not None
                else (at := self.instant(symbol, stamp, row), at + length)
                for row, stamp in enumerate(stamps)
            ]
        return [
            (at := self.instant(symbol, stamp, row), at + length)
            for row, stamp in enumerate(stamps)
        ]

    def outside(self, spans: Sequence[tuple[int, int]]) -> int:
        """Return how many start outside of the sessions; 0 where those are not known."""
        if self._hours is None:
            return 0
        first, last = (from_micros(spans[row][0]).date() for row in (0, -1))
        try:
            known = sessions_around(self._hours, min(first, last), max(first, last))
        except CalendarError:
            return 0
        opens = [opening for _, opening, _ in known]
        count = 0
        for start, _ in spans:
            row = bisect_right(opens, start) - 1
            count += row < 0 or start >= known[row][2]
        return count

    def instant(self, symbol: str, stamp: Stamp, row: int) -> int:
        """Return a time as an instant.

        Raises:
            MarketDataError: it is a plain date, and no zone is given.
        """
        if stamp.at is None:
            raise MarketDataError(
                symbol,
                f"its time {stamp.day} names neither hour nor zone",
                "give aware times, or the zone that they are in (timezone=)",
                row,
            )
        return stamp.at

    def _sessions(
        self, symbol: str, hours: SessionHours, stamps: Sequence[Stamp]
    ) -> list[tuple[int, int]]:
        days = [stamp.day or from_micros(stamp.at or 0).date() for stamp in stamps]
        try:
            known = sessions_around(hours, min(days), max(days))
        except CalendarError as problem:
            raise MarketDataError(
                symbol,
                f"the calendar does not know all days from {min(days)} to {max(days)}: {problem}",
                "give each bar its start and end",
            ) from problem
        by_day = {day: (opens, closes) for day, opens, closes in known}
        by_instant = {at: session[1:] for session in known for at in session[1:]}
        spans = []
        for row, (stamp, day) in enumerate(zip(stamps, days, strict=True)):
            span = by_day.get(day) if stamp.day is not None else by_instant.get(stamp.at or 0)
            if span is None:
                raise MarketDataError(symbol, *_no_session(stamp, day), row)
            spans.append(span)
        return spans


def _no_session(stamp: Stamp, day: date) -> tuple[str, str]:
    if stamp.day is None:
        return (
            f"its time {from_micros(stamp.at or 0).isoformat()} is neither a date nor the open or "
            "close of a session",
            "check the zone of the times, or give dates",
        )
    return (
        f"{day} ({day:%A}) is no session of the calendar",
        "check the zone of the times; a bar of another venue needs its start and end",
    )
