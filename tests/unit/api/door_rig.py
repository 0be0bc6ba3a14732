"""An app whose clock stands still, its API, and clients with cookies of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx

from closingbell import create_app
from closingbell.api.application import create_api
from closingbell.app import App
from closingbell.core.clock import SimulatedClock
from closingbell.core.role import Role
from closingbell.core.token import Token, make_token
from tests.api_client import ADDRESS, beside

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
GIVEN = "given-" + "g" * 40


class Door:
    """One app and its API.

    Attributes:
        app: on a clock that only `clock.advance` moves.
        api: its application.
    """

    def __init__(self, address: str, **settings: Any) -> None:
        self.clock = SimulatedClock(START)
        self.app: App = create_app(address, clock=self.clock, guardian=False, **settings)
        self.api = create_api(self.app)

    @contextmanager
    def client(self, token: str | None = None, **headers: str) -> Iterator[httpx.Client]:
        """A client with a cookie jar of its own, that shows a token if it has one."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        with httpx.Client(transport=beside(self.api), base_url=ADDRESS, headers=headers) as client:
            yield client

    def token(
        self, role: Role = Role.ADMIN, owner: str | None = None, expires_at: int | None = None
    ) -> Token:
        """Make a token."""
        token = make_token(os.urandom)
        self.app.store.tokens.create(
            token.id,
            f"a {role}",
            role,
            token.hash,
            self.clock.micros(),
            owner=owner,
            expires_at=expires_at,
        )
        return token

    def signed_in(self, client: httpx.Client, role: Role = Role.ADMIN, owner: str = "ann") -> str:
        """Sign a client in; returns its CSRF token."""
        answer = client.post("/api/v1/session", json={"token": self.token(role, owner).text})
        assert answer.status_code == 201, answer.text
        csrf: str = answer.json()["csrf_token"]
        return csrf
