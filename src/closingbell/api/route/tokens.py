"""API tokens: make, list, revoke; for admins."""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from closingbell.api.application import served_app
from closingbell.api.location import location
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.problem import problems
from closingbell.api.security.principal import needs
from closingbell.app import App
from closingbell.core.clock import from_micros
from closingbell.core.role import Role
from closingbell.core.token import make_token, require_name
from closingbell.store.codec import instant
from closingbell.store.tokens import StoredToken
from closingbell.wire.page import Page
from closingbell.wire.token import NewToken, TokenInfo, TokenRequest

router = APIRouter(prefix="/tokens", tags=["tokens"])

_QUERY = {"list": "tokens"}
_App = Annotated[App, Depends(served_app)]


@router.get(
    "",
    operation_id="list_tokens",
    summary="API tokens, the newest first",
    dependencies=[needs(Role.ADMIN)],
    responses=problems(422),
)
def list_tokens(
    app: _App,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: str | None = None,
) -> Page[TokenInfo]:
    """List tokens without their secrets; revoked and expired ones stay in the list."""
    found = app.store.tokens.page(limit + 1, read_page_token(after, _QUERY, (int, str)))
    page = found[:limit]
    more = len(found) > limit
    position = (page[-1].created_at, page[-1].id) if more else None
    return Page(
        items=[_info(token, app.clock.micros()) for token in page],
        next=None if position is None else make_page_token(_QUERY, position),
    )


@router.post(
    "",
    operation_id="create_token",
    summary="Make an API token",
    status_code=201,
    dependencies=[needs(Role.ADMIN)],
    responses=problems(409, 422),
)
def create_token(app: _App, asked: TokenRequest, response: Response) -> NewToken:
    """Make a token; the answer holds its secret, which is kept nowhere and shown this once."""
    token = make_token(os.urandom)
    now = app.clock.micros()
    lasts_s = asked.expires_in_s
    stored = app.store.tokens.create(
        token.id,
        require_name("name", asked.name),
        asked.role,
        token.hash,
        now,
        owner=None if asked.owner is None else require_name("owner", asked.owner),
        expires_at=None if lasts_s is None else now + round(lasts_s * 1_000_000),
    )
    response.headers["Location"] = location("tokens", token.id)
    return NewToken(**_info(stored, now).model_dump(), token=token.text)


@router.get(
    "/{token_id}",
    operation_id="get_token",
    summary="One API token",
    dependencies=[needs(Role.ADMIN)],
    responses=problems(404, 422),
)
def get_token(app: _App, token_id: Annotated[str, Path(max_length=100)]) -> TokenInfo:
    """Return a token without its secret."""
    return _info(app.store.tokens.get(token_id), app.clock.micros())


@router.delete(
    "/{token_id}",
    operation_id="revoke_token",
    summary="Revoke an API token",
    dependencies=[needs(Role.ADMIN)],
    responses=problems(404, 422),
)
def revoke_token(
    app: _App,
    token_id: Annotated[str, Path(max_length=100)],
    reason: Annotated[str | None, Query(max_length=1000, description="why")] = None,
) -> TokenInfo:
    """Refuse a token from now on, and end the sessions that were begun with it."""
    app.store.tokens.revoke(token_id, app.clock.micros(), reason)
    return _info(app.store.tokens.get(token_id), app.clock.micros())


def _info(token: StoredToken, now: int) -> TokenInfo:
    return TokenInfo(
        id=token.id,
        name=token.name,
        owner=token.owner,
        role=token.role,
        created_at=from_micros(token.created_at),
        created_by=token.created_by,
        expires_at=instant(token.expires_at),
        last_used_at=instant(token.last_used_at),
        revoked_at=instant(token.revoked_at),
        revoked_by=token.revoked_by,
        usable=token.is_usable(now),
    )
