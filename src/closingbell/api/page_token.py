"""Page tokens: where the next page of a list begins, bound to the query that made them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from closingbell.core.error import PageTokenError

#: No token of ours is longer; what is, is not looked at.
_LONGEST = 2_000
_MOST = 2**63


def make_page_token(query: Mapping[str, Any], position: Sequence[int | str]) -> str:
    """Return an opaque token for the page after a position.

    Args:
        query: the filters and the order of the list, with the route's own name; not the
            page's length, which may differ from page to page.
        position: the sort key of the last item of this page.
    """
    text = json.dumps([_mark(query), *position], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_page_token(
    token: str | None, query: Mapping[str, Any], kinds: Sequence[type[int] | type[str]]
) -> tuple[Any, ...] | None:
    """Return the position that a token holds; None without a token.

    Args:
        token: as the caller sent it.
        query: as it was given to `make_page_token`.
        kinds: what each part of the position must be.

    Raises:
        PageTokenError: it was made by another query, or by nobody.
    """
    if token is None:
        return None
    mark, *position = _parts(token)
    if mark != _mark(query):
        raise PageTokenError("belongs to another query")
    if len(position) != len(kinds) or not all(map(_fits, position, kinds)):
        raise PageTokenError("cannot be read")
    return tuple(position)


def _mark(query: Mapping[str, Any]) -> str:
    text = json.dumps(query, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def _parts(token: str) -> list[Any]:
    if len(token) > _LONGEST:
        raise PageTokenError("cannot be read")
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise PageTokenError("cannot be read") from None
    if not isinstance(parts, list) or not parts:
        raise PageTokenError("cannot be read")
    return parts


def _fits(part: Any, kind: type[int] | type[str]) -> bool:
    if type(part) is not kind:
        return False
    if isinstance(part, int):
        return -_MOST <= part < _MOST
    # Half a surrogate pair can be written in JSON, and in no database.
    return "\0" not in part and part.encode(errors="ignore").decode() == part
