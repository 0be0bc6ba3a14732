"""Mask: fields of a payload that nothing shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: What stands in the place of a masked value.
MASK = "•••"


def mask(payload: Any, fields: Iterable[str]) -> Any:
    """Return a payload with the values of declared fields replaced.

    Args:
        payload: JSON values; it is not changed.
        fields: names, or dotted paths such as "account.secret". A list on the way is walked
            through, so that "legs.token" means the token of each leg. A field that is not
            there is left out, and whatever a field holds is replaced whole.
    """
    for path in fields:
        payload = _masked(payload, path.split("."))
    return payload


def _masked(value: Any, parts: list[str]) -> Any:
    if isinstance(value, (list, tuple)):
        return [_masked(item, parts) for item in value]
    if not isinstance(value, Mapping):
        return value
    result = dict(value)
    # A key may itself have a dot in it: better hidden than shown.
    for count in range(1, len(parts) + 1):
        head = ".".join(parts[:count])
        if head in result:
            rest = parts[count:]
            result[head] = _masked(result[head], rest) if rest else MASK
    return result


def unmask(payload: Any, stored: Any, fields: Iterable[str]) -> Any:
    """Return a payload that was shown, and is sent back, with the values that were not shown.

    Args:
        payload: as it is sent; it is not changed.
        stored: what it was shown of.
        fields: as in `mask`; only where one of them still holds the mask, its value is put back.
    """
    for path in fields:
        payload = _unmasked(payload, stored, path.split("."))
    return payload


def _unmasked(value: Any, stored: Any, parts: list[str]) -> Any:
    if isinstance(value, list) and isinstance(stored, (list, tuple)):
        pairs = zip(value, stored, strict=False)
        restored = [_unmasked(item, known, parts) for item, known in pairs]
        return [*restored, *value[len(restored) :]]
    if not isinstance(value, Mapping) or not isinstance(stored, Mapping):
        return value
    result = dict(value)
    for count in range(1, len(parts) + 1):
        head = ".".join(parts[:count])
        if head in result and head in stored:
            rest = parts[count:]
            if rest:
                result[head] = _unmasked(result[head], stored[head], rest)
            elif result[head] == MASK:
                result[head] = stored[head]
    return result
