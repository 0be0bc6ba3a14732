"""The triggers, for users: `from closingbell.triggers import Every, Daily, Cron, At, Session`.

Each is a frozen value with `next_after(aware datetime) -> aware UTC datetime | None`,
`explain(fire_at)`, `describe()` and `to_dict()`; equal rules are equal and hash alike.
"""

from closingbell.core.trigger import Trigger
from closingbell.scheduler.blackout import Blackout
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
    "Cron",
    "Daily",
    "Every",
    "Explained",
    "Session",
    "Trigger",
    "explain_next",
    "parse_trigger",
    "trigger_from_dict",
]
