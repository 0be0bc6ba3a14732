"""DirectRoute: a route that is given its body and its request, and nothing that must be found out.

The framework solves a route's dependencies anew for each request, and looks for its route among all
others. For a route that is asked for thousands of times a second that is most of its work.
"""

from __future__ import annotations

from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from closingbell.api.security.principal import needed_role, require_role

_MISSING = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}


class DirectRoute(APIRoute):
    """A route whose endpoint is a coroutine function of its body and its request, in that order.

    It is described, guarded and refused as any other route; it has no other dependencies than
    the role that it asks for. Add it to an application's own routes: a router that is included
    makes its routes anew.
    """

    def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
        """See `APIRoute`."""
        super().__init__(path, endpoint, **options)
        role = needed_role(self.dependant)
        model = None if self.body_field is None else self.body_field.field_info.annotation
        if role is None or model is None or len(self.dependant.dependencies) != 1:
            raise TypeError(f"{path}: expected a role, a body, and no other dependency")
        self._role = role
        self._model: TypeAdapter[Any] = TypeAdapter(model)
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        require_role(request, self._role)
        response = await self.endpoint(self._read(scope), request)
        await response(scope, receive, send)

    def _read(self, scope: Scope) -> Any:
        # Read by `StrictJson`, through which every request with a body has come.
        given = scope["state"].get("json")
        if given is None:
            raise RequestValidationError([_MISSING])
        try:
            return self._model.validate_python(given, from_attributes=True)
        except ValidationError as problem:
            errors = problem.errors(include_url=False)
            raise RequestValidationError(
                [{**error, "loc": ("body", *error["loc"])} for error in errors], body=given
            ) from None
