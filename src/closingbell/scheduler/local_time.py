"""Local clock time against real time: zones, hours that do not exist, hours that come twice.

The rule is the one of Debian's cron (cron(8), "Special consideration for
daylight saving time"): what is due in an hour that the clock skips runs right
after the gap; what is due in an hour that the clock repeats runs once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from closingbell.core.error import TimezoneError, TriggerError, near_name

Overlap = Literal["first", "second", "both"]
OVERLAPS = ("first", "second", "both")
SECOND = timedelta(seconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Resolved(NamedTuple):
    """Where a local clock time lies in real time.

    Attributes:
        first: the instant (UTC); in a gap, the gap's end.
        second: the second pass, if the local time comes twice.
        in_gap: the local time does not exist.
    """

    first: datetime
    second: datetime | None
    in_gap: bool

    def instants(self, overlap: Overlap) -> tuple[datetime, ...]:
        """Return the instants that a rule with this `overlap` names, in order."""
        if self.second is None or overlap == "first":
            return (self.first,)
        return (self.second,) if overlap == "second" else (self.first, self.second)


@lru_cache(maxsize=256)
def _zone_named(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass
    near = _known_zones().get(name.lower()) or near_name(name, _known_zones().values())
    raise TimezoneError(name, near)


@lru_cache(maxsize=1)
def _known_zones() -> dict[str, str]:
    from zoneinfo import available_timezones

    return {name.lower(): name for name in sorted(available_timezones())}


def zone(given: object) -> tzinfo:
    """Return the zone of an IANA name; 'UTC' always works.

    Raises:
        TimezoneError: the tz database has no such zone.
    """
    if isinstance(given, str) and given:
        return UTC if given == "UTC" else _zone_named(given)
    raise TimezoneError(given)


def zone_name(given: object) -> str:
    """Return the checked IANA name of a name, a `ZoneInfo` or `datetime.UTC`.

    Raises:
        TimezoneError: it has no IANA name.
    """
    if isinstance(given, ZoneInfo) and given.key:
        given = given.key
    elif given is UTC:
        given = "UTC"
    zone(given)
    return str(given)


def require_utc(instant: object) -> datetime:
    """Return an aware datetime in UTC.

    Raises:
        TriggerError: it is naive, or no datetime.
    """
    if not isinstance(instant, datetime) or instant.utcoffset() is None:
        raise TriggerError("instant", str(instant), "a datetime with a time zone")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise TriggerError("instant", str(instant), "a year between 1 and 9999") from None


def resolve(local: datetime, where: tzinfo) -> Resolved:
    """Find the instant of a naive local time, PEP 495 telling gaps and repeats apart.

    Args:
        local: a naive datetime; its `fold` is ignored.
        where: the zone.

    Raises:
        OverflowError: the instant lies outside years 1 to 9999.
    """
    if where is UTC:
        return Resolved(local.replace(tzinfo=UTC, fold=0), None, False)
    early = local.replace(tzinfo=where, fold=0).utcoffset() or timedelta()
    late = local.replace(tzinfo=where, fold=1).utcoffset() or timedelta()
    plain = local.replace(tzinfo=UTC, fold=0)
    if early == late:
        return Resolved(plain - early, None, False)
    if early > late:
        return Resolved(plain - early, plain - late, False)
    return Resolved(change_between(plain - late, plain - early, where), None, True)


def change_between(before: datetime, after: datetime, where: tzinfo) -> datetime:
    """Return the first whole second of the offset that holds at `after`."""
    offset = after.astimezone(where).utcoffset()
    low, high = before, after
    while high - low > SECOND:
        middle = low + (high - low) / 2
        if middle.astimezone(where).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)


def first_local_after(
    moment: datetime,
    where: tzinfo,
    next_day: Callable[[int], int | None],
    clocks: Sequence[time],
    overlap: Overlap,
) -> datetime | None:
    """Return the first instant after `moment` that local days and times of day name.

    Args:
        moment: the instant, in UTC.
        where: the zone of the days and times.
        next_day: gives the first named day (as an ordinal) from an ordinal on, or None.
        clocks: the times of day, in order.
        overlap: which pass of a repeated local time counts.
    """
    try:
        # A firing of the local day before may still be ahead, where a clock change
        # straddles midnight.
        ordinal = next_day(moment.astimezone(where).toordinal() - 1)
        while ordinal is not None:
            found = _first_on(ordinal, moment, where, clocks, overlap)
            if found is not None:
                if overlap != "first" and next_day(ordinal + 1) == ordinal + 1:
                    # Where the clock goes back across midnight, the second pass of one
                    # evening comes after the first minutes of the next day.
                    other = _first_on(ordinal + 1, moment, where, clocks, overlap)
                    return found if other is None else min(found, other)
                return found
            ordinal = next_day(ordinal + 1)
    except (OverflowError, ValueError):
        pass
    return None


def _first_on(
    ordinal: int, moment: datetime, where: tzinfo, clocks: Sequence[time], overlap: Overlap
) -> datetime | None:
    day = date.fromordinal(ordinal)
    if overlap == "first":
        # First passes and gap ends keep the order of the clock, so halving finds it.
        low, high = 0, len(clocks)
        while low < high:
            middle = (low + high) // 2
            if resolve(datetime.combine(day, clocks[middle]), where).first > moment:
                high = middle
            else:
                low = middle + 1
        if low == len(clocks):
            return None
        return resolve(datetime.combine(day, clocks[low]), where).first
    return min(
        (
            instant
            for clock in clocks
            for instant in resolve(datetime.combine(day, clock), where).instants(overlap)
            if instant > moment
        ),
        default=None,
    )


def local_text(instant: datetime, where: tzinfo) -> str:
    """Write an instant in a zone, with its abbreviation: '2026-11-27 12:45 EST'."""
    local = instant.astimezone(where)
    clock = "%H:%M:%S.%f" if local.microsecond else ("%H:%M:%S" if local.second else "%H:%M")
    return f"{local:%Y-%m-%d {clock}} {local.tzname()}"
