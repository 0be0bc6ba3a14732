"""Principal: who sends a request, and the least role that a route asks for."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastapi import Depends, Request

from closingbell.core.actor import ActorKind
from closingbell.core.error import Forbidden, NotSignedIn
from closingbell.core.role import Role


class Principal(NamedTuple):
    """Somebody who has shown who they are.

    Attributes:
        id: what rate limits and idempotency keys are kept by: "token:..." or "session:...".
        name: as the audit ledger and `requested_by` show it.
        kind: how they came in.
        role: what they may do.
        is_person: whether they count as one of two persons; a program's token does not.
    """

    id: str
    name: str
    kind: ActorKind
    role: Role
    is_person: bool


def principal_of(request: Request) -> Principal:
    """Return who sends a request.

    Raises:
        NotSignedIn: nobody known.
    """
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is None:
        raise NotSignedIn(request.url.path)
    return principal


class _Needs:
    """The dependency that `needs` makes; `role` lets a table of roles be made of the routes."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: Request) -> Principal:
        """Return who sends the request, when they may."""
        return require_role(request, self.role)


def require_role(request: Request, role: Role) -> Principal:
    """Return who sends a request.

    Raises:
        NotSignedIn: nobody known.
        Forbidden: they may less than that.
    """
    principal = principal_of(request)
    if not principal.role.includes(role):
        raise Forbidden(principal.name, principal.role, role)
    return principal


def needs(role: Role) -> Any:
    """Return the dependency of a route that asks for a role at least.

    Example: `@router.post("/runs", dependencies=[needs(Role.OPERATOR)])`.
    """
    return Depends(_Needs(role))


def needed_role(dependant: Any) -> Role | None:
    """Return the role that a route's `dependant` asks for, or None when it asks for none."""
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, _Needs):
            return dependency.call.role
    return None
