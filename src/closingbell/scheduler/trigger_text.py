"""The small words of a trigger: durations, times of day, weekdays, calendar days."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

from closingbell.core.error import TriggerError, near_name

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
WEEKDAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MILLISECOND = timedelta(milliseconds=1)
LONGEST = timedelta(days=3660)

_UNITS = {
    unit: size
    for units, size in (
        ("ms millisecond milliseconds", timedelta(milliseconds=1)),
        ("s sec secs second seconds", timedelta(seconds=1)),
        ("m min mins minute minutes", timedelta(minutes=1)),
        ("h hr hrs hour hours", timedelta(hours=1)),
        ("d day days", timedelta(days=1)),
        ("w week weeks", timedelta(weeks=1)),
    )
    for unit in units.split()
}
_SHORT = (
    ("w", timedelta(weeks=1)),
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("m", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
)
_WORDS = {
    "secondly": timedelta(seconds=1),
    "minutely": timedelta(minutes=1),
    "hourly": timedelta(hours=1),
}
_DURATION = re.compile(r"(?:\s*[0-9]{1,12}\s*[a-z]+)+\s*", re.ASCII)
_PART = re.compile(r"([0-9]{1,12})\s*([a-z]+)", re.ASCII)
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?", re.ASCII)

DURATION_EXPECTED = "a duration such as '5m', '90s', '1h30m' (ms, s, m, h, d, w) or a timedelta"
TIME_EXPECTED = "a time of day such as '02:00' or '23:59:30'"
DAYS_EXPECTED = "weekdays such as 'MON-FRI' or 'MON,WED,FRI'"


def parse_interval(given: object, kind: str = "interval") -> timedelta:
    """Read a duration: '5m', '1h30m', '90 s', 'hourly', or a timedelta.

    Args:
        given: what the user wrote.
        kind: the word for it in an error.

    Returns:
        The duration, from 1 ms to ten years, in whole milliseconds.

    Raises:
        TriggerError: it cannot be read, is below 1 ms or above ten years.
    """
    if isinstance(given, timedelta):
        duration = given
    elif isinstance(given, str):
        duration = _duration_of(given, kind)
    else:
        raise TriggerError(kind, given, DURATION_EXPECTED)
    if not MILLISECOND <= duration <= LONGEST:
        raise TriggerError(kind, str(given), "a duration from 1 ms to ten years")
    if duration % MILLISECOND:
        raise TriggerError(kind, str(given), "whole milliseconds")
    return duration


def _duration_of(text: str, kind: str) -> timedelta:
    plain = text.strip()
    if plain.lower() in _WORDS:
        return _WORDS[plain.lower()]
    if not _DURATION.fullmatch(plain):
        near = near_name(plain.lower(), _WORDS) if plain.isalpha() else None
        hint = f"; did you mean {near!r}?" if near else ""
        raise TriggerError(kind, text, DURATION_EXPECTED + hint)
    total = timedelta()
    seen: set[timedelta] = set()
    for number, unit in _PART.findall(plain):
        size = _UNITS.get(unit)
        if size is None or size in seen:
            raise TriggerError(kind, text, DURATION_EXPECTED + ", each unit once")
        seen.add(size)
        try:
            total += int(number) * size
        except OverflowError:
            raise TriggerError(kind, text, "a duration from 1 ms to ten years") from None
    return total


def format_interval(duration: timedelta) -> str:
    """Write a duration so that `parse_interval` reads it back: '1h30m'."""
    parts: list[str] = []
    rest = duration
    for unit, size in _SHORT:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def spoken_duration(duration: timedelta) -> str:
    """Write a duration for people: '5 minutes', 'hour', '1 hour 30 minutes'."""
    words: list[str] = []
    rest = duration
    for name, size in (
        ("week", timedelta(weeks=1)),
        ("day", timedelta(days=1)),
        ("hour", timedelta(hours=1)),
        ("minute", timedelta(minutes=1)),
        ("second", timedelta(seconds=1)),
        ("millisecond", timedelta(milliseconds=1)),
    ):
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(words)


def parse_time_of_day(given: object, kind: str = "time") -> time:
    """Read a time of day: '02:00', '9:30', '23:59:30', or a naive `datetime.time`.

    Raises:
        TriggerError: it is no time of day, or carries a zone of its own.
    """
    if isinstance(given, time) and given.tzinfo is None:
        return given.replace(fold=0)
    if isinstance(given, str) and (match := _CLOCK.fullmatch(given.strip())):
        hour, minute, second, fraction = match.groups(default="0")
        try:
            return time(int(hour), int(minute), int(second), int(fraction.ljust(6, "0")))
        except ValueError:
            pass
    raise TriggerError(kind, given, TIME_EXPECTED)


def format_time(clock: time) -> str:
    """Write a time of day as short as it can be: '02:00', '23:59:30'."""
    if clock.microsecond:
        return clock.isoformat()
    return clock.isoformat(timespec="seconds" if clock.second else "minutes")


def parse_weekdays(given: object, kind: str = "days") -> tuple[int, ...] | None:
    """Read weekdays: 'MON-FRI', 'FRI', 'SAT,SUN', 'weekdays', ['MON', 'WED'], or None for all.

    Names count in English, three letters or whole, in any case; a range may wrap
    ('FRI-MON'). Numbers are refused: tools disagree on which day is 0.

    Returns:
        Weekday numbers in order, Monday 0; None if every day is meant.

    Raises:
        TriggerError: a word is no weekday.
    """
    if given is None:
        return None
    words: list[str]
    if isinstance(given, str):
        words = given.split(",")
    elif isinstance(given, Iterable):
        words = [word if isinstance(word, str) else repr(word) for word in given]
    else:
        raise TriggerError(kind, given, DAYS_EXPECTED)
    found: set[int] = set()
    for word in words:
        plain = word.strip().lower()
        if plain in ("weekdays", "weekday"):
            found |= set(range(5))
        elif plain in ("weekend", "weekends"):
            found |= {5, 6}
        elif plain in ("daily", "all", "*"):
            found |= set(range(7))
        elif "-" in plain:
            first, _, last = plain.partition("-")
            start, end = _weekday(first, given, kind), _weekday(last, given, kind)
            found |= {(start + step) % 7 for step in range((end - start) % 7 + 1)}
        else:
            found.add(_weekday(plain, given, kind))
    return None if len(found) == 7 else tuple(sorted(found))


def _weekday(word: str, given: object, kind: str) -> int:
    plain = word.strip().lower()
    for number, name in enumerate(WEEKDAY_NAMES):
        if plain and (plain == name.lower() or plain == name[:3].lower()):
            return number
    near = near_name(plain.upper(), (*WEEKDAYS, *(n.upper() for n in WEEKDAY_NAMES)))
    hint = f"; did you mean {near!r}?" if near else ""
    raise TriggerError(kind, given, DAYS_EXPECTED + hint)


def format_weekdays(days: tuple[int, ...]) -> str:
    """Write weekdays so that `parse_weekdays` reads them back: 'MON-FRI', 'MON,WED'."""
    if len(days) > 2 and days == tuple(range(days[0], days[-1] + 1)):
        return f"{WEEKDAYS[days[0]]}-{WEEKDAYS[days[-1]]}"
    return ",".join(WEEKDAYS[day] for day in days)


def spoken_weekdays(days: tuple[int, ...] | None) -> str:
    """Write weekdays for people: 'every day', 'Monday to Friday', 'every Monday'."""
    if days is None:
        return "every day"
    if len(days) > 2 and days == tuple(range(days[0], days[-1] + 1)):
        return f"{WEEKDAY_NAMES[days[0]]} to {WEEKDAY_NAMES[days[-1]]}"
    names = [WEEKDAY_NAMES[day] for day in days]
    return "every " + (names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}")


def parse_moment(given: object, kind: str) -> datetime:
    """Read an ISO date and time, naive or aware, or a datetime; a date alone is its midnight.

    Raises:
        TriggerError: it is no date and time, or a day that no calendar has.
    """
    if isinstance(given, datetime):
        return given
    if isinstance(given, date):
        return datetime(given.year, given.month, given.day)  # noqa: DTZ001
    if isinstance(given, str):
        try:
            return datetime.fromisoformat(given.strip())
        except ValueError:
            pass
    raise TriggerError(
        kind, given, "a date and time such as '2026-11-20T09:30' or '2026-11-20T09:30:00+00:00'"
    )
