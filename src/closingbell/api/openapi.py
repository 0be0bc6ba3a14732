"""The OpenAPI document: what clients are generated from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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
#: How the framework names a page of a list.
_PAGE = re.compile(r"\bPage_([A-Za-z]+)_")
_REFERENCE = "#/components/schemas/"
#: Asked for by whoever is not signed in yet, so that no key of theirs is kept.
_SIGN_IN = ("/api/v1/session", "post")
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
    made: dict[str, Any] = json.loads(_PAGE.sub(r"PageOf\1", text))
    made["components"]["securitySchemes"] = _SCHEMES
    made["security"] = [{"bearer": []}, {"session": []}]
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", []):
                _tell_what_can_be_sent(parameter)
            if is_public(path):
                operation["security"] = []
                continue
            _add(operation["responses"], _EVERYWHERE)
            if method in ("post", "put", "delete"):
                _add(operation["responses"], _WITH_A_BODY)
            if (path, method) == _SIGN_IN:
                operation["security"] = []
            elif method == "post":
                operation.setdefault("parameters", []).append(_KEY)
            for response in operation["responses"].values():
                content = response.get("content", {})
                if MEDIA_TYPE in content:
                    # The framework also names a type of its own beside the one that is sent.
                    response["content"] = {MEDIA_TYPE: content[MEDIA_TYPE]}
    _require_what_is_always_told(made)
    return made


def _tell_what_can_be_sent(parameter: dict[str, Any]) -> None:
    """Leave out null, which no address and no header can say, and ask for what is always needed."""
    schema = parameter["schema"]
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        parameter["schema"] = {**kinds[0], **schema}
    if parameter["name"] == "If-Match":
        # A route lets it be absent only to say so by a status of its own.
        parameter["required"] = True


def _require_what_is_always_told(made: dict[str, Any]) -> None:
    """Say of what is only answered, and never sent, that all of it is there."""
    schemas = made["components"]["schemas"]
    sent: set[str] = set()
    found = [
        name
        for methods in made["paths"].values()
        for operation in methods.values()
        for name in _references(operation.get("requestBody", {}))
    ]
    while found:
        name = found.pop()
        if name not in sent:
            sent.add(name)
            found.extend(_references(schemas[name]))
    for name, schema in schemas.items():
        if name not in sent and "properties" in schema:
            schema["required"] = list(schema["properties"])


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].removeprefix(_REFERENCE)
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _add(responses: dict[str, Any], more: dict[int | str, dict[str, Any]]) -> None:
    for status, response in more.items():
        responses.setdefault(
            str(status),
            {"description": response["description"], "content": dict(response["content"])},
        )
