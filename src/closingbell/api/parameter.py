"""What queries and paths are made of: text that a database can keep, and instants."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Path, Query
from pydantic import BeforeValidator, WithJsonSchema

from closingbell.app import App
from closingbell.core.clock import to_micros

#: PostgreSQL keeps no NUL in text.
_KEEPABLE = r"^[^\x00]*$"

QueryText = Annotated[str | None, Query(min_length=1, max_length=200, pattern=_KEEPABLE)]
PathText = Annotated[str, Path(min_length=1, max_length=200, pattern=_KEEPABLE)]
Limit = Annotated[int, Query(ge=1, le=1000, description="at most so many items")]
After = Annotated[str | None, Query(description="`next` of the page before")]


def _read(given: Any) -> Any:
    # A number would be taken for seconds since 1970, which nobody means.
    if isinstance(given, str):
        try:
            return datetime.fromisoformat(given)
        except ValueError:
            raise ValueError(
                "expected an instant in ISO 8601, such as 2026-03-02T14:30:00Z"
            ) from None
    return given


QueryInstant = Annotated[
    datetime | None,
    BeforeValidator(_read),
    WithJsonSchema({"type": "string", "format": "date-time"}),
    Query(description="ISO 8601; without an offset it is the app's zone"),
]


def micros_of(given: datetime | None, app: App) -> int | None:
    """Return an instant of a query in microseconds since the epoch; None stays None."""
    aware = instant_of(given, app)
    return None if aware is None else to_micros(aware)


def instant_of(given: datetime | None, app: App) -> datetime | None:
    """Return an instant of a query, aware; without an offset it is the app's zone's."""
    if given is None or given.tzinfo is not None:
        return given
    return given.replace(tzinfo=ZoneInfo(app.settings.timezone))
