"""A cron expression, read by cronsim behind a guard, as plain sets of numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache

from closingbell.core.error import TriggerError, near_name
from closingbell.scheduler.trigger_text import WEEKDAY_NAMES, WEEKDAYS

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH_NAMES = (
    *MONTHS,
    *[
        "JANUARY",
        "FEBRUARY",
        "MARCH",
        "APRIL",
        "JUNE",
        "JULY",
        "AUGUST",
        "SEPTEMBER",
        "OCTOBER",
        "NOVEMBER",
        "DECEMBER",
    ],
)
_EXPECTED = (
    "five fields 'minute hour day-of-month month weekday' such as '0 9 * * MON', "
    "six with seconds first, or @daily and the like"
)
_LONGEST_EXPRESSION = 512
_NAME = re.compile(r"[A-Z]+")
_NAMED_RANGE = re.compile(r"([A-Z]{3})-([A-Z]{3})")
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class CronRule:
    """What an expression names.

    Attributes:
        clocks: the times of day of a fixed-time rule, in order; empty for a rule
            whose second, minute or hour begins with a star.
        match_day: whether a local date is named (the month is not looked at).
        explanation: the expression in plain English.
        warnings: what the writer may not have meant, one sentence each.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    clocks: tuple[time, ...]
    match_day: Callable[[date], bool]
    explanation: Callable[[], str]
    warnings: tuple[str, ...]

    def next_day(self, ordinal: int) -> int | None:
        """Return the first named date from an ordinal on, as an ordinal; None after 50 years."""
        try:
            day = date.fromordinal(ordinal)
            last_year = day.year + 50
            while day.year <= last_year:
                if day.month not in self.months:
                    year, month = divmod(day.year * 12 + day.month, 12)
                    day = date(year, month + 1, 1)
                elif self.match_day(day):
                    return day.toordinal()
                else:
                    day = date.fromordinal(day.toordinal() + 1)
        except (ValueError, OverflowError):
            pass
        return None


def normal_expression(given: object) -> str:
    """Return an expression in upper case with single spaces, aliases and `?` written out.

    Raises:
        TriggerError: it is no cron expression; the sentence says which field.
    """
    if not isinstance(given, str) or len(given) > _LONGEST_EXPRESSION or not given.isascii():
        raise TriggerError("cron", given if isinstance(given, str) else repr(given), _EXPECTED)
    plain = given.strip()
    if plain.startswith("@"):
        if plain.lower() in ALIASES:
            return ALIASES[plain.lower()]
        if plain.lower().startswith("@every"):
            raise TriggerError("cron", given, "cron fields; for intervals use interval='5m'")
        near = near_name(plain.lower(), ALIASES)
        hint = f"; did you mean {near!r}?" if near else ""
        raise TriggerError("cron", given, f"one of {', '.join(ALIASES)}{hint}")
    fields = plain.upper().split()
    if len(fields) not in (5, 6):
        raise TriggerError("cron", given, f"{_EXPECTED}; found {len(fields)} fields")
    for position in (-3, -1):
        if fields[position] == "?":
            fields[position] = "*"
    _check_names(given, "month", fields[-2], MONTHS, _MONTH_NAMES)
    _check_names(
        given, "weekday", fields[-1], WEEKDAYS, (*WEEKDAYS, *(n.upper() for n in WEEKDAY_NAMES))
    )
    fields[-1] = _NAMED_RANGE.sub(_unwrapped, fields[-1])
    return " ".join(fields)


def _check_names(
    given: str, what: str, field: str, short: tuple[str, ...], known: tuple[str, ...]
) -> None:
    for word in _NAME.findall(field):
        if word in short or (what == "weekday" and word == "L"):
            continue
        near = near_name(word, known) or ""
        hint = f"; did you mean {near[:3]!r}?" if near else ""
        raise TriggerError("cron", given, f"a {what} such as {short[0]} or {short[4]}{hint}")


def _unwrapped(match: re.Match[str]) -> str:
    """Write a weekday range that runs past Saturday ('FRI-MON') as a list, which cron can say."""
    if match[1] not in WEEKDAYS or match[2] not in WEEKDAYS:
        return match[0]
    cron_order = [*WEEKDAYS[-1:], *WEEKDAYS[:-1]]
    first, last = cron_order.index(match[1]), cron_order.index(match[2])
    if first <= last:
        return match[0]
    return ",".join(cron_order[first:] + cron_order[: last + 1])


@lru_cache(maxsize=4096)
def cron_rule(expression: str, day_and: bool) -> CronRule:
    """Read a normal expression.

    Args:
        expression: what `normal_expression` returned.
        day_and: whether a day must match day-of-month and weekday, where cron takes either.

    Raises:
        TriggerError: a field is out of range, or no month has such a day.
    """
    from cronsim import CronSim, CronSimError

    try:
        rule = CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001
    except (CronSimError, ValueError, TypeError, AssertionError, OverflowError) as problem:
        detail = str(problem).replace("Bad ", "a possible ") if str(problem) else _EXPECTED
        raise TriggerError("cron", expression, detail) from None
    warnings = []
    if not rule.day_and:
        if day_and:
            rule.day_and = True
        else:
            warnings.append(
                f"cron {expression!r} sets day-of-month and weekday: it fires when either "
                "matches; day_and=True asks for both"
            )
    months = frozenset(rule.months)
    # cronsim writes L and LW as numbers below zero.
    if rule.day_and and min(rule.days) > 0:
        longest = max(_LONGEST_MONTH[month - 1] for month in months)
        if min(rule.days) > longest:
            raise TriggerError("cron", expression, "a day that one of its months has")
    seconds, minutes, hours = (
        tuple(sorted(values)) for values in (rule.seconds, rule.minutes, rule.hours)
    )
    fixed = not any(field.startswith("*") for field in rule.parts[:3])
    return CronRule(
        seconds=seconds,
        minutes=minutes,
        hours=hours,
        months=months,
        clocks=tuple(time(h, m, s) for h in hours for m in minutes for s in seconds)
        if fixed
        else (),
        match_day=rule.match_day,
        explanation=rule.explain,
        warnings=tuple(warnings),
    )
