"""The application: routes, refusals and guards around one app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request

from closingbell.api.problem import refuse
from closingbell.core.error import ClosingbellError

if TYPE_CHECKING:
    from closingbell.app import App

#: Where everything but health, sign-in and `/metrics` is found.
PREFIX = "/api/v1"


def create_api(app: App) -> FastAPI:
    """Return the ASGI application of an app.

    It reads and writes the app's store, whether the app is started in this process or not.
    """
    from closingbell import __version__

    api = FastAPI(
        title="closingbell",
        version=__version__,
        # The interactive pages load scripts from other hosts; the document itself is here.
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    api.state.app = app
    api.add_exception_handler(ClosingbellError, refuse)
    return api


def served_app(request: Request) -> App:
    """Return the app that a request is about; a dependency of routes."""
    app: App = request.app.state.app
    return app
