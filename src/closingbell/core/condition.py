"""A `where=` condition on an event's data: one expression, read once, run safely.

    change < -0.05 and symbol in ("AAPL", "IBM")
    order.status == "filled" and not order.is_test

Names are the event's fields, dots and brackets go into nested data, a field
that is missing is None, and comparing what cannot be compared is false. Decimal
text, as which amounts travel, is a number beside a number. Only
comparisons, `and`, `or`, `not`, `in`, arithmetic and literals are allowed:
there are no calls and no attributes of Python objects, so a condition that
came through the API can do no more than answer.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from closingbell.core.error import ConditionError

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_LITERALS = (str, int, float, bool, type(None))
_MAX_LENGTH = 1000
#: How amounts are written.
_DECIMAL = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


class Condition:
    """A read condition; equal to another with the same text."""

    def __init__(self, text: str) -> None:
        """Read `text`.

        Raises:
            ConditionError: it is not one allowed expression.
        """
        self.text = text
        if len(text) > _MAX_LENGTH:
            raise ConditionError(text[:50] + "...", f"longer than {_MAX_LENGTH} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
            raise ConditionError(text, f"expected one expression, found {problem}") from problem
        self._check(tree.body, 0)
        self._tree = tree.body

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Condition) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    def matches(self, data: Mapping[str, Any]) -> bool:
        """Whether the event's data satisfies the condition; never raises."""
        try:
            return bool(self._value(self._tree, data))
        except (TypeError, ValueError, ArithmeticError, LookupError):
            return False

    def _check(self, node: ast.expr, depth: int) -> None:
        if depth > 40:
            raise ConditionError(self.text, "it is nested too deeply")
        match node:
            case ast.Constant(value=value) if isinstance(value, _LITERALS):
                children: list[ast.expr] = []
            case ast.Name():
                children = []
            case ast.Attribute(value=value, attr=attr) if not attr.startswith("_"):
                children = [value]
            case ast.Subscript(value=value, slice=key):
                children = [value, key]
            case ast.BoolOp(values=values):
                children = values
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
                children = [operand]
            case ast.Compare(left=left, comparators=comparators):
                children = [left, *comparators]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                children = [left, right]
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                children = elements
            case _:
                raise ConditionError(
                    self.text,
                    f"{ast.unparse(node)!r} is not allowed: expected comparisons of fields "
                    "with literals, joined by and, or, not",
                )
        for child in children:
            self._check(child, depth + 1)

    def _value(self, node: ast.expr, data: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return data.get(name)
            case ast.Attribute(value=inner, attr=key):
                return _field(self._value(inner, data), key)
            case ast.Subscript(value=inner, slice=key_node):
                return _field(self._value(inner, data), self._value(key_node, data))
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self._truth(value, data) for value in values)
            case ast.BoolOp(values=values):
                return any(self._truth(value, data) for value in values)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._truth(operand, data)
            case ast.UnaryOp(operand=operand):
                return -_numbers(self._value(operand, data), 0)[0]
            case ast.BinOp(left=left, op=op, right=right):
                a, b = (_numbers(self._value(side, data), 0)[0] for side in (left, right))
                if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
                    raise TypeError("arithmetic needs numbers")
                return _ARITHMETIC[type(op)](a, b)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                value = self._value(left, data)
                for op_node, right_node in zip(ops, comparators, strict=True):
                    right_value = self._value(right_node, data)
                    if not _COMPARE[type(op_node)](*_numbers(value, right_value)):
                        return False
                    value = right_value
                return True
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return [self._value(element, data) for element in elements]
        raise AssertionError(f"unchecked node {node!r}")  # _check let through what _value lacks

    def _truth(self, node: ast.expr, data: Mapping[str, Any]) -> bool:
        try:
            return bool(self._value(node, data))
        except (TypeError, ValueError, ArithmeticError, LookupError):
            return False


@lru_cache(maxsize=1024)
def read_condition(text: str) -> Condition:
    """Return the condition of `text`, read once for the same text."""
    return Condition(text)


def _numbers(left: Any, right: Any) -> tuple[Any, Any]:
    """Return two values; decimal text beside a number is the number that it says."""
    if isinstance(left, str) and _is_number(right):
        return _number(left), right
    if isinstance(right, str) and _is_number(left):
        return left, _number(right)
    return left, right


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(text: str) -> Any:
    return float(text) if _DECIMAL.fullmatch(text) else text


def _field(value: Any, key: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, (list, tuple)) and isinstance(key, int):
        return value[key] if -len(value) <= key < len(value) else None
    return None
