"""What a parameter's annotation asks of a JSON value.

Values are never bent to fit: "5" is no int, 1 is no bool, 5.0 is no int; an int is
a float, as in JSON. What JSON cannot express is read from its text form and only
from that: dates, times and datetimes in ISO 8601, UUIDs, durations ("PT5M" or
"00:05:00"), enums by value; a Decimal also from a number. Dataclasses and pydantic
models follow pydantic's rules for them, and their own configuration.

Plain JSON types are checked here; for the others pydantic is imported, in its
strict mode. Both give the same answers.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

#: Returns the value as the handler wants it, or raises `Misfit`.
Fit = Callable[[Any], Any]


class Misfit(Exception):
    """A value that does not fit; the message ends a sentence that begins with its name."""


def fit_of(annotation: Any) -> Fit | None:
    """Return the check of an annotation, or None when any value fits."""
    if annotation in (inspect.Parameter.empty, Any, object):
        return None
    plain = _plain_fit(annotation)
    return plain if plain is not None else _Model(annotation)


def takes_mapping(annotation: Any) -> bool:
    """Whether an annotation is a dict, a Mapping, or such with parameters, None allowed."""
    members = [a for a in _union_members(annotation) if a is not type(None)]
    origins = [typing.get_origin(member) or member for member in members]
    return bool(origins) and all(
        origin in (dict, collections.abc.Mapping, collections.abc.MutableMapping)
        for origin in origins
    )


def name_of(annotation: Any) -> str:
    """Return an annotation as people write it."""
    if annotation is inspect.Parameter.empty or annotation is Any:
        return "any"
    if annotation is None or annotation is type(None):
        return "None"
    members = _union_members(annotation)
    if len(members) > 1:
        return " or ".join(name_of(member) for member in members)
    if typing.get_origin(annotation) is None and isinstance(annotation, type):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")


def shown(value: Any) -> str:
    """Return a value with its type, short enough for a sentence."""
    if value is None:
        return "None"
    text = repr(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    return f"the {type(value).__name__} {text}"


def _union_members(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


# --- plain JSON types ------------------------------------------------------------------


def _misfit(annotation: Any, value: Any) -> Misfit:
    return Misfit(f"should be {name_of(annotation)}, was {shown(value)}")


def _exactly(kind: type) -> Fit:
    def fit(value: Any) -> Any:
        if type(value) is kind:
            return value
        raise _misfit(kind, value)

    return fit


def _float(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    raise _misfit(float, value)


_SCALARS: dict[Any, Fit] = {
    int: _exactly(int),
    str: _exactly(str),
    bool: _exactly(bool),
    type(None): _exactly(type(None)),
    None: _exactly(type(None)),
    float: _float,
}


def _plain_fit(annotation: Any) -> Fit | None:
    scalar = _SCALARS.get(annotation) if isinstance(annotation, type | None) else None
    if scalar is not None:
        return scalar
    members = _union_members(annotation)
    if len(members) > 1:
        return _union_fit(annotation, members)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is list or (origin is list and arguments == (Any,)):
        return _exactly(list)
    if annotation in (dict, Mapping, typing.Mapping) or (
        origin in (dict, collections.abc.Mapping) and arguments == (str, Any)
    ):
        return _exactly(dict)
    if origin is list and arguments[0] in _SCALARS:
        return _list_fit(annotation, _SCALARS[arguments[0]])
    if origin is dict and arguments[0] is str and arguments[1] in _SCALARS:
        return _dict_fit(annotation, _SCALARS[arguments[1]])
    return None


def _union_fit(annotation: Any, members: tuple[Any, ...]) -> Fit | None:
    fits = [_plain_fit(member) for member in members]
    if any(fit is None for fit in fits):
        return None
    # An int that fits as it is stays one, though a float is also allowed.
    ordered = sorted(zip(members, fits, strict=True), key=lambda pair: pair[0] is float)

    def fit(value: Any) -> Any:
        for _, member_fit in ordered:
            try:
                return member_fit(value) if member_fit is not None else value
            except Misfit:
                continue
        raise _misfit(annotation, value)

    return fit


def _list_fit(annotation: Any, fit_item: Fit) -> Fit:
    def fit(value: Any) -> Any:
        if type(value) is not list:
            raise _misfit(annotation, value)
        fitted = []
        for index, item in enumerate(value):
            try:
                fitted.append(fit_item(item))
            except Misfit as problem:
                raise Misfit(f"[{index}] {problem}") from None
        return fitted

    return fit


def _dict_fit(annotation: Any, fit_item: Fit) -> Fit:
    def fit(value: Any) -> Any:
        if type(value) is not dict:
            raise _misfit(annotation, value)
        fitted = {}
        for key, item in value.items():
            try:
                fitted[key] = fit_item(item)
            except Misfit as problem:
                raise Misfit(f"[{key!r}] {problem}") from None
        return fitted

    return fit


# --- everything else -------------------------------------------------------------------


class _Model:
    """The check of an annotation that pydantic understands."""

    def __init__(self, annotation: Any) -> None:
        import msgspec
        from pydantic import ConfigDict, TypeAdapter
        from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

        self._annotation = annotation
        self._encode = msgspec.json.encode
        model = isinstance(annotation, type) and (
            dataclasses.is_dataclass(annotation)
            or hasattr(annotation, "__pydantic_validator__")
            or hasattr(annotation, "__total__")
        )
        try:
            adapter: TypeAdapter[Any] = (
                TypeAdapter(annotation)
                if model
                else TypeAdapter(annotation, config=ConfigDict(strict=True))
            )
        except (PydanticSchemaGenerationError, PydanticUserError, TypeError) as problem:
            raise UnknownForm(annotation) from problem
        self._validate = adapter.validate_json

    def __call__(self, value: Any) -> Any:
        from pydantic import ValidationError

        try:
            return self._validate(self._encode(value))
        except ValidationError as problem:
            first = problem.errors(include_url=False, include_context=False)[0]
            # Steps into unions and models carry pydantic's own names; fields and indexes are ours.
            where = "".join(f"[{step!r}]" for step in first["loc"] if self._is_step(step))
            text = first["msg"][0].lower() + first["msg"][1:]
            raise Misfit(
                f"{where}{' ' if where else ''}should be {name_of(self._annotation)}, "
                f"was {shown(value)} ({text})"
            ) from None

    @staticmethod
    def _is_step(step: int | str) -> bool:
        return isinstance(step, int) or step.isidentifier()


class UnknownForm(Exception):
    """An annotation that no JSON value can fill, such as a live client's class."""

    def __init__(self, annotation: Any) -> None:
        super().__init__(f"no JSON value can fill a parameter of type {name_of(annotation)}")
