"""What every error is made with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar


def restore(cls: type[ClosingbellError], message: str, state: dict[str, Any]) -> ClosingbellError:
    """Return an error as it was, of its class, its sentence and its fields."""
    # RunNotFinished is a RuntimeError and a TimeoutError: only the latter's __new__ can make one.
    error = OSError.__new__(cls) if issubclass(cls, OSError) else cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


def near_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` most likely meant, or None."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


class ClosingbellError(Exception):
    """Base of every error that closingbell raises on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (type(self), str(self), dict(self.__dict__))

    @property
    def fields(self) -> dict[str, Any]:
        """What the error knows, by attribute name; JSON-ready where the values are."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}
