"""Trading calendars: venues, and their sessions between two dates."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field


class VenueInfo(BaseModel):
    """A venue that rules may name."""

    venue: str
    aliases: list[str]
    overridden: bool = Field(description="whether the app's own calendar file changes it")


class VenueList(BaseModel):
    """Every venue that is known, and of which version their calendars are."""

    version: str
    venues: list[VenueInfo]


class BreakInfo(BaseModel):
    """A halt within a session, such as a lunch break."""

    start: datetime
    end: datetime


class TradingSession(BaseModel):
    """One trading session."""

    date: date
    open_at: datetime
    close_at: datetime
    breaks: list[BreakInfo]
    early_close: bool
    late_open: bool
    special: str | None = Field(description="how its hours differ from the usual ones, and why")


class HolidayInfo(BaseModel):
    """A day on which a venue would usually trade, and does not."""

    date: date
    reason: str


class CalendarInfo(BaseModel):
    """What a venue does between two dates, both included."""

    venue: str
    timezone: str
    version: str
    known_from: date
    known_until: date = Field(
        description="the last day that is known; later ones never count as open"
    )
    is_open: bool
    next_open_at: datetime | None
    next_close_at: datetime | None
    first: date
    last: date
    sessions: list[TradingSession]
    holidays: list[HolidayInfo]
