"""Trading calendars: the venues, and their sessions between two dates."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from closingbell.api.application import served_app
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.error import CalendarError, InvalidRequest, UnknownVenue
from closingbell.core.role import Role
from closingbell.core.zone import require_zone
from closingbell.triggers import Calendar, calendar_version, get_calendar, known_venues
from closingbell.wire.calendar import (
    BreakInfo,
    CalendarInfo,
    HolidayInfo,
    TradingSession,
    VenueInfo,
    VenueList,
)
from closingbell.wire.instant import Day

router = APIRouter(prefix="/calendars", tags=["calendars"])

#: One answer covers at most so many days.
LONGEST_DAYS = 370
_SHOWN_DAYS = 30

_App = Annotated[App, Depends(served_app)]


@router.get(
    "",
    operation_id="list_calendars",
    summary="Every venue whose sessions are known",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(),
)
def list_calendars() -> VenueList:
    """List the shipped venues, and those of the app's own calendar file."""
    venues = [
        VenueInfo(venue=one.venue, aliases=list(one.aliases), overridden=one.overridden)
        for one in known_venues()
    ]
    return VenueList(version=calendar_version(), venues=venues)


@router.get(
    "/{venue:path}",
    operation_id="get_calendar",
    summary="A venue's sessions and holidays between two dates",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(404, 422),
)
def get_venue_calendar(
    venue: Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[^\x00]*$")],
    app: _App,
    first: Annotated[
        Day | None, Query(alias="from", description="default today at the venue")
    ] = None,
    last: Annotated[
        Day | None, Query(alias="to", description="default 30 days on; at most 370 days")
    ] = None,
) -> CalendarInfo:
    """Return sessions with their breaks and special hours, and the days off that are no weekend.

    What lies outside of what the calendar knows is left out: `known_until` says where it ends.
    """
    try:
        calendar = get_calendar(venue)
    except CalendarError as problem:
        raise UnknownVenue(venue, problem.problem) from None
    now = app.clock.now()
    start = first or now.astimezone(require_zone(calendar.timezone)).date()
    end = last or start + timedelta(days=_SHOWN_DAYS)
    if end < start:
        raise InvalidRequest([("query.to", "expected a date that is not before `from`")])
    if (end - start).days >= LONGEST_DAYS:
        raise InvalidRequest([("query.to", f"expected at most {LONGEST_DAYS} days from `from`")])
    low, high = max(start, calendar.known_from), min(end, calendar.known_until)
    return CalendarInfo(
        venue=calendar.venue,
        timezone=calendar.timezone,
        version=calendar.version,
        known_from=calendar.known_from,
        known_until=calendar.known_until,
        is_open=calendar.is_open(now),
        next_open_at=_following(calendar, now, "open"),
        next_close_at=_following(calendar, now, "close"),
        first=start,
        last=end,
        sessions=[] if high < low else _sessions(calendar, low, high),
        holidays=[] if high < low else _holidays(calendar, low, high),
    )


def _following(calendar: Calendar, now: datetime, edge: str) -> datetime | None:
    try:
        return calendar.next_open(now) if edge == "open" else calendar.next_close(now)
    except CalendarError:
        return None


def _sessions(calendar: Calendar, low: date, high: date) -> list[TradingSession]:
    return [
        TradingSession(
            date=session.date,
            open_at=session.open_at,
            close_at=session.close_at,
            breaks=[BreakInfo(start=start, end=end) for start, end in session.breaks],
            early_close=session.early_close,
            late_open=session.late_open,
            special=calendar.special_hours(session),
        )
        for session in calendar.sessions_between(low, high)
    ]


def _holidays(calendar: Calendar, low: date, high: date) -> list[HolidayInfo]:
    days = (low + timedelta(days=count) for count in range((high - low).days + 1))
    return [
        HolidayInfo(date=day, reason=reason)
        for day in days
        if day.weekday() in calendar.weekdays
        and (reason := calendar.closure_reason(day)) is not None
    ]
