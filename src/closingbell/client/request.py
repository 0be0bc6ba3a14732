"""Request: what a client sends, before it is sent."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel

#: What a query may hold: None is left out, a sequence is repeated.
Query = Mapping[str, Any]


class Request(NamedTuple):
    """One request.

    Attributes:
        method: "GET", "POST", ...
        path: below the service's address, with its parts quoted.
        query: pairs, in order.
        body: JSON values, or None.
        headers: beside the credential's.
    """

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: Any = None
    headers: Mapping[str, str] = {}

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        return self.method in ("GET", "PUT", "DELETE") or "Idempotency-Key" in self.headers


def path(*parts: str) -> str:
    """Return a path of the API; each part is one segment, whatever it holds."""
    return "/api/v1/" + "/".join(quote(part, safe="") for part in parts)


def query(values: Query) -> list[tuple[str, str]]:
    """Return query pairs: booleans and instants as the API writes them."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        several = isinstance(value, (list, tuple, set, frozenset))
        for one in value if several else (value,):
            if one is not None:
                pairs.append((name, _text(one)))
    return pairs


def body(values: Mapping[str, Any] | BaseModel) -> Any:
    """Return a request's body as JSON values; what is None is left out."""
    if isinstance(values, BaseModel):
        return values.model_dump(mode="json", exclude_none=True, by_alias=True)
    return {
        name: _text(value) if isinstance(value, (date, datetime)) else value
        for name, value in values.items()
        if value is not None
    }


def fresh_key() -> str:
    """Return an idempotency key that nobody used."""
    return secrets.token_hex(16)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return str(value)
