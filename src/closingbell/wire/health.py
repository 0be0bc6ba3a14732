"""What the health routes answer."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Alive(BaseModel):
    """The process answers; it says nothing about the store."""

    status: str = Field(description="always alive")
    version: str


class Readiness(BaseModel):
    """Whether this process can do its work now."""

    ready: bool
    reasons: list[str] = Field(description="why not, in sentences; empty when ready")
