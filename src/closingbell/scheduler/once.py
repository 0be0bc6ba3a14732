"""At: one instant, once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from closingbell.core.error import TriggerError
from closingbell.scheduler.local_time import local_text, require_utc, resolve, zone, zone_name
from closingbell.scheduler.trigger_text import parse_moment


@dataclass(frozen=True, init=False)
class At:
    """Fires once, at one instant; a past instant is allowed and never fires again.

    Clock changes: a naive time is local in `timezone`. One that the clock skips
    moves right after the gap, and `explain` says so; one that comes twice means its
    first pass (give an offset, or `fold=1`, to mean the second).

    Args:
        at: an aware or naive datetime, or its ISO text; a date alone is its midnight.
        timezone: the zone of a naive time, and of explanations.

    Attributes:
        at: the instant, in UTC.
        requested: the local time that was asked for, where the clock skips it.

    Raises:
        TriggerError: it is no date and time.
        TimezoneError: the zone is unknown.
    """

    at: datetime
    timezone: str = "UTC"
    requested: datetime | None = None

    def __init__(
        self,
        at: datetime | date | str,
        timezone: str = "UTC",
        *,
        requested: datetime | str | None = None,
    ) -> None:
        name = zone_name(timezone)
        moment = parse_moment(at, "at")
        asked = None if requested is None else parse_moment(requested, "at")
        try:
            if moment.utcoffset() is None:
                resolved = resolve(moment.replace(tzinfo=None), zone(name))
                instant = resolved.first
                if moment.fold and resolved.second is not None:
                    instant = resolved.second
                if resolved.in_gap:
                    asked = moment.replace(tzinfo=None, fold=0)
            else:
                instant = moment.astimezone(UTC)
        except OverflowError:
            raise TriggerError("at", str(at), "an instant between the years 1 and 9999") from None
        assign = object.__setattr__
        assign(self, "at", instant)
        assign(self, "timezone", name)
        assign(self, "requested", asked)

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the instant if it is still ahead of `instant`, else None."""
        return self.at if self.at > require_utc(instant) else None

    def explain(self, fire_at: datetime) -> str:
        """Say in one line why the rule names `fire_at`."""
        text = f"once at {local_text(self.at, zone(self.timezone))}"
        if self.requested is not None:
            local = self.at.astimezone(zone(self.timezone))
            text += f"; {self.requested:%Y-%m-%d %H:%M} does not exist: fires {local:%H:%M}"
        return text

    def describe(self) -> str:
        """Say the rule in plain English."""
        return f"once at {local_text(self.at, zone(self.timezone))} ({self.timezone})"

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON values; `trigger_from_dict` reads them back."""
        return {
            "kind": "at",
            "at": self.at.isoformat(),
            "timezone": self.timezone,
            "requested": None if self.requested is None else self.requested.isoformat(),
        }
