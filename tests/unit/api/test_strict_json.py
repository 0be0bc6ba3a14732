"""What is JSON, and what is refused at the door."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.api.strict_json import DEEPEST, read_strict
from closingbell.core.error import InvalidRequest

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inner)
    ),
    max_leaves=20,
)


@given(_VALUES, st.booleans())
def test_strict_json_sound_body_is_read(value: Any, ascii_only: bool) -> None:
    assert read_strict(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "body.b.c", "given twice"),
        (b'[{"a": 1, "a": 1}]', "body[0].a", "given twice"),
        (b'{"a": NaN}', "body.a", "NaN is no number"),
        (b'{"a": [1, -Infinity]}', "body.a[1]", "-Infinity is no number"),
        (b'{"a": 1e999}', "body.a", "too large"),
        (b'{"a": -1E+4000}', "body.a", "too large"),
        (b'{"a": 9223372036854775808}', "body.a", "64 bits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "body", "64 bits"),
        (b'{"a": "\xff"}', "body", "not UTF-8"),
        (b'{"a": "\\ud800"}', "body.a", "surrogate"),
        (b'{"\\udfff": 1}', "body", "surrogate"),
        (b'{"a": "x\\u0000"}', "body.a", "NUL"),
        (b'{"a": 1} {}', "body", "Extra data"),
        (b"\xef\xbb\xbf{}", "body", "BOM"),
        (b"{'a': 1}", "body", "not JSON"),
        (b" ", "body", "not JSON"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "body", "deeper"),
        (b"[" * 200_000, "body", "deeper"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "body", "deeper"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_strict_json_unsound_body_is_refused_with_its_place(
    body: bytes, where: str, what: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_strict(body)

    (problem,) = refused.value.problems
    assert problem["where"] == where
    assert what in problem["what"]


def test_strict_json_many_brackets_in_a_text_are_no_depth() -> None:
    body = json.dumps({"text": "[{" * 1000, "quote": '\\"[[' * 100, "wide": [[]] * 500}).encode()

    assert read_strict(body)["text"] == "[{" * 1000


def test_strict_json_deepest_that_is_taken_is_taken() -> None:
    assert read_strict(b"[" * DEEPEST + b"]" * DEEPEST)


def test_strict_json_pair_of_surrogates_is_one_character() -> None:
    assert read_strict(b'"\\ud83d\\ude00"') == "\U0001f600"


@given(st.binary(max_size=60))
def test_strict_json_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(InvalidRequest):
        read_strict(body)
