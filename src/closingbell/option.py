"""Single options of a task: read what a user wrote, or refuse it with a sentence."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from closingbell.core.approval import TWO_PERSON
from closingbell.core.duration import parse_duration
from closingbell.core.error import TaskDefinitionError

#: A duration as users write it.
Duration = str | float | timedelta


def read_key(name: str, template: str | None, masked: Iterable[str] = ()) -> str | None:
    """Return a template over the payload that names plain fields, and none that is masked."""
    if template is None:
        return None
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field]
    except (ValueError, TypeError) as problem:
        raise TaskDefinitionError(name, f"key={template!r} is no template: {problem}") from problem
    if not fields or any("." in field or "__" in field for field in fields):
        raise TaskDefinitionError(
            name,
            f"key={template!r}: expected fields of the payload in braces, such as '{{account}}'",
        )
    hidden = {path.split(".")[0] for path in masked}
    shown = sorted(hidden & {re.split(r"[.\[]", field)[0] for field in fields})
    if shown:
        raise TaskDefinitionError(
            name, f"key={template!r} would show {shown[0]!r}, which is masked: use another field"
        )
    return template


def read_words(name: str, option: str, given: Any) -> tuple[str, ...]:
    """Return words of 1 to 200 characters; a single word counts as one."""
    words = [given] if isinstance(given, str) else given
    try:
        result = tuple(words)
    except TypeError:
        result = (None,)
    if not all(isinstance(word, str) and word and len(word) <= 200 for word in result):
        raise TaskDefinitionError(
            name, f"{option}={given!r}: expected words of 1 to 200 characters"
        )
    return result


def read_positive(name: str, option: str, given: Duration) -> timedelta:
    """Return a duration longer than nothing."""
    value = parse_duration(given, kind=option)
    if value <= timedelta():
        raise TaskDefinitionError(name, f"{option}={given!r}: expected more than nothing")
    return value


def read_whole(name: str, option: str, given: Any, least: int, most: int) -> int:
    """Return a whole number from `least` to `most`."""
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
        raise TaskDefinitionError(
            name, f"{option}={given!r}: expected a whole number from {least} to {most}"
        )
    return given


def read_number(name: str, option: str, given: Any) -> float:
    """Return a number, 0 or more."""
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given < 1e6:
        raise TaskDefinitionError(name, f"{option}={given!r}: expected a number, 0 or more")
    return float(given)


_SIZES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def read_bytes(name: str, given: Any) -> int:
    """Return bytes, given as a number or as text such as "512MB"."""
    if isinstance(given, int) and not isinstance(given, bool) and given >= 0:
        return given
    if isinstance(given, str):
        text = given.strip().upper()
        for unit, size in _SIZES.items():
            number = text.removesuffix(unit).strip()
            if number != text and number.replace(".", "", 1).isdigit():
                return int(float(number) * size)
    raise TaskDefinitionError(name, f"memory={given!r}: expected bytes, or text such as '512MB'")


def read_mapping(name: str, given: Any) -> dict[str, Any]:
    """Return a mapping with string keys, copied."""
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise TaskDefinitionError(name, f"payload={given!r}: expected a mapping with string keys")
    return dict(given)


def read_approval(name: str, given: Any) -> str | None:
    """Return who must agree to a run, or None."""
    if given is not None and given != TWO_PERSON:
        raise TaskDefinitionError(name, f"approval={given!r}: expected {TWO_PERSON!r} or None")
    return None if given is None else TWO_PERSON


def read_masked(name: str, given: Any) -> tuple[str, ...]:
    """Return dotted names of payload fields."""
    paths = read_words(name, "masked", given)
    for path in paths:
        if not all(part.strip() for part in path.split(".")):
            raise TaskDefinitionError(
                name, f"masked={path!r}: expected a payload field, such as 'account.secret'"
            )
    return tuple(dict.fromkeys(paths))


def read_account(name: str, given: Any) -> str:
    """Return the name of an account."""
    if not isinstance(given, str) or not 1 <= len(given.strip()) <= 200:
        raise TaskDefinitionError(name, f"account={given!r}: expected the name of an account")
    return given


def read_once_per_breach(name: str, tags: Iterable[str], given: Any) -> bool:
    """Return whether a task's percentage sales act once in a drawdown: risk tasks' do by default.

    A risk task has the word "risk" in its name ("risk_manager", "RiskScan") or among its tags.
    """
    if given is None:
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
        return "risk" in (*map(str.lower, words), *map(str.lower, tags))
    if not isinstance(given, bool):
        raise TaskDefinitionError(name, f"once_per_breach={given!r}: expected True or False")
    return given
