"""Sessions: who am I, sign in and out, and who else is signed in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from closingbell.api.application import served_app
from closingbell.api.page_token import make_page_token, read_page_token
from closingbell.api.problem import problems
from closingbell.api.security.authentication import client_address
from closingbell.api.security.cookie import give_session, take_session
from closingbell.api.security.doorkeeper import GIVEN, Doorkeeper
from closingbell.api.security.guard import doorkeeper_of
from closingbell.api.security.origin import csrf_token
from closingbell.api.security.principal import Principal, needs, principal_of
from closingbell.app import App
from closingbell.core.clock import from_micros
from closingbell.core.error import NotSignedIn, SignInRefused
from closingbell.core.role import Role
from closingbell.core.token import hash_of
from closingbell.store.codec import instant
from closingbell.store.web_sessions import StoredSession
from closingbell.wire.page import Page
from closingbell.wire.session import SessionInfo, SignInRequest, WebSessionInfo

router = APIRouter(tags=["session"])

_QUERY = {"list": "sessions"}
_App = Annotated[App, Depends(served_app)]
_Keeper = Annotated[Doorkeeper, Depends(doorkeeper_of)]
_Principal = Annotated[Principal, Depends(principal_of)]


@router.post(
    "/session",
    operation_id="sign_in",
    summary="Sign a browser in",
    status_code=201,
    responses=problems(422, 429),
)
def sign_in(
    keeper: _Keeper, request: Request, response: Response, asked: SignInRequest
) -> SessionInfo:
    """Begin a session with an API token; the answer sets its cookie."""
    address = client_address(request)
    keeper.limit.require(address)
    secret = keeper.sign_in_by_token(asked.token)
    session = None if secret is None else keeper.stored_session(secret)
    if secret is None or session is None:
        problem = SignInRefused("this token is unknown, expired or revoked")
        keeper.refused(address, problem)
        raise problem
    give_session(response, request, keeper.settings, secret)
    return _own(session, secret, keeper.settings.timezone)


@router.get(
    "/session",
    operation_id="get_session",
    summary="Who sends this request",
    dependencies=[needs(Role.VIEWER)],
    responses=problems(),
)
def get_session(app: _App, keeper: _Keeper, request: Request, principal: _Principal) -> SessionInfo:
    """Say who sends this request, what they may do, and what a page sends along."""
    secret: str | None = getattr(request.state, "session_secret", None)
    if secret is not None:
        session = keeper.stored_session(secret)
        if session is None:
            raise NotSignedIn(request.url.path)
        return _own(session, secret, keeper.settings.timezone)
    expires_at = None
    if principal.id != GIVEN.id:
        expires_at = app.store.tokens.get(principal.id.removeprefix("token:")).expires_at
    return SessionInfo(
        name=principal.name,
        role=principal.role,
        is_person=principal.is_person,
        came_by="bearer",
        expires_at=instant(expires_at),
        timezone=app.settings.timezone,
        csrf_token=None,
    )


@router.delete(
    "/session",
    operation_id="sign_out",
    summary="Sign out",
    status_code=204,
    dependencies=[needs(Role.VIEWER)],
    responses=problems(),
)
def sign_out(app: _App, keeper: _Keeper, request: Request, response: Response) -> None:
    """End the session that asks, and take its cookie away; a bearer token stays good."""
    secret: str | None = getattr(request.state, "session_secret", None)
    if secret is not None:
        app.store.web_sessions.end(hash_of(secret), app.clock.micros())
        take_session(response, request, keeper.settings)


@router.get(
    "/sessions",
    operation_id="list_sessions",
    summary="Browsers that are signed in",
    dependencies=[needs(Role.ADMIN)],
    responses=problems(422),
)
def list_sessions(
    app: _App,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: str | None = None,
) -> Page[WebSessionInfo]:
    """List the sessions that are open, the newest first."""
    idle = round(app.settings.session_idle_s * 1_000_000)
    before = read_page_token(after, _QUERY, (int, str))
    found = app.store.web_sessions.page(app.clock.micros(), idle, limit + 1, before)
    page = found[:limit]
    secret: str | None = getattr(request.state, "session_secret", None)
    own = None if secret is None else hash_of(secret)
    position = (page[-1].created_at, page[-1].id) if len(found) > limit else None
    return Page(
        items=[_info(session, own) for session in page],
        next=None if position is None else make_page_token(_QUERY, position),
    )


@router.delete(
    "/sessions/{session_id}",
    operation_id="end_session",
    summary="Sign a browser out",
    status_code=204,
    dependencies=[needs(Role.ADMIN)],
    responses=problems(404, 422),
)
def end_session(
    app: _App,
    session_id: Annotated[str, Path(max_length=100)],
    reason: Annotated[str | None, Query(max_length=1000, description="why")] = None,
) -> None:
    """End somebody's session; one that has ended already stays so."""
    app.store.web_sessions.end(session_id, app.clock.micros(), reason)


def _own(session: StoredSession, secret: str, timezone: str) -> SessionInfo:
    return SessionInfo(
        name=session.person,
        role=session.role,
        is_person=session.is_person,
        came_by=session.came_by.value,
        expires_at=from_micros(session.expires_at),
        timezone=timezone,
        csrf_token=csrf_token(secret),
    )


def _info(session: StoredSession, own: str | None) -> WebSessionInfo:
    return WebSessionInfo(
        id=session.id,
        person=session.person,
        role=session.role,
        is_person=session.is_person,
        came_by=session.came_by.value,
        token_id=session.token_id,
        created_at=from_micros(session.created_at),
        seen_at=from_micros(session.seen_at),
        expires_at=from_micros(session.expires_at),
        current=session.id == own,
    )
