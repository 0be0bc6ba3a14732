"""Masked payload fields."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.mask import MASK, mask


@pytest.mark.parametrize(
    ("payload", "fields", "shown"),
    [
        pytest.param({"key": "s", "n": 1}, ["key"], {"key": MASK, "n": 1}, id="a field"),
        pytest.param({"a": {"b": "s", "c": 1}}, ["a.b"], {"a": {"b": MASK, "c": 1}}, id="a path"),
        pytest.param(
            {"legs": [{"token": "s"}, {"token": "t", "qty": 2}]},
            ["legs.token"],
            {"legs": [{"token": MASK}, {"token": MASK, "qty": 2}]},
            id="a list on the way",
        ),
        pytest.param({"a": {"b": ["s", {"c": 1}]}}, ["a"], {"a": MASK}, id="a whole object"),
        pytest.param({"a.b": "s"}, ["a.b"], {"a.b": MASK}, id="a key with a dot"),
        pytest.param({"a": "plain"}, ["a.b"], {"a": "plain"}, id="a path into a text"),
        pytest.param({"a": None}, ["a"], {"a": MASK}, id="nothing, which says something too"),
        pytest.param({"n": 1}, ["key", "a.b"], {"n": 1}, id="fields that are not there"),
        pytest.param([{"a": 1}], ["a"], [{"a": MASK}], id="a list at the top"),
        pytest.param("text", ["a"], "text", id="no object"),
        pytest.param({"a": [[{"b": 1}]]}, ["a.b"], {"a": [[{"b": MASK}]]}, id="lists in lists"),
    ],
)
def test_masked_fields_are_replaced_and_others_stay(
    payload: Any, fields: list[str], shown: Any
) -> None:
    before = repr(payload)
    assert mask(payload, fields) == shown
    assert repr(payload) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "a.b"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def reached(value: Any, parts: list[str]) -> list[Any]:
    """Every value that a path leads to, lists walked through."""
    if isinstance(value, list):
        return [found for item in value for found in reached(item, parts)]
    if not parts:
        return [value]
    if not isinstance(value, dict) or parts[0] not in value:
        return []
    inner = value[parts[0]]
    return [inner] if len(parts) == 1 else reached(inner, parts[1:])


@given(payload=JSON, path=st.sampled_from(["a", "a.b", "a.b.c", "c"]))
def test_nothing_that_a_path_leads_to_is_left(payload: Any, path: str) -> None:
    shown = mask(payload, [path])
    assert all(value == MASK for value in reached(shown, path.split(".")))
    assert mask(shown, [path]) == shown
