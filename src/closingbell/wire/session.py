"""Sign-in and sessions on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from closingbell.core.role import Role


class SignInRequest(BaseModel):
    """What a browser signs in with."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=1, max_length=1_000, description="an API token")


class SessionInfo(BaseModel):
    """Who sends this request."""

    name: str = Field(description="as the audit ledger shows it")
    role: Role
    is_person: bool = Field(description="whether they count where two persons are needed")
    came_by: Literal["code", "token", "oidc", "bearer"] = Field(
        description="a sign-in address, a token, a provider, or a token on each request"
    )
    expires_at: datetime | None = Field(description="null = never")
    timezone: str = Field(description="in which this service means times that name none")
    csrf_token: str | None = Field(
        description="sent as X-CSRF-Token with what changes something; null for bearer tokens"
    )


class WebSessionInfo(BaseModel):
    """A browser that is signed in."""

    id: str
    person: str
    role: Role
    is_person: bool
    came_by: Literal["code", "token", "oidc"]
    token_id: str | None = Field(description="of the token it was begun with")
    created_at: datetime
    seen_at: datetime = Field(description="at most a minute behind")
    expires_at: datetime
    current: bool = Field(description="it is the one that asks")
