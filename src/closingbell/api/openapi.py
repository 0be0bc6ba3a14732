"""The OpenAPI document: what clients are generated from."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from closingbell.api.problem import MEDIA_TYPE, problems
from closingbell.api.security.authentication import is_public

_ABOUT = (
    "Schedules, runs and figures of a trading desk. Errors are problem details (RFC 9457) whose "
    "`code` is stable. Lists that can grow come in pages: send `next` back as `after`."
)
#: What any request may be answered, whatever its route says.
_EVERYWHERE = problems(421, 422, 429, 500)
_WITH_A_BODY = problems(409, 413, 415)
#: Two classes of one name get names of their modules, which are nobody's business.
_NAMES = {
    "closingbell__api__problem__Problem": "Problem",
    "closingbell__core__audit__Problem": "AuditProblem",
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "names the request, so that it can be sent again and is done once; kept a day",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
}
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API token"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "closingbell_session",
        "description": "a browser that is signed in; what changes something also sends the "
        "session's csrf_token as X-CSRF-Token",
    },
}


def describe(api: FastAPI) -> None:
    """Let an application describe itself with its ways in, and what any request may meet."""

    def document() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _document(api)
        return api.openapi_schema

    api.openapi = document  # type: ignore[method-assign]


def _document(api: FastAPI) -> dict[str, Any]:
    raw = get_openapi(
        title="closingbell", version=api.version, description=_ABOUT, routes=api.routes
    )
    text = json.dumps(raw)
    for long, short in _NAMES.items():
        text = text.replace(long, short)
    made: dict[str, Any] = json.loads(text)
    made["components"]["securitySchemes"] = _SCHEMES
    made["security"] = [{"bearer": []}, {"session": []}]
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            if is_public(path):
                operation["security"] = []
                continue
            _add(operation["responses"], _EVERYWHERE)
            if method in ("post", "put", "delete"):
                _add(operation["responses"], _WITH_A_BODY)
            if method == "post":
                operation.setdefault("parameters", []).append(_KEY)
            for response in operation["responses"].values():
                content = response.get("content", {})
                if MEDIA_TYPE in content:
                    # The framework also names a type of its own beside the one that is sent.
                    response["content"] = {MEDIA_TYPE: content[MEDIA_TYPE]}
    return made


def _add(responses: dict[str, Any], more: dict[int | str, dict[str, Any]]) -> None:
    for status, response in more.items():
        responses.setdefault(
            str(status),
            {"description": response["description"], "content": dict(response["content"])},
        )
