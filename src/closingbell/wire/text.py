"""Texts of requests: bounded, and what both databases can keep."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

#: Whoever names something has so many characters.
LONGEST_NAME = 200


def _keepable(given: str) -> str:
    if "\0" in given:
        raise ValueError("expected text without NUL characters")
    if given.encode(errors="ignore").decode() != given:
        raise ValueError("expected text without halves of surrogate pairs")
    return given


#: The name of a task, an event type, a tag. One line of it: it stands in addresses, and on terminals
#: that would obey an escape character.
Name = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=LONGEST_NAME, pattern=r"^[^\x00-\x1f\x7f]*$"
    ),
    AfterValidator(_keepable),
]
#: The id of something that exists; longer ones are nobody's.
Id = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=500),
    AfterValidator(_keepable),
]
#: An id that a request chooses.
NewId = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}$"),
]
#: Why somebody does what they do.
Reason = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=2_000, strip_whitespace=True),
    AfterValidator(_keepable),
]
#: 1 runs first, 9 last.
Priority = Annotated[int, Field(strict=True, ge=1, le=9)]
#: Fields of a payload, or of an event's data.
JsonObject = dict[str, Any]
Tags = Annotated[list[Name], Field(max_length=100)]


class Given(BaseModel):
    """What a request may hold: nothing but its fields."""

    model_config = ConfigDict(extra="forbid")


class Because(Given):
    """Why somebody does what they do; the audit ledger keeps it."""

    reason: Reason | None = None
