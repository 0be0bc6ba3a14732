"""Plain values: what JSON has, made from ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """Return a value as JSON values: amounts as decimal text, records as objects."""
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return value.value
        case str():
            return value
        case Decimal():
            return decimal_text(value)
        case Mapping():
            return {str(name): plain(each) for name, each in value.items()}
        case tuple() if hasattr(value, "_fields"):
            names = value._fields
            return {name: plain(each) for name, each in zip(names, value, strict=True)}
        case list() | tuple() | frozenset() | set():
            ordered = sorted(value) if isinstance(value, (set, frozenset)) else value
            return [plain(each) for each in ordered]
        case _ if is_dataclass(value):
            return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
        case _:
            return str(value)


def decimal_text(value: Decimal) -> str:
    """Return an amount without an exponent and without zeros that say nothing: '100', '0.25'."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
