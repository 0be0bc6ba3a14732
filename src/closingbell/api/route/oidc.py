"""Signing in with an OpenID Connect provider: there, and back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from closingbell.api.route.sign_in import own_path, refused_page
from closingbell.api.security.authentication import client_address
from closingbell.api.security.cookie import give_session, is_secure
from closingbell.api.security.doorkeeper import Doorkeeper
from closingbell.api.security.guard import doorkeeper_of
from closingbell.api.security.oidc import UNDER_WAY_S, Provider
from closingbell.api.security.page import signed_in_page
from closingbell.core.error import ProviderUnavailable, SignInRefused, TooManyRequests

router = APIRouter(prefix="/oidc", include_in_schema=False)

_Keeper = Annotated[Doorkeeper, Depends(doorkeeper_of)]
_PATH = "/oidc/callback"
#: What a browser keeps while it is away. Not strict: it comes back from another site.
_COOKIE = "closingbell_oidc"


@router.get("/start")
def start(keeper: _Keeper, request: Request) -> Response:
    """Send the browser to the provider."""
    following = own_path(request.query_params.get("next"))
    address = client_address(request)
    try:
        keeper.limit.require(address)
        begun = _provider(request).begin(following, _redirect_uri(keeper, request))
    except (SignInRefused, TooManyRequests, ProviderUnavailable) as problem:
        return refused_page(keeper, following, problem)
    response = RedirectResponse(begun.url, 303)
    response.set_cookie(
        _COOKIE,
        begun.secret,
        max_age=UNDER_WAY_S,
        path=_PATH,
        httponly=True,
        secure=is_secure(request, keeper.settings),
        samesite="lax",
    )
    return response


@router.get("/callback")
def callback(keeper: _Keeper, request: Request) -> Response:
    """Begin a session of whom the provider vouches for."""
    address = client_address(request)
    try:
        keeper.limit.require(address)
        vouched = _provider(request).finish(
            dict(request.query_params), request.cookies.get(_COOKIE)
        )
        secret = keeper.sign_in_by_provider(vouched.name, vouched.role)
    except (TooManyRequests, ProviderUnavailable) as problem:
        return refused_page(keeper, "/", problem)
    except SignInRefused as problem:
        keeper.refused(address, problem)
        return refused_page(keeper, "/", problem)
    # The address of this page was a secret a moment ago.
    away = {"Referrer-Policy": "no-referrer"}
    response = HTMLResponse(signed_in_page(vouched.following), headers=away)
    give_session(response, request, keeper.settings, secret)
    response.delete_cookie(_COOKIE, path=_PATH, httponly=True, samesite="lax")
    return response


def _provider(request: Request) -> Provider:
    provider: Provider | None = request.app.state.provider
    if provider is None:
        raise SignInRefused("this service has no OpenID Connect provider")
    return provider


def _redirect_uri(keeper: Doorkeeper, request: Request) -> str:
    # The host was checked: it is this service's.
    base = keeper.settings.public_url or f"{request.url.scheme}://{request.headers['host']}"
    return base.rstrip("/") + _PATH
