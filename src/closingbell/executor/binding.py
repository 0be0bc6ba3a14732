"""Binding: a handler's signature, and how a payload becomes its arguments.

    def handler(payload)             the whole payload; any one bare name does
    def handler(symbol, limit=10)    fields by name, defaults apply
    def handler(algorithm, context)  supplied by closingbell, as `payload` is
    def handler(symbol, **rest)      what no other parameter took

Annotations are checked; `closingbell.executor.annotation` has the rules.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from closingbell.core.call import Call
from closingbell.core.error import PayloadMismatch, TaskDefinitionError, near_name
from closingbell.executor.annotation import (
    Fit,
    Misfit,
    UnknownForm,
    fit_of,
    name_of,
    takes_mapping,
)

#: Names that closingbell fills by itself.
SPECIAL_NAMES = frozenset({"payload", "context", "algorithm"})

#: Positional and named arguments.
Arguments = tuple[tuple[Any, ...], dict[str, Any]]

#: How amounts are written.
_DECIMAL = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_EMPTY = inspect.Parameter.empty
_NO_NAMES: dict[str, Any] = {}
_FIELD_KINDS = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One field of the payload that a handler takes; enough to build a form from.

    Attributes:
        type: as people write it: "float", "date", "list[str]", "any".
        default: the value when the field is absent; None for a required one.
        help: its line in the docstring's `Args:` (or `:param:`), or "".
        choices: the only values allowed, for enums and literals.
    """

    name: str
    type: str
    required: bool
    default: Any = None
    help: str = ""
    choices: tuple[Any, ...] = ()


@dataclass(slots=True)
class _Field:
    name: str
    annotation: Any
    default: Any
    positional: bool
    fit: Fit | None = None
    unfillable: bool = False


