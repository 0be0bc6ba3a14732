"""Calendar: the known trading sessions of one venue, looked up by halving."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from closingbell.core.error import CalendarError
from closingbell.scheduler.local_time import require_utc, zone

DAY_S = 86400
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class RegularHours:
    """The venue's usual local hours from a date on."""

    since: date
    open: time
    close: time
    break_start: time | None = None
    break_end: time | None = None


@dataclass(frozen=True)
class TradingSession:
    """One session of a venue; its instants are aware UTC.

    Attributes:
        date: the trading date that the venue gives it; it may open the evening before.
        breaks: trading halts within it, such as a lunch break: (start, end).
        early_close: it closes earlier than the venue's regular hours.
        late_open: it opens later.
        note: why its hours are special, if known ('Black Friday').
    """

    venue: str
    date: date
    open_at: datetime
    close_at: datetime
    breaks: tuple[tuple[datetime, datetime], ...] = ()
    early_close: bool = False
    late_open: bool = False
    note: str | None = None


@dataclass(frozen=True, eq=False)
class Calendar:
    """The sessions of one venue between two dates; outside of them it knows nothing.

    Attributes:
        venue: its name, a MIC such as 'XNYS' or a name of the user's.
        timezone: its IANA zone.
        known_from, known_until: the first and last date that it can answer for.
        weekdays: the weekdays on which it usually trades, Monday 0.
        version: the table's version, and the overrides' digest if they touch it.
        dates: the sessions' dates as ordinals, in order.
        opens, closes: their instants in seconds since 1970 (UTC), in order.
        breaks: (start, end) in such seconds by session index.
        early, late: indices of sessions that close early or open late.
        notes: by date (ordinal): a holiday's name, or why a session is special.
    """

    venue: str
    timezone: str
    known_from: date
    known_until: date
    weekdays: frozenset[int]
    version: str
    dates: Sequence[int]
    opens: Sequence[int]
    closes: Sequence[int]
    breaks: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    early: frozenset[int] = frozenset()
    late: frozenset[int] = frozenset()
    notes: Mapping[int, str] = field(default_factory=dict)
    regular: tuple[RegularHours, ...] = ()

    def is_session(self, day: date) -> bool:
        """Say whether the venue trades on a date.

        Raises:
            CalendarError: the date is outside what the calendar knows.
        """
        return self._index_of(day) is not None

    def session(self, day: date) -> TradingSession:
        """Return the session of a date.

        Raises:
            CalendarError: there is none, or the date is outside what is known.
        """
        index = self._index_of(day)
        if index is None:
            reason = self.closure_reason(day) or "not a trading day"
            raise CalendarError(self.venue, f"no session on {day} ({reason})")
        return self.session_number(index)

    def session_number(self, index: int) -> TradingSession:
        """Return the session at an index of `dates`."""
        ordinal = self.dates[index]
        pause = self.breaks.get(index)
        special = index in self.early or index in self.late
        return TradingSession(
            venue=self.venue,
            date=date.fromordinal(ordinal),
            open_at=datetime.fromtimestamp(self.opens[index], UTC),
            close_at=datetime.fromtimestamp(self.closes[index], UTC),
            breaks=()
            if pause is None
            else ((datetime.fromtimestamp(pause[0], UTC), datetime.fromtimestamp(pause[1], UTC)),),
            early_close=index in self.early,
            late_open=index in self.late,
            note=self.notes.get(ordinal) if special or self._unusual(ordinal) else None,
        )

    def sessions_between(self, first: date, last: date) -> list[TradingSession]:
        """Return the sessions from one date to another, both included.

        Raises:
            CalendarError: a date is outside what is known.
        """
        self._require_known(first)
        self._require_known(last)
        low = bisect_left(self.dates, first.toordinal())
        high = bisect_right(self.dates, last.toordinal())
        return [self.session_number(index) for index in range(low, high)]

    def session_at(self, instant: datetime) -> TradingSession | None:
        """Return the session that an instant lies in (open included, close not), or None."""
        seconds = self._seconds(instant)
        index = bisect_right(self.opens, seconds) - 1
        if index < 0 or seconds >= self.closes[index]:
            return None
        return self.session_number(index)

    def is_open(self, instant: datetime) -> bool:
        """Say whether the venue trades at an instant; a break counts as closed."""
        session = self.session_at(instant)
        return session is not None and not any(
            start <= instant < end for start, end in session.breaks
        )

    def next_open(self, instant: datetime) -> datetime:
        """Return the first open after an instant.

        Raises:
            CalendarError: it lies beyond what the calendar knows.
        """
        return self._next(self.opens, instant)

    def next_close(self, instant: datetime) -> datetime:
        """Return the first close after an instant.

        Raises:
            CalendarError: it lies beyond what the calendar knows.
        """
        return self._next(self.closes, instant)

    def previous_open(self, instant: datetime) -> datetime:
        """Return the last open before an instant.

        Raises:
            CalendarError: it lies before what the calendar knows.
        """
        return self._previous(self.opens, instant)

    def previous_close(self, instant: datetime) -> datetime:
        """Return the last close before an instant.

        Raises:
            CalendarError: it lies before what the calendar knows.
        """
        return self._previous(self.closes, instant)

    def next_session(self, day: date) -> TradingSession:
        """Return the first session after a date.

        Raises:
            CalendarError: it lies outside what the calendar knows.
        """
        self._require_known(day)
        index = bisect_right(self.dates, day.toordinal())
        if index == len(self.dates):
            raise CalendarError(self.venue, self._ends())
        return self.session_number(index)

    def previous_session(self, day: date) -> TradingSession:
        """Return the last session before a date.

        Raises:
            CalendarError: it lies outside what the calendar knows.
        """
        self._require_known(day)
        index = bisect_left(self.dates, day.toordinal()) - 1
        if index < 0:
            raise CalendarError(self.venue, self._ends())
        return self.session_number(index)

    def closure_reason(self, day: date) -> str | None:
        """Say why the venue is closed on a known date: None if it trades.

        Returns:
            'Saturday' for a day off of every week, 'holiday (Thanksgiving)', or
            'holiday' where the source gives no name.
        """
        if self._index_of(day) is not None:
            return None
        name = self.notes.get(day.toordinal())
        if name is not None:
            return f"holiday ({name})"
        return "holiday" if day.weekday() in self.weekdays else f"{day:%A}"

    def regular_hours(self, day: date) -> RegularHours | None:
        """Return the venue's usual local hours on a date, or None if it has none."""
        found = None
        for hours in self.regular:
            if hours.since <= day:
                found = hours
        return found

    def special_hours(self, session: TradingSession) -> str | None:
        """Say how a session differs from the regular hours: 'early close 13:00 instead of 16:00'.

        Returns:
            None for a usual session.
        """
        where = zone(self.timezone)
        usual = self.regular_hours(session.date)
        parts: list[str] = []
        for name, applies, instant, clock in (
            ("late open", session.late_open, session.open_at, usual and usual.open),
            ("early close", session.early_close, session.close_at, usual and usual.close),
        ):
            if applies:
                text = f"{name} {instant.astimezone(where):%H:%M}"
                parts.append(text if clock is None else f"{text} instead of {clock:%H:%M}")
        if not parts and session.date.weekday() not in self.weekdays:
            parts.append(f"special session on a {session.date:%A}")
        if not parts:
            return None
        note = f" ({session.note})" if session.note else ""
        return f"{', '.join(parts)} {self.timezone}{note}"

    def knowledge_end(self) -> datetime:
        """Return the instant up to which the calendar is known: the end of its last local day."""
        following = self.known_until + timedelta(days=1)
        local = datetime(following.year, following.month, following.day, tzinfo=zone(self.timezone))
        return local.astimezone(UTC)

    def _unusual(self, ordinal: int) -> bool:
        return date.fromordinal(ordinal).weekday() not in self.weekdays

    def _index_of(self, day: date) -> int | None:
        self._require_known(day)
        ordinal = day.toordinal()
        index = bisect_left(self.dates, ordinal)
        return index if index < len(self.dates) and self.dates[index] == ordinal else None

    def _require_known(self, day: date) -> None:
        if not self.known_from <= day <= self.known_until:
            raise CalendarError(self.venue, f"{day} is unknown: {self._ends()}")

    def _ends(self) -> str:
        return (
            f"the calendar is known from {self.known_from} to {self.known_until}; "
            "a newer closingbell or an overrides file (known_until) extends it"
        )

    def _seconds(self, instant: datetime) -> int:
        if instant.tzinfo is None:
            instant = require_utc(instant)
        return math.floor(instant.timestamp())

    def _next(self, instants: Sequence[int], instant: datetime) -> datetime:
        index = bisect_right(instants, self._seconds(instant))
        if index == len(instants):
            raise CalendarError(self.venue, f"nothing known after {instant}: {self._ends()}")
        return datetime.fromtimestamp(instants[index], UTC)

    def _previous(self, instants: Sequence[int], instant: datetime) -> datetime:
        seconds = self._seconds(instant) + (1 if instant.microsecond else 0)
        index = bisect_left(instants, seconds) - 1
        if index < 0:
            raise CalendarError(self.venue, f"nothing known before {instant}: {self._ends()}")
        return datetime.fromtimestamp(instants[index], UTC)


def always_open(venue: str) -> Calendar:
    """Return the calendar of a venue that never closes: each UTC day is a session, 1990 to 2100."""
    first, last = date(1990, 1, 1), date(2100, 12, 31)
    low = first.toordinal() - EPOCH_ORDINAL
    high = last.toordinal() - EPOCH_ORDINAL + 1
    return Calendar(
        venue=venue,
        timezone="UTC",
        known_from=first,
        known_until=last,
        weekdays=frozenset(range(7)),
        version="computed",
        dates=range(EPOCH_ORDINAL + low, EPOCH_ORDINAL + high),
        opens=range(low * DAY_S, high * DAY_S, DAY_S),
        closes=range((low + 1) * DAY_S, (high + 1) * DAY_S, DAY_S),
        regular=(RegularHours(first, time(0), time(0)),),
    )
