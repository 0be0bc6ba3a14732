"""Every: a grid of equal steps in real time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from closingbell.core.error import TriggerError
from closingbell.scheduler.local_time import (
    EPOCH,
    local_text,
    require_utc,
    resolve,
    zone,
    zone_name,
)
from closingbell.scheduler.trigger_text import (
    format_interval,
    parse_interval,
    parse_moment,
    spoken_duration,
)


def _bound(given: object, where: tzinfo, kind: str) -> datetime:
    moment = parse_moment(given, kind)
    try:
        if moment.utcoffset() is None:
            return resolve(moment.replace(tzinfo=None), where).first
        return moment.astimezone(UTC)
    except OverflowError:
        raise TriggerError(kind, str(given), "an instant between the years 1 and 9999") from None


@dataclass(frozen=True, init=False)
class Every:
    """Fires at equal steps of real time on a grid that a restart never shifts.

    Clock changes: an interval keeps real (elapsed) time; `Every("1h")` fires every
    60 minutes also on the day that skips or repeats an hour. `Every("1d")` is
    therefore 24 hours of real time: for "each day at 02:00 local" use `Daily`.

    Args:
        interval: '5m', '90s', '1h30m', 'hourly' or a timedelta; 1 ms to ten years.
        anchor: a point of the grid; by default the Unix epoch, so '5m' fires at
            :00, :05, ... of every hour in UTC.
        start: no firing before it (a firing at it counts).
        end: no firing after it (a firing at it counts).
        timezone: the zone in which naive `anchor`, `start` and `end` are read and
            in which firings are explained; it does not move the grid.

    Raises:
        TriggerError: the interval or a bound cannot be read, or `end` is before `start`.
        TimezoneError: the zone is unknown.
    """

    interval: timedelta
    anchor: datetime = EPOCH
    start: datetime | None = None
    end: datetime | None = None
    timezone: str = "UTC"

    def __init__(
        self,
        interval: str | timedelta,
        *,
        anchor: datetime | str | None = None,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        timezone: str = "UTC",
    ) -> None:
        name = zone_name(timezone)
        where = zone(name)
        lower = None if start is None else _bound(start, where, "start")
        upper = None if end is None else _bound(end, where, "end")
        if lower is not None and upper is not None and upper < lower:
            raise TriggerError("end", str(end), f"an end that is not before the start {lower}")
        assign = object.__setattr__
        assign(self, "interval", parse_interval(interval))
        assign(self, "anchor", EPOCH if anchor is None else _bound(anchor, where, "anchor"))
        assign(self, "start", lower)
        assign(self, "end", upper)
        assign(self, "timezone", name)

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first point of the grid after `instant`, or None after `end`."""
        moment = require_utc(instant)
        try:
            if self.start is not None and moment < self.start:
                steps = -((self.anchor - self.start) // self.interval)
            else:
                steps = (moment - self.anchor) // self.interval + 1
            fire_at = self.anchor + steps * self.interval
        except OverflowError:
            return None
        return None if self.end is not None and fire_at > self.end else fire_at

    def explain(self, fire_at: datetime) -> str:
        """Say in one line why the rule names `fire_at`."""
        since = "the Unix epoch" if self.anchor == EPOCH else local_text(self.anchor, UTC)
        return f"every {format_interval(self.interval)} of real time, counted from {since}"

    def describe(self) -> str:
        """Say the rule in plain English."""
        spoken = spoken_duration(self.interval)
        text = "every " + spoken.removeprefix("1 ") if " " not in spoken[2:] else f"every {spoken}"
        where = zone(self.timezone)
        if self.start is not None:
            text += f", from {local_text(self.start, where)}"
        if self.end is not None:
            text += f", until {local_text(self.end, where)}"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON values; `trigger_from_dict` reads them back."""
        return {
            "kind": "every",
            "interval": format_interval(self.interval),
            "anchor": self.anchor.isoformat(),
            "start": None if self.start is None else self.start.isoformat(),
            "end": None if self.end is None else self.end.isoformat(),
            "timezone": self.timezone,
        }
