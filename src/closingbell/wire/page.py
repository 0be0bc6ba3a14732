"""One page of a list."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, Field

_Item = TypeVar("_Item")


class Page(BaseModel, Generic[_Item]):
    """Some items of a list, and where to go on."""

    items: list[_Item]
    next: str | None = Field(
        default=None, description="send it as `after` for the next page; null = this is the last"
    )
    complete: bool = Field(
        default=True,
        description="false: the look stopped at its bound, and items may follow on the next page",
    )
