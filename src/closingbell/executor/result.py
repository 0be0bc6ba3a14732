"""What a handler returned, as an outcome and as JSON text.

JSON is written by msgspec: dataclasses and attrs classes as objects, `Decimal`
as a string (never through a float), dates and datetimes in ISO 8601, enums by
value, bytes in base64, sets as lists, not-a-number and infinities as null.
Beyond that: pydantic models as their own JSON dump, numpy and pandas values by
their own `isoformat`, `tolist`, `item` or `to_dict`, paths as strings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from closingbell.core.error import ResultNotSerialisable
from closingbell.core.outcome import (
    Cancel,
    Cancelled,
    Outcome,
    Returned,
    Skip,
    Skipped,
    Snooze,
    Snoozed,
)
from closingbell.executor.ending import raised

#: A result may have so many bytes of JSON.
RESULT_LIMIT_BYTES = 1_000_000

#: Tried in this order on values that JSON does not know.
_PLAIN_FORMS = ("to_pydatetime", "isoformat", "tolist", "item", "to_dict")

_RETURNED_NONE = Returned(None)


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    for form in _PLAIN_FORMS:
        method = getattr(value, form, None)
        if callable(method):
            return method()
    if isinstance(value, Mapping):
        return dict(value)
    for base in (str, int, float, Decimal):
        if isinstance(value, base):
            return base(value)
    raise TypeError(f"a {type(value).__qualname__} has no JSON form")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def encode_result(task_name: str, value: Any, limit_bytes: int = RESULT_LIMIT_BYTES) -> str | None:
    """Return a result as JSON text, or None for None.

    Args:
        task_name: named in the error.
        value: what the handler returned.
        limit_bytes: the largest JSON text that is stored.

    Raises:
        ResultNotSerialisable: it has no JSON form, refers to itself, or is too large.
    """
    if value is None:
        return None
    try:
        text = _encode(value)
    except RecursionError:
        raise ResultNotSerialisable(
            task_name, "it is nested too deeply, or contains itself"
        ) from None
    except Exception as problem:
        raise ResultNotSerialisable(task_name, str(problem)) from problem
    if len(text) > limit_bytes:
        raise ResultNotSerialisable(
            task_name,
            f"it is {len(text):,} bytes, and the limit is {limit_bytes:,} "
            "(store the data elsewhere and return a reference to it)",
        )
    return text.decode()


def outcome_of(task_name: str, value: Any) -> Outcome:
    """Return the outcome of a handler that returned `value`.

    `Skip`, `Snooze` and `Cancel` steer the run; everything else is its result. A result that
    cannot be stored becomes `Raised`, with the code `result_not_serialisable`.
    """
    if value is None:
        return _RETURNED_NONE
    if isinstance(value, Skip):
        return Skipped(value.reason)
    if isinstance(value, Snooze):
        return Snoozed(value.delay.total_seconds(), value.reason)
    if isinstance(value, Cancel):
        return Cancelled(value.reason)
    try:
        return Returned(encode_result(task_name, value))
    except ResultNotSerialisable as problem:
        return raised(problem)
