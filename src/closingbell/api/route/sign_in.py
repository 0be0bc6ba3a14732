"""The pages of the door: sign in, sign out, and the front page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from closingbell.api.application import served_app
from closingbell.api.desk_view import DeskView, desk_view
from closingbell.api.front_page import front_page
from closingbell.api.problem import status_of
from closingbell.api.recent import RecentAnswers, recent_answers
from closingbell.api.route.figures import get_overview
from closingbell.api.security.authentication import client_address
from closingbell.api.security.cookie import give_session, session_secret, take_session
from closingbell.api.security.doorkeeper import Doorkeeper
from closingbell.api.security.guard import doorkeeper_of
from closingbell.api.security.origin import require_csrf
from closingbell.api.security.page import (
    icon,
    sign_in_page,
    signed_in_page,
    style_sheet,
)
from closingbell.api.security.principal import Principal
from closingbell.app import App
from closingbell.core.error import ProviderUnavailable, SignInRefused, TooManyRequests
from closingbell.core.token import hash_of

router = APIRouter(include_in_schema=False)

_Keeper = Annotated[Doorkeeper, Depends(doorkeeper_of)]
#: Longer forms are none of ours.
_LONGEST_FORM = 10_000
_DAY_S = 86_400
#: What the front page shows at most.
_MOST_ACCOUNTS, _LATEST_RUNS, _LATEST_BACKTESTS = 5, 15, 5


@router.get("/")
def front(
    keeper: _Keeper,
    request: Request,
    app: Annotated[App, Depends(served_app)],
    view: Annotated[DeskView, Depends(desk_view)],
    recent: Annotated[RecentAnswers, Depends(recent_answers)],
) -> Response:
    """Show how the desk stands, or where to sign in."""
    secret = session_secret(request, keeper.settings)
    principal = _signed_in(keeper, secret)
    if secret is None or principal is None:
        return RedirectResponse("/sign-in", 303)
    accounts = app.store.ledger.accounts()[:_MOST_ACCOUNTS]
    shown = front_page(
        principal.name,
        principal.role,
        secret,
        get_overview(app, recent),
        [view.portfolio(account.name) for account in accounts],
        app.list_runs(limit=_LATEST_RUNS),
        app.store.backtests.page(_LATEST_BACKTESTS, None),
    )
    return HTMLResponse(shown)


@router.get("/sign-in.css")
def style() -> Response:
    """Return the style of these pages; it is the same for everybody."""
    return Response(
        style_sheet(), media_type="text/css", headers={"Cache-Control": f"max-age={_DAY_S}"}
    )


@router.get("/sign-in.svg")
def picture() -> Response:
    """Return the picture of these pages for a browser's tab."""
    return Response(
        icon(), media_type="image/svg+xml", headers={"Cache-Control": f"max-age={_DAY_S}"}
    )


@router.get("/sign-in")
def show(keeper: _Keeper, request: Request) -> Response:
    """Show the form, or use up the code of a sign-in address."""
    following = own_path(request.query_params.get("next"))
    code = request.query_params.get("code")
    if code is not None:
        return _by_code(keeper, request, code, following)
    if _signed_in(keeper, session_secret(request, keeper.settings)) is not None:
        return RedirectResponse(following, 303)
    return HTMLResponse(sign_in_page(following, keeper.settings.oidc_issuer))


@router.post("/sign-in")
async def sign_in(keeper: _Keeper, request: Request) -> Response:
    """Begin a session with the token of the form."""
    form = await _form(request)
    return await run_in_threadpool(_by_token, keeper, request, form)


@router.post("/sign-out")
async def sign_out(keeper: _Keeper, request: Request) -> Response:
    """End the session, and lead to the form."""
    form = await _form(request)
    secret = session_secret(request, keeper.settings)
    response = RedirectResponse("/sign-in", 303)
    principal = await run_in_threadpool(_signed_in, keeper, secret)
    if secret is not None and principal is not None:
        require_csrf(form.get("csrf_token"), secret)
        await run_in_threadpool(keeper.sign_out, principal, hash_of(secret))
    take_session(response, request, keeper.settings)
    return response


def own_path(following: str | None) -> str:
    """Return where to go on to: a path of this service, or its front page."""
    path = following or "/"
    # Browsers read a backslash as a slash, and two slashes as another host.
    whole = path.startswith("/") and not path.startswith("//") and path.isascii()
    return path if whole and path.isprintable() and "\\" not in path else "/"


def refused_page(
    keeper: Doorkeeper,
    following: str,
    problem: SignInRefused | TooManyRequests | ProviderUnavailable,
) -> Response:
    """Return the form, with what was wrong."""
    text = problem.problem if isinstance(problem, SignInRefused) else str(problem)
    text = f"{text[:1].upper()}{text[1:]}."
    page = sign_in_page(following, keeper.settings.oidc_issuer, text)
    headers = {}
    if isinstance(problem, TooManyRequests):
        headers["Retry-After"] = str(max(1, round(problem.retry_after_s)))
    return HTMLResponse(page, status_of(problem), headers)


def _by_token(keeper: Doorkeeper, request: Request, form: dict[str, str]) -> Response:
    following = own_path(form.get("next"))
    secret = _attempt(
        keeper,
        request,
        following,
        lambda: keeper.sign_in_by_token(form.get("token", "")),
        "this token is unknown, expired or revoked",
    )
    if isinstance(secret, Response):
        return secret
    response = RedirectResponse(following, 303)
    give_session(response, request, keeper.settings, secret)
    return response


def _by_code(keeper: Doorkeeper, request: Request, code: str, following: str) -> Response:
    secret = _attempt(
        keeper,
        request,
        following,
        lambda: keeper.sign_in_by_code(code),
        "this address was used already, or is too old",
    )
    if isinstance(secret, Response):
        return secret
    # The address of this page was a secret a moment ago.
    response = HTMLResponse(signed_in_page(following), headers={"Referrer-Policy": "no-referrer"})
    give_session(response, request, keeper.settings, secret)
    return response


def _attempt(
    keeper: Doorkeeper,
    request: Request,
    following: str,
    sign_in: Callable[[], str | None],
    refusal: str,
) -> str | Response:
    """Return what the cookie is to hold, or the page that says why not."""
    address = client_address(request)
    try:
        keeper.limit.require(address)
    except TooManyRequests as problem:
        return refused_page(keeper, following, problem)
    secret = sign_in()
    if secret is None:
        refused = SignInRefused(refusal)
        keeper.refused(address, refused)
        return refused_page(keeper, following, refused)
    return secret


def _signed_in(keeper: Doorkeeper, secret: str | None) -> Principal | None:
    if secret is None:
        return None
    return keeper.remembered(secret) or keeper.session(secret)


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form; what is none has none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_FORM:
            return {}
    if kind != "application/x-www-form-urlencoded":
        return {}
    try:
        fields = parse_qs(body.decode(), max_num_fields=10, errors="strict")
    except (UnicodeDecodeError, ValueError):
        return {}
    return {name: values[0] for name, values in fields.items()}
