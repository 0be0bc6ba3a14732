"""Who may do what: the routes of the API, with the least role that each asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from closingbell.api.security.principal import needed_role
from closingbell.core.role import Role


class RouteRole(NamedTuple):
    """One method of one path.

    Attributes:
        method: such as "GET".
        path: with its parameters in braces.
        role: the least that may ask; None = the route asks for none.
        summary: what it does; None for pages.
    """

    method: str
    path: str
    role: Role | None
    summary: str | None


def route_roles(api: FastAPI) -> Iterator[RouteRole]:
    """Yield every method of every route of an application."""
    for route in iter_route_contexts(api.routes):
        dependant = getattr(route, "dependant", None)
        role = None if dependant is None else needed_role(dependant)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield RouteRole(method, route.path or "", role, getattr(route, "summary", None))
