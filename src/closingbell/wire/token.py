"""API tokens on the wire; the secret travels once, when a token is made."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from closingbell.core.role import Role


class TokenRequest(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="what it is for, or whose it is")
    role: Role = Field(description="what it may do")
    owner: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="the person whose acts these are; null = a program, which counts as nobody's "
        "second pair of eyes",
    )
    expires_in_s: float | None = Field(
        default=None, gt=0, le=315_360_000, description="refused after so long; null = never"
    )


class TokenInfo(BaseModel):
    """What is kept of a token."""

    id: str
    name: str
    owner: str | None
    role: Role
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="at most a minute behind")
    revoked_at: datetime | None
    revoked_by: str | None
    usable: bool = Field(description="neither expired nor revoked")


class NewToken(TokenInfo):
    """A token that was just made."""

    token: str = Field(description="the secret; it is shown this once")
