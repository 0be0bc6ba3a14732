"""Reading answers: a model, or the error that the service would have raised here."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from closingbell.core import error as errors

_T = TypeVar("_T")
_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
_TOLD = ("type", "title", "status", "detail", "code")


def read_answer(kind: type[_T], body: bytes, url: str) -> _T:
    """Return the body of a successful answer as what it is.

    Raises:
        ServiceUnreachable: it is something else: another program answers at this address.
    """
    try:
        answer: _T = _adapter(kind).validate_json(body)
        return answer
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise errors.ServiceUnreachable(
            url, f"it answered something else than this client reads: {where}: {first['msg']}"
        ) from None


def _adapter(kind: Any) -> TypeAdapter[Any]:
    found = _ADAPTERS.get(kind)
    if found is None:
        found = _ADAPTERS[kind] = TypeAdapter(kind)
    return found


def read_refusal(status: int, body: bytes, url: str) -> errors.ClosingbellError:
    """Return the error that an unsuccessful answer tells of.

    It has the class, the fields and the sentence that the same call has on an app in this
    process, so that what catches one catches the other.
    """
    try:
        told = json.loads(body)
        code, detail = told["code"], str(told["detail"])
    except (ValueError, TypeError, KeyError):
        return errors.ServiceUnreachable(url, f"it answered {status} without saying why")
    fields = {name: value for name, value in told.items() if name not in _TOLD}
    kind = _classes().get(code)
    if kind is None:
        return errors.ServiceRefused(status, str(code), detail, fields)
    return errors.restore(kind, detail, fields)


@cache
def _classes() -> dict[str, type[errors.ClosingbellError]]:
    found: dict[str, type[errors.ClosingbellError]] = {}
    waiting: list[type[errors.ClosingbellError]] = [errors.ClosingbellError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if kind is not errors.ServiceRefused:
            found.setdefault(kind.code, kind)
    return found
