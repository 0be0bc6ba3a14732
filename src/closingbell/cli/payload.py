"""Payloads as people type them: JSON, `key=value` pairs, a file, or stdin."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from closingbell.core.error import SubmitError

_EXPECTED = "a JSON object, key=value pairs, @file.json, or - for stdin"


def read_payload(words: Sequence[str]) -> dict[str, Any] | None:
    """Return the payload that a command's last words spell; None for none.

    In `key=value` a value that reads as JSON is JSON, anything else is text:
    `symbol=AAPL quantity=100 limit=null`; text that looks like a number is `'id="007"'`.

    Raises:
        SubmitError: it cannot be read, or a key comes twice.
    """
    if not words:
        return None
    if len(words) == 1 and (words[0] == "-" or words[0].startswith(("{", "@"))):
        return _object(_text(words[0]), words[0])
    payload: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise SubmitError("payload", word, _EXPECTED)
        if key in payload:
            raise SubmitError("payload", word, f"the key {key!r} once")
        payload[key] = _value(text)
    return payload


def _text(word: str) -> str:
    if word == "-":
        return sys.stdin.read()
    if word.startswith("@"):
        try:
            return Path(word[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise SubmitError("payload", word, f"a readable file ({problem})") from problem
    return word


def _object(text: str, word: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise SubmitError("payload", word[:200], f"a JSON object ({problem})") from problem
    if not isinstance(value, dict):
        raise SubmitError("payload", word[:200], "a JSON object, with keys and values")
    return value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
