"""Revocation: an attempt that lost its run can do nothing more with its algorithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from closingbell.trading.seat import Seat


class Revoked:
    """Stands in for whatever an algorithm worked with; every use of it raises."""

    def __init__(self, problem: Callable[[], Exception]) -> None:
        object.__setattr__(self, "_problem", problem)

    def __getattr__(self, _name: str) -> NoReturn:
        raise object.__getattribute__(self, "_problem")()

    def __setattr__(self, _name: str, _value: object) -> NoReturn:
        raise object.__getattribute__(self, "_problem")()

    def __call__(self, *_args: object, **_named: object) -> NoReturn:
        raise object.__getattribute__(self, "_problem")()


def revoke(algorithm: Any, problem: Callable[[], Exception]) -> None:
    """Replace everything that an algorithm holds, so that its every call raises.

    Args:
        algorithm: any object, or None; its attributes and slots are replaced.
        problem: makes the error.
    """
    if algorithm is None:
        return
    names = set(getattr(algorithm, "__dict__", ()))
    for cls in type(algorithm).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names.update((slots,) if isinstance(slots, str) else slots)
    stand_in = Revoked(problem)
    for name in names - {"__dict__", "__weakref__"}:
        held = getattr(algorithm, name, None)
        if isinstance(held, Seat):
            # The same algorithm for another account shares it.
            revoke(held, problem)
        object.__setattr__(algorithm, name, stand_in)
