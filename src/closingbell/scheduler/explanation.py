"""The next firings of a trigger, each with its reason, and the firings one might miss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from closingbell.core.error import TriggerError
from closingbell.core.trigger import Trigger
from closingbell.scheduler.blackout import Blackout
from closingbell.scheduler.cron import Cron
from closingbell.scheduler.cron_text import CronRule, cron_rule
from closingbell.scheduler.daily import Daily
from closingbell.scheduler.local_time import change_between, local_text, require_utc, zone
from closingbell.scheduler.session import Session

_ONE_DAY = timedelta(days=1)
_LONGEST_LOOK = timedelta(days=800)
_MOST_BLACKED_OUT = 1000


@dataclass(frozen=True)
class Explained:
    """One line of a schedule's future.

    Attributes:
        fire_at: the instant (UTC); None for something that will not happen.
        local: when, in the rule's own zone.
        why: the reason, in one line; that of a non-firing begins with 'no firing'.
    """

    fire_at: datetime | None
    local: str
    why: str

    @property
    def fires(self) -> bool:
        """Whether the line is a firing."""
        return self.fire_at is not None


def explain_next(
    trigger: Trigger, after: datetime, n: int, blackouts: Sequence[Blackout] = ()
) -> list[Explained]:
    """Return the next `n` firings with their reasons, and what does not fire in between.

    Non-firings are told where a person would ask: a venue's holiday, a half day
    without the rule's edge, a local time that the clock skips, a month without day
    31, a blackout, the end of what the calendar knows.

    Args:
        trigger: any trigger; one of another kind has no non-firings.
        after: an aware datetime.
        n: how many firings, at least 1.
        blackouts: windows in which the schedule does not fire.

    Raises:
        TriggerError: `after` is naive or `n` is below 1.
    """
    if n < 1:
        raise TriggerError("count", n, "at least one firing")
    where = trigger_zone(trigger)
    here = require_utc(after)
    lines: list[Explained] = []
    fired = hidden = 0
    while fired < n and hidden < _MOST_BLACKED_OUT:
        fire_at = trigger.next_after(here)
        lines += _missing_between(trigger, here, fire_at)
        if fire_at is None:
            lines.append(_ending(trigger, here, where))
            break
        window = next((blackout for blackout in blackouts if blackout.covers(fire_at)), None)
        if window is None:
            lines.append(Explained(fire_at, local_text(fire_at, where), trigger.explain(fire_at)))
            fired += 1
        else:
            why = f"no firing: {window.describe()}"
            lines.append(Explained(None, local_text(fire_at, where), why))
            hidden += 1
        here = fire_at
    return lines


def trigger_zone(trigger: Trigger) -> tzinfo:
    """Return the zone in which a trigger is told: its own, or its first venue's."""
    if isinstance(trigger, Session):
        from closingbell.scheduler.calendar_book import get_calendar

        return zone(get_calendar(trigger.venues[0]).timezone)
    return zone(getattr(trigger, "timezone", "UTC"))


def _ending(trigger: Trigger, here: datetime, where: tzinfo) -> Explained:
    if isinstance(trigger, Session):
        end = trigger.knowledge_end()
        venues = ", ".join(trigger.venues)
        why = f"no firing known: the calendar of {venues} ends here; later days are unknown"
        return Explained(None, local_text(end, where), why)
    return Explained(None, local_text(here, where), "no firing: the rule names no later instant")


def _missing_between(
    trigger: Trigger, after: datetime, fire_at: datetime | None
) -> Iterator[Explained]:
    if isinstance(trigger, Session):
        # A day's session may open before its firing and the one before may end late;
        # each date is told before the firing that follows it.
        until = trigger.knowledge_end() if fire_at is None else fire_at
        for day, reason in trigger.idle_days(after, until):
            yield Explained(None, str(day), f"no firing: {reason}")
    elif fire_at is None or fire_at - after > _LONGEST_LOOK:
        return
    elif isinstance(trigger, Daily):
        yield from _short_months(trigger, after, fire_at)
    elif isinstance(trigger, Cron) and not trigger.fixed_times:
        yield from _skipped_times(trigger, after, fire_at)


def _short_months(trigger: Daily, after: datetime, fire_at: datetime) -> Iterator[Explained]:
    if not isinstance(trigger.day_of_month, int) or trigger.day_of_month < 29:
        return
    where = zone(trigger.timezone)
    day = after.astimezone(where).date() + _ONE_DAY
    while day < fire_at.astimezone(where).date():
        following = day + _ONE_DAY
        if following.day == 1 and day.day < trigger.day_of_month:
            why = f"no firing: {day:%B} has no day {trigger.day_of_month}"
            yield Explained(None, f"{day:%Y-%m}", why)
        day = following


def _skipped_times(trigger: Cron, after: datetime, fire_at: datetime) -> Iterator[Explained]:
    """Tell the local times that the rule matches and that a clock change skips."""
    where = zone(trigger.timezone)
    rule = cron_rule(trigger.expression, trigger.day_and)
    here = after
    while here < fire_at:
        ahead = min(here + _ONE_DAY, fire_at)
        old, new = (moment.astimezone(where).utcoffset() for moment in (here, ahead))
        if old is not None and new is not None and new > old:
            change = change_between(here, ahead, where)
            gap_end = change.astimezone(where).replace(tzinfo=None)
            skipped = [
                local for local in _minutes(gap_end - (new - old), gap_end) if _matches(rule, local)
            ]
            if skipped:
                first, last = skipped[0], skipped[-1]
                times = f"{first:%H:%M}" if first == last else f"{first:%H:%M} to {last:%H:%M}"
                verb = "does" if first == last else "do"
                why = f"no firing: {first:%Y-%m-%d} {times} {verb} not exist (clock change)"
                yield Explained(None, f"{first:%Y-%m-%d %H:%M}", why)
        here = ahead


def _minutes(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += timedelta(minutes=1)


def _matches(rule: CronRule, local: datetime) -> bool:
    return (
        local.month in rule.months
        and local.hour in rule.hours
        and local.minute in rule.minutes
        and rule.match_day(local.date())
    )
