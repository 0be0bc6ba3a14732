"""Who may do what: every route, asked by nobody and by each role, in real requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from closingbell import create_app
from closingbell.api.application import create_api
from closingbell.api.security.authentication import is_public
from closingbell.api.security.role_table import RouteRole, route_roles
from closingbell.app import App
from closingbell.core.role import Role
from tests.api_client import bearer

#: All that everybody may ask for: health, and what it takes to sign in.
PUBLIC = {
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
    ("GET", "/sign-in.css"),
    ("GET", "/sign-in.svg"),
    ("GET", "/oidc/start"),
    ("GET", "/oidc/callback"),
    ("POST", "/api/v1/session"),
}
#: A whole document that every role may read; the framework's own route asks for nothing itself.
FOR_ALL_ROLES = {("GET", "/openapi.json")}
#: Nothing of this app is opened.
ROUTES = list(route_roles(create_api(create_app("unopened.db"))))
ASKED = [route for route in ROUTES if (route.method, route.path) not in PUBLIC]


class Api:
    """The API of one app, and a header for each role."""

    def __init__(self, app: App, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.api: FastAPI = create_api(app)
        self.headers = {role: bearer(app, role, f"the {role}") for role in Role}

    def status(self, route: RouteRole, role: Role | None) -> int:
        """Ask as a role, or as nobody; a stream is left as soon as it begins."""
        headers = {"host": "127.0.0.1", "content-type": "application/json"}
        headers |= {} if role is None else self.headers[role]
        return self.runner.run(self._ask(route, headers))

    async def _ask(self, route: RouteRole, headers: dict[str, str]) -> int:
        path = re.sub(r"\{\w+(:path)?\}", "nothing", route.path)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": route.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
        }
        begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        left = asyncio.Event()
        given = False

        async def receive() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": b"{}", "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start" and not begun.done():
                begun.set_result(message["status"])

        asking = asyncio.ensure_future(self.api(scope, receive, send))
        status = await asyncio.wait_for(begun, 30)
        left.set()
        await asyncio.wait_for(asking, 30)
        return status


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    app = create_app(tmp_path_factory.mktemp("roles") / "desk.db", guardian=False)
    with asyncio.Runner() as runner:
        yield Api(app, runner)
    app.stop()


def name(route: RouteRole) -> str:
    return f"{route.method} {route.path}"


def test_public_routes_are_health_and_sign_in_alone() -> None:
    unguarded = {(route.method, route.path) for route in ROUTES if route.role is None}
    assert unguarded == PUBLIC | FOR_ALL_ROLES
    paths = {path for _, path in PUBLIC} - {"/api/v1/session"}
    assert {route.path for route in ROUTES if is_public(route.path)} == paths


@pytest.mark.parametrize("route", ASKED, ids=name)
def test_route_asked_by_nobody_is_refused(api: Api, route: RouteRole) -> None:
    assert api.status(route, None) == 401


@pytest.mark.parametrize("route", ASKED, ids=name)
def test_route_is_for_its_role_and_those_above(api: Api, route: RouteRole) -> None:
    needed = route.role or Role.VIEWER
    for role in Role:
        status = api.status(route, role)
        if role.includes(needed):
            assert status not in (401, 403), f"{role} may {name(route)}, and got {status}"
        else:
            assert status == 403, f"{role} may not {name(route)}, and got {status}"


@pytest.mark.parametrize(
    "path", ["/nothing", "/api", "/api/v1", "/api/v1/nothing", "/sign-in/x", "/livezz", "/docs"]
)
def test_path_that_is_not_there_tells_nobody_so(api: Api, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert api.status(RouteRole(method, path, None, None), None) == 401
    assert api.status(RouteRole("GET", path, None, None), Role.VIEWER) == 404


@pytest.mark.parametrize(
    "path", ["/API/v1/tokens", "/api/v1//tokens", "/api/v1/tokens/", "//livez"]
)
def test_path_written_in_another_way_is_no_way_in(api: Api, path: str) -> None:
    assert api.status(RouteRole("GET", path, None, None), None) == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_is_told_to_everybody(api: Api, path: str) -> None:
    assert api.status(RouteRole("GET", path, None, None), None) in (200, 503)
