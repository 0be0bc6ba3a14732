"""The overview's parts that are worked out here: what fires next, and which venues trade today."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from closingbell.app import App
from closingbell.core.error import CalendarError, ClosingbellError
from closingbell.core.schedule import Schedule
from closingbell.definition import read_schedule
from closingbell.scheduler.calendar_book import get_calendar
from closingbell.store.roster import Enrolled
from closingbell.wire.figure import AliveWorkers, NextFiring, VenueToday
from closingbell.wire.worker import Slots

#: Schedules, the next to fire first, whose venues are shown.
_MOST_SCHEDULES = 200
_MOST_VENUES = 20


def next_firings(schedules: Iterable[Schedule]) -> list[NextFiring]:
    """Return what schedules will do next, with why."""
    found: list[NextFiring] = []
    for schedule in schedules:
        fire_at = schedule.next_fire_at
        if fire_at is None:
            continue
        try:
            why = schedule.trigger.explain(fire_at)
        except ClosingbellError as problem:
            why = str(problem)
        found.append(
            NextFiring(
                schedule_id=schedule.id, task=schedule.task, fire_at=fire_at, explanation=why
            )
        )
    return found


def planned(app: App) -> list[Schedule]:
    """Return the schedules that fire next, the first of them first; unreadable ones left out."""
    found: list[Schedule] = []
    for row in app.store.glance.next_schedules(_MOST_SCHEDULES):
        try:
            found.append(read_schedule(row))
        except ClosingbellError:
            # It names a venue or a zone that this process does not know.
            continue
    return found


def venues_today(app: App, schedules: Iterable[Schedule]) -> list[VenueToday]:
    """Return today's session of each venue that schedules or accounts name."""
    named = [venue for schedule in schedules for venue in getattr(schedule.trigger, "venues", ())]
    named += [terms.calendar for terms in app.accounts.values()]
    return [_today(venue, app) for venue in sorted(set(named))[:_MOST_VENUES]]


def _today(venue: str, app: App) -> VenueToday:
    calendar, now = get_calendar(venue), app.clock.now()
    day = now.astimezone(ZoneInfo(calendar.timezone)).date()
    session, note = None, None
    try:
        note = calendar.closure_reason(day)
        if calendar.is_session(day):
            session = calendar.session(day)
        is_open = calendar.is_open(now)
    except CalendarError as problem:
        is_open, note = False, str(problem)
    try:
        following = calendar.next_open(now)
    except CalendarError:
        following = None
    return VenueToday(
        venue=calendar.venue,
        timezone=calendar.timezone,
        date=day,
        is_open=is_open,
        open_at=None if session is None else session.open_at,
        close_at=None if session is None else session.close_at,
        breaks=[] if session is None else list(session.breaks),
        early_close=session is not None and session.early_close,
        note=note if session is None else session.note,
        next_open_at=following,
    )


def alive_workers(workers: Iterable[Enrolled]) -> AliveWorkers:
    """Return how many workers are alive, and their places together."""
    together: dict[str, Slots] = {}
    count = 0
    for worker in workers:
        if worker.state != "alive":
            continue
        count += 1
        for kind, slots in worker.about.get("slots", {}).items():
            into = together.setdefault(kind, Slots(slots=0, used=0))
            into.slots += int(slots)
        for kind, used in worker.used.items():
            into = together.setdefault(kind, Slots(slots=0, used=0))
            into.used += used
    return AliveWorkers(alive=count, slots=dict(sorted(together.items())))
