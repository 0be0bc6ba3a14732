"""The application: routes, refusals and guards around one app."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import iter_route_contexts

from closingbell.api import refusal
from closingbell.api.idempotency import Idempotency
from closingbell.api.openapi import describe
from closingbell.api.readiness import ReadinessProbe
from closingbell.api.security.guard import guard
from closingbell.api.stream.hub import Hub
from closingbell.api.strict_json import StrictJson
from closingbell.api.submit_line import SubmitLine
from closingbell.api.tracing import TracedRequests

if TYPE_CHECKING:
    from closingbell.app import App

_WARMING = threading.Lock()
#: Where everything but health, sign-in and `/metrics` is found.
PREFIX = "/api/v1"
#: The files of routes under it, in the order in which paths are compared, and what they are about.
_ROUTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    # Whatever follows /runs/ may be an id: the paths beneath come first.
    ("bulk", ("runs",)),
    ("run_logs", ("runs",)),
    ("runs", ("runs",)),
    ("alert_rules", ("alert-rules",)),
    ("alerts", ("alerts",)),
    ("approvals", ("approvals", "runs")),
    ("audit", ("audit",)),
    ("backtests", ("backtests",)),
    ("batches", ("batches",)),
    ("calendars", ("calendars",)),
    ("desk", ("accounts",)),
    ("events", ("events", "event-triggers")),
    ("figures", ("overview", "performance", "throughput")),
    ("notifications", ("notifications", "channels")),
    ("run_ids", ("run-ids",)),
    ("scheduler", ("scheduler",)),
    ("schedules", ("schedules",)),
    ("session", ("session", "sessions")),
    ("stream", ("stream",)),
    ("tasks", ("tasks",)),
    ("tokens", ("tokens",)),
    ("workers", ("workers",)),
)


def create_api(app: App) -> FastAPI:
    """Return the ASGI application of an app.

    It reads and writes the app's store, whether the app is started in this process or not.

    Raises:
        SettingError: a token or secret that the settings name cannot be read.
    """
    from closingbell import __version__

    api = FastAPI(
        title="closingbell",
        version=__version__,
        # The interactive pages load scripts from other hosts; the document itself is here.
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    api.state.app = app
    api.state.readiness = ReadinessProbe(app)
    api.state.stream = Hub(app)
    api.state.submit_line = SubmitLine(app)
    refusal.install(api)
    _add_hot_route(api)
    for router in _routers():
        api.include_router(router)
    for router in _routers_under_prefix():
        api.include_router(router, prefix=PREFIX)
    describe(api)
    # What is added last is passed first.
    api.add_middleware(Idempotency, served=app)
    api.add_middleware(StrictJson)
    guard(api, app)
    api.add_middleware(TracedRequests)
    return api


def create_inner_api(app: App, path: str) -> FastAPI:
    """Return the routes about the noun of a path, for whoever holds the app.

    A command asks about one noun: what is about others is not even loaded. Nobody signs in here:
    whoever calls says in `scope["state"]["principal"]` who they are.

    Args:
        app: what is asked.
        path: of a request, such as "/api/v1/runs/01..." or "/metrics".
    """
    api = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    api.state.app = app
    refusal.install(api)
    noun = noun_of(path)
    if noun is None:
        from closingbell.api.route import metrics

        api.include_router(metrics.router)
    elif noun == "runs":
        api.state.submit_line = SubmitLine(app)
        _add_hot_route(api)
    for router in _routers_under_prefix(noun) if noun is not None else ():
        api.include_router(router, prefix=PREFIX)
    api.add_middleware(StrictJson)
    return api


def noun_of(path: str) -> str | None:
    """Return what a path is about: what follows `PREFIX`; None for one that is not under it."""
    return path.removeprefix(f"{PREFIX}/").partition("/")[0] if path.startswith(PREFIX) else None


def _add_hot_route(api: FastAPI) -> None:
    """Add what is asked for most of all, first: paths are compared one after the other."""
    from closingbell.api.route.submit import submit_route

    api.routes.append(submit_route(PREFIX))


def _routers() -> list[APIRouter]:
    """Return the routers whose paths are their own."""
    from closingbell.api.route import health, metrics, oidc, sign_in

    return [health.router, metrics.router, oidc.router, sign_in.router]


def _routers_under_prefix(noun: str | None = None) -> list[APIRouter]:
    """Return the routers under `PREFIX` that are about a noun; None = all."""
    wanted = [name for name, nouns in _ROUTERS if noun is None or noun in nouns]
    return [import_module(f"closingbell.api.route.{name}").router for name in wanted]


def warm(api: FastAPI) -> None:
    """Build the routes now, which would else be built while the first request waits."""
    # The framework sets the process's filter of warnings aside meanwhile: one at a time.
    with _WARMING:
        for _ in iter_route_contexts(api.routes):
            pass


async def served_app(request: Request) -> App:
    """Return the app that a request is about; a dependency of routes."""
    # Not a plain function: each of those costs a request a turn in a thread.
    app: App = request.app.state.app
    return app
