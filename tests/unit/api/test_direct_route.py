"""A route that is given its body directly."""

from __future__ import annotations

import pytest
from fastapi import Depends, Request, Response

from closingbell.api.direct_route import DirectRoute
from closingbell.api.security.principal import needs
from closingbell.core.role import Role
from closingbell.wire.text import Because


async def _endpoint(body: Because, request: Request) -> Response:
    return Response(str(body.reason) + request.url.path)


async def _bodiless(request: Request) -> Response:
    return Response(request.url.path)


async def _nothing() -> None:
    """Stand for a dependency that the route would not solve."""


def test_direct_route_without_a_role_is_refused_when_it_is_made() -> None:
    with pytest.raises(TypeError, match="a role"):
        DirectRoute("/x", _endpoint, methods=["POST"])


def test_direct_route_without_a_body_is_refused_when_it_is_made() -> None:
    with pytest.raises(TypeError, match="a body"):
        DirectRoute("/x", _bodiless, methods=["POST"], dependencies=[needs(Role.VIEWER)])


def test_direct_route_with_another_dependency_is_refused_when_it_is_made() -> None:
    with pytest.raises(TypeError, match="no other dependency"):
        DirectRoute(
            "/x",
            _endpoint,
            methods=["POST"],
            dependencies=[needs(Role.VIEWER), Depends(_nothing)],
        )
