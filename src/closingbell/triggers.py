"""The triggers and calendars, for users: `from closingbell.triggers import Daily, Session`.

Each trigger is a frozen value with `next_after(aware datetime) -> aware UTC datetime | None`,
`explain(fire_at)`, `describe()` and `to_dict()`; equal rules are equal and hash alike.
"""

from closingbell.core.trigger import Trigger
from closingbell.scheduler.blackout import Blackout, blackout_from_dict
from closingbell.scheduler.calendar import Calendar, TradingSession
from closingbell.scheduler.calendar_book import (
    EndingCalendar,
    KnownVenue,
    calendar_version,
    ending_calendars,
    get_calendar,
    known_venues,
    load_overrides,
)
from closingbell.scheduler.cron import Cron
from closingbell.scheduler.daily import Daily
from closingbell.scheduler.explanation import Explained, explain_next
from closingbell.scheduler.interval import Every
from closingbell.scheduler.once import At
from closingbell.scheduler.session import Session
from closingbell.scheduler.trigger_parse import parse_trigger, trigger_from_dict

__all__ = [
    "At",
    "Blackout",
    "Calendar",
    "Cron",
    "Daily",
    "EndingCalendar",
    "Every",
    "Explained",
    "KnownVenue",
    "Session",
    "TradingSession",
    "Trigger",
    "blackout_from_dict",
    "calendar_version",
    "ending_calendars",
    "explain_next",
    "get_calendar",
    "known_venues",
    "load_overrides",
    "parse_trigger",
    "trigger_from_dict",
]