class Binding:
    """How payloads become the arguments of one handler.

    `arguments(payload, call, algorithm)` returns positional and named arguments to call the
    handler with. It raises `PayloadMismatch` when the payload does not fit. `call` is asked for
    its context only by handlers that take one, and neither dict must be changed.
    """

    arguments: Callable[[Mapping[str, Any], Call | None, Any], Arguments]

    def __init__(
        self, task_name: str, handler: Callable[..., Any], masked: Iterable[str] = ()
    ) -> None:
        """Read a handler's signature; its annotations are resolved when they are first needed.

        Args:
            task_name: named in errors.
            handler: a function, a bound method, or any other callable with a signature.
            masked: dotted names of payload fields whose values no error shows.

        Raises:
            TaskDefinitionError: it has no signature.
        """
        self.task_name = task_name
        self.handler = handler
        self._masked = frozenset(path.split(".")[0] for path in masked)
        try:
            signature = inspect.signature(handler)
        except (TypeError, ValueError) as problem:
            raise TaskDefinitionError(
                task_name, f"its handler {handler!r} has no signature that can be read: {problem}"
            ) from problem
        parameters = signature.parameters.values()
        self._fields = [
            _Field(p.name, p.annotation, p.default, p.kind is inspect.Parameter.POSITIONAL_ONLY)
            for p in parameters
            if p.kind in _FIELD_KINDS
        ]
        self._takes_rest = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
        self._names = [field.name for field in self._fields]
        self._ready = False
        self._whole: str | None = "payload" if "payload" in self._names else None
        self._bare: _Field | None = None
        self.arguments = self._first_arguments

    @property
    def needs_algorithm(self) -> bool:
        """Whether the handler takes the algorithm."""
        return "algorithm" in self._names

    @property
    def needs_context(self) -> bool:
        """Whether the handler takes its run's context."""
        return "context" in self._names

    @property
    def takes_whole_payload(self) -> bool:
        """Whether one parameter receives the payload as it is, whatever its fields."""
        self._prepare()
        return self._whole is not None or self._bare is not None or self._takes_rest

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The fields that a payload has, in the handler's order."""
        self._prepare()
        if self._bare is not None:
            return ()
        helps = _parameter_help(self.handler)
        return tuple(
            Parameter(
                name=field.name,
                type=name_of(field.annotation),
                required=field.default is _EMPTY,
                default=None if field.default is _EMPTY else field.default,
                help=helps.get(field.name, ""),
                choices=_choices(field.annotation),
            )
            for field in self._fields
            if field.name not in SPECIAL_NAMES and not field.unfillable
        )

    @property
    def annotations(self) -> dict[str, Any]:
        """The annotations of the handler's parameters, as objects, by name."""
        self._prepare()
        return {field.name: field.annotation for field in self._fields}

    def check(self, payload: Mapping[str, Any]) -> None:
        """Refuse a payload that does not fit.

        Args:
            payload: JSON values, as they will be stored.

        Raises:
            PayloadMismatch: with one sentence for each problem.
        """
        self._prepare()
        self._bind(payload, None, None)

    def select(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of an event's data that the handler takes.

        The desk's amounts travel as decimal text; a handler that asks for a float is given one.
        """
        if self.takes_whole_payload:
            return dict(payload)
        taken = {
            field.name: field.fit
            for field in self._fields
            if field.name not in SPECIAL_NAMES and not field.unfillable
        }
        return {
            name: _as_asked(value, taken[name]) for name, value in payload.items() if name in taken
        }

    # --- the first use -----------------------------------------------------------------

    def _first_arguments(
        self, payload: Mapping[str, Any], call: Call | None, algorithm: Any
    ) -> Arguments:
        self._prepare()
        return self.arguments(payload, call, algorithm)

    def _prepare(self) -> None:
        """Resolve annotations and choose the quickest way to bind."""
        if self._ready:
            return
        for field in self._fields:
            field.annotation = _resolved(field.annotation, self.handler)
            if field.name in ("context", "algorithm"):
                continue
            try:
                field.fit = fit_of(field.annotation)
            except UnknownForm as problem:
                if field.default is _EMPTY:
                    raise TaskDefinitionError(
                        self.task_name, f"parameter {field.name!r}: {problem}"
                    ) from problem
                field.unfillable = True
        self._bare = self._find_bare()
        self.arguments = self._fastest()
        self._ready = True

    def _find_bare(self) -> _Field | None:
        """The only parameter, when it receives the payload whatever its name."""
        if len(self._fields) != 1 or self._takes_rest:
            return None
        field = self._fields[0]
        if field.name in SPECIAL_NAMES:
            return None
        if takes_mapping(field.annotation):
            return field
        return field if field.annotation is _EMPTY and field.default is _EMPTY else None

    def _fastest(self) -> Callable[[Mapping[str, Any], Call | None, Any], Arguments]:
        fields = self._fields
        if not fields and not self._takes_rest:
            return lambda payload, call, algorithm: (
                self._bind(payload, call, algorithm) if payload else ((), _NO_NAMES)
            )
        if len(fields) == 1 and not self._takes_rest:
            only = fields[0]
            if only.name == "payload" and (only.fit is None or takes_mapping(only.annotation)):
                if only.fit is None or only.annotation in (dict, Mapping):
                    return lambda payload, call, algorithm: ((payload,), _NO_NAMES)
            elif only is self._bare and only.annotation is _EMPTY:
                name = only.name
                return lambda payload, call, algorithm: (
                    (payload,) if name not in payload else self._bare_value(payload),
                    _NO_NAMES,
                )
            elif only.name == "algorithm":
                return lambda payload, call, algorithm: (
                    self._bind(payload, call, algorithm) if payload else ((algorithm,), _NO_NAMES)
                )
        return self._bind

    # --- binding -----------------------------------------------------------------------

    def _bare_value(self, payload: Mapping[str, Any]) -> tuple[Any, ...]:
        bare = self._bare
        if bare is not None and len(payload) == 1 and bare.name in payload:
            value = payload[bare.name]
            if bare.annotation is _EMPTY or isinstance(value, Mapping):
                return (value,)
        return (payload,)

    def _bind(self, payload: Mapping[str, Any], call: Call | None, algorithm: Any) -> Arguments:
        problems: list[str] = []
        positional: list[Any] = []
        named: dict[str, Any] = {}
        taken = 0
        for field in self._fields:
            name = field.name
            if name == "algorithm":
                value = algorithm
            elif name == "context":
                value = None if call is None else call.context
            elif name == "payload":
                value = self._fitted(field, payload, problems)
            elif field is self._bare:
                (value,) = self._bare_value(payload)
                value = self._fitted(field, value, problems)
            elif name in payload and not field.unfillable:
                taken += 1
                value = self._fitted(field, payload[name], problems)
            elif field.default is _EMPTY:
                problems.append(f"{name!r} is missing")
                continue
            elif field.positional:
                value = field.default
            else:
                continue
            if field.positional:
                positional.append(value)
            else:
                named[name] = value
        if self._takes_rest:
            known = set(self._names)
            named.update((key, value) for key, value in payload.items() if key not in known)
        elif taken < len(payload) and self._whole is None and self._bare is None:
            problems.extend(self._unexpected(payload))
        if problems:
            raise PayloadMismatch(self.task_name, problems)
        return tuple(positional), named

    def _fitted(self, field: _Field, value: Any, problems: list[str]) -> Any:
        if field.fit is None:
            return value
        try:
            return field.fit(value)
        except Misfit as problem:
            whole = field.name == "payload" or field is self._bare
            if field.name in self._masked or (whole and self._masked):
                # What does not fit is quoted, and may be what must not be shown.
                asked = name_of(field.annotation)
                problems.append(f"{field.name!r} should be {asked}; it is masked, and not shown")
            else:
                problems.append(f"{field.name!r} {problem}")
            return None

    def _unexpected(self, payload: Mapping[str, Any]) -> Iterable[str]:
        takes = [
            field.name
            for field in self._fields
            if field.name not in SPECIAL_NAMES and not field.unfillable
        ]
        for key in payload:
            if key in takes:
                continue
            if key in self._names and key in SPECIAL_NAMES:
                yield f"{key!r} is supplied by closingbell and cannot be given"
                continue
            near = near_name(str(key), takes)
            if near is not None:
                hint = f"did you mean {near!r}?"
            elif takes:
                hint = f"expected {', '.join(map(repr, takes))}"
            else:
                hint = "the handler takes no fields"
            yield f"{key!r} is no parameter of the handler: {hint}"


def _as_asked(value: Any, fit: Fit | None) -> Any:
    """Return decimal text as a float where the text does not fit and the float does."""
    if fit is None or not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        return value
    try:
        fit(value)
    except Misfit:
        try:
            fit(float(value))
        except Misfit:
            return value
        return float(value)
    return value


def _resolved(annotation: Any, handler: Callable[..., Any]) -> Any:
    """Return an annotation as an object; one that cannot be resolved counts as none."""
    if not isinstance(annotation, str):
        return annotation
    function = inspect.unwrap(getattr(handler, "__func__", handler))
    if not inspect.isfunction(function):
        function = type(handler).__call__
    space = getattr(function, "__globals__", {})
    try:
        # The text comes from the handler's own source, and ran there before.
        value = eval(annotation, space)  # noqa: S307
    except Exception:
        return _EMPTY
    return type(None) if value is None else value


def _choices(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is typing.Literal:
        return typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(member.value for member in annotation)
    return ()


_GOOGLE_ARGUMENT = re.compile(r"^\s+\*{0,2}(\w+)(?:\s*\([^)]*\))?:\s*(.+)$")
_SPHINX_ARGUMENT = re.compile(r"^\s*:param\s+(?:[\w\[\], ]+\s)?(\w+):\s*(.+)$")


def _parameter_help(handler: Callable[..., Any]) -> dict[str, str]:
    """Return the first line that a docstring says of each parameter."""
    helps: dict[str, str] = {}
    in_arguments = False
    for line in (inspect.getdoc(handler) or "").splitlines():
        if line.strip() in ("Args:", "Arguments:", "Parameters:"):
            in_arguments = True
        elif line and not line[0].isspace():
            in_arguments = False
        found = _SPHINX_ARGUMENT.match(line) or (
            _GOOGLE_ARGUMENT.match(line) if in_arguments else None
        )
        if found is not None:
            helps.setdefault(found[1], found[2].strip())
    return helps
