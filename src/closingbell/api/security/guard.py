"""The guards of the API, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from closingbell.api.refusal import LastResort
from closingbell.api.security.access_log import keep_queries_out
from closingbell.api.security.authentication import Authentication
from closingbell.api.security.body import BodyLimit
from closingbell.api.security.doorkeeper import Doorkeeper
from closingbell.api.security.headers import SecurityHeaders
from closingbell.api.security.host import HostCheck
from closingbell.api.security.oidc import provider_of

if TYPE_CHECKING:
    from closingbell.app import App


def guard(api: FastAPI, app: App) -> None:
    """Let nobody in who may not come in.

    A request passes: whom a proxy speaks for, the headers of the answer, the answer to what goes
    wrong, the host, the size of the body, and who it is.

    Raises:
        SettingError: a token or secret that the settings name cannot be read, or an extra that
            they need is not installed.
    """
    settings = app.settings
    keeper = Doorkeeper(app)
    api.state.doorkeeper = keeper
    api.state.provider = provider_of(app)
    keep_queries_out()
    # What is added last is passed first.
    api.add_middleware(Authentication, doorkeeper=keeper)
    api.add_middleware(BodyLimit, limit=settings.body_limit_bytes)
    api.add_middleware(HostCheck, settings=settings)
    api.add_middleware(LastResort)
    api.add_middleware(SecurityHeaders, settings=settings)
    if settings.trusted_proxies is not None:
        trusted = [name.strip() for name in settings.trusted_proxies.split(",")]
        api.add_middleware(ProxyHeadersMiddleware, trusted_hosts=trusted)


async def doorkeeper_of(request: Request) -> Doorkeeper:
    """Return who knows those at the door; a dependency of routes."""
    keeper: Doorkeeper = request.app.state.doorkeeper
    return keeper
