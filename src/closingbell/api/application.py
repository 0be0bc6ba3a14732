"""The application: routes, refusals and guards around one app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, Request

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

#: Where everything but health, sign-in and `/metrics` is found.
PREFIX = "/api/v1"


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


def create_inner_api(app: App) -> FastAPI:
    """Return the routes under `PREFIX`, but the stream, and `/metrics`, for whoever holds the app.

    Nobody signs in here: whoever calls says in `scope["state"]["principal"]` who they are.
    """
    from closingbell.api.route import metrics

    api = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    api.state.app = app
    api.state.submit_line = SubmitLine(app)
    refusal.install(api)
    _add_hot_route(api)
    api.include_router(metrics.router)
    for router in _routers_under_prefix():
        api.include_router(router, prefix=PREFIX)
    api.add_middleware(StrictJson)
    return api


def _add_hot_route(api: FastAPI) -> None:
    """Add what is asked for most of all, first: paths are compared one after the other."""
    from closingbell.api.route.submit import submit_route

    api.routes.append(submit_route(PREFIX))


def _routers() -> list[APIRouter]:
    """Return the routers whose paths are their own."""
    from closingbell.api.route import health, metrics, oidc, sign_in

    return [health.router, metrics.router, oidc.router, sign_in.router]


def _routers_under_prefix() -> list[APIRouter]:
    """Return the routers under `PREFIX`, one for each noun."""
    from closingbell.api.route import (
        alert_rules,
        alerts,
        approvals,
        audit,
        backtests,
        batches,
        bulk,
        calendars,
        desk,
        events,
        figures,
        notifications,
        run_ids,
        run_logs,
        runs,
        scheduler,
        schedules,
        session,
        stream,
        tasks,
        tokens,
        workers,
    )

    return [
        # Whatever follows /runs/ may be an id: the paths beneath come first.
        bulk.router,
        run_logs.router,
        runs.router,
        alert_rules.router,
        alerts.router,
        approvals.router,
        audit.router,
        backtests.router,
        batches.router,
        calendars.router,
        desk.router,
        events.router,
        figures.router,
        notifications.router,
        run_ids.router,
        scheduler.router,
        schedules.router,
        session.router,
        stream.router,
        tasks.router,
        tokens.router,
        workers.router,
    ]


async def served_app(request: Request) -> App:
    """Return the app that a request is about; a dependency of routes."""
    # Not a plain function: each of those costs a request a turn in a thread.
    app: App = request.app.state.app
    return app
