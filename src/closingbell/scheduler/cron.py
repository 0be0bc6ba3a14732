"""Cron: five or six fields, as Debian's cron reads them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Any

from closingbell.scheduler.cron_text import CronRule, cron_rule, normal_expression
from closingbell.scheduler.daily import clock_note, require_overlap
from closingbell.scheduler.local_time import (
    Overlap,
    change_between,
    first_local_after,
    require_utc,
    resolve,
    zone,
    zone_name,
)

_LOOK_AHEAD = timedelta(hours=26)


@dataclass(frozen=True, init=False)
class Cron:
    """Fires where a cron expression matches the local clock.

    Clock changes (the rule of Debian's cron): an expression whose minute and hour
    are both written out is a fixed-time rule: it fires once on the day that repeats
    the hour and right after the gap on the day that skips it (several times inside
    one gap make one firing). An expression whose minute or hour begins with a star
    keeps real time: it fires whenever the local clock matches, so in both passes of
    a repeated hour, and not at all inside a skipped one.

    Args:
        expression: 'minute hour day-of-month month weekday', six fields with seconds
            first, or @hourly, @daily, @weekly, @monthly, @yearly. Names (MON, JAN),
            lists, ranges, steps, `?`, `L`, `LW`, `FRI#3`, `5L` are read; Sunday is 0 and 7.
        timezone: the IANA zone of the local clock.
        dst_overlap: for a fixed-time rule, which pass of a repeated hour: 'first'
            (Debian's), 'second' or 'both'.
        day_and: require day-of-month and weekday together; cron takes either.

    Raises:
        TriggerError: a field cannot be read or no month has such a day.
        TimezoneError: the zone is unknown.
    """

    expression: str
    timezone: str = "UTC"
    dst_overlap: Overlap = "first"
    day_and: bool = False

    def __init__(
        self,
        expression: str,
        timezone: str = "UTC",
        *,
        dst_overlap: str = "first",
        day_and: bool = False,
    ) -> None:
        normal = normal_expression(expression)
        cron_rule(normal, bool(day_and))
        assign = object.__setattr__
        assign(self, "expression", normal)
        assign(self, "timezone", zone_name(timezone))
        assign(self, "dst_overlap", require_overlap(dst_overlap))
        assign(self, "day_and", bool(day_and))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the writer may not have meant: one sentence each, usually none."""
        return cron_rule(self.expression, self.day_and).warnings

    @property
    def fixed_times(self) -> tuple[time, ...]:
        """The times of day of a fixed-time rule; empty if the rule keeps real time."""
        return cron_rule(self.expression, self.day_and).clocks

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first firing after `instant`, in UTC; None if none comes in 50 years."""
        moment = require_utc(instant)
        rule = cron_rule(self.expression, self.day_and)
        where = zone(self.timezone)
        if rule.clocks:
            return first_local_after(moment, where, rule.next_day, rule.clocks, self.dst_overlap)
        try:
            return _matching_after(moment, where, rule)
        except (OverflowError, ValueError):
            return None

    def explain(self, fire_at: datetime) -> str:
        """Say in one line why the rule names `fire_at`, with what the clock did that day."""
        moment = require_utc(fire_at)
        for clock in self.fixed_times:
            note = clock_note(moment, clock, self.timezone, self.dst_overlap)
            if note:
                return self.describe() + note
        return self.describe()

    def describe(self) -> str:
        """Say the rule in plain English."""
        text = cron_rule(self.expression, self.day_and).explanation()
        return f"{text[0].lower()}{text[1:]} ({self.timezone})"

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON values; `trigger_from_dict` reads them back."""
        return {
            "kind": "cron",
            "expression": self.expression,
            "timezone": self.timezone,
            "dst_overlap": self.dst_overlap,
            "day_and": self.day_and,
        }


def _matching_after(moment: datetime, where: tzinfo, rule: CronRule) -> datetime | None:
    """Walk real time to the next second whose local clock matches, in jumps.

    A jump never passes a clock change unseen: what the clock shows after it is
    looked at afresh.
    """
    here = moment.replace(microsecond=0) + timedelta(seconds=1)
    while True:
        local = here.astimezone(where)
        if local.month not in rule.months or not rule.match_day(local.date()):
            day = rule.next_day(local.toordinal() + 1)
            if day is None:
                return None
            midnight = datetime.fromordinal(day)
            here = _jump(here, resolve(midnight, where).first, where)
        elif local.hour not in rule.hours:
            clock = local.minute * 60 + local.second
            ahead = bisect_right(rule.hours, local.hour)
            hour = rule.hours[ahead] if ahead < len(rule.hours) else 24
            span = timedelta(seconds=(hour - local.hour) * 3600 - clock)
            here = _jump(here, here + span, where)
        elif local.minute not in rule.minutes:
            ahead = bisect_right(rule.minutes, local.minute)
            minute = rule.minutes[ahead] if ahead < len(rule.minutes) else 60
            span = timedelta(seconds=(minute - local.minute) * 60 - local.second)
            here = _jump(here, here + span, where)
        elif local.second not in rule.seconds:
            ahead = bisect_right(rule.seconds, local.second)
            second = rule.seconds[ahead] if ahead < len(rule.seconds) else 60
            here = _jump(here, here + timedelta(seconds=second - local.second), where)
        else:
            return here


def _jump(here: datetime, target: datetime, where: tzinfo) -> datetime:
    """Return `target`, or the clock change before it within a day, whichever comes first."""
    probe = min(target, here + _LOOK_AHEAD)
    if here < probe and probe.astimezone(where).utcoffset() != here.astimezone(where).utcoffset():
        return change_between(here, probe, where)
    return target if target > here else here + timedelta(seconds=1)
