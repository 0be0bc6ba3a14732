"""Text on its way into the databases."""

from __future__ import annotations

import json

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.store.codec import from_json, storable, to_json
from closingbell.store.postgres_link import number_array, text_array

_ODD = ["", "NULL", "null", "{}", 'a"b', "a\\b", "a,b", " a ", "Zürich 東京 🛎", "\n\t", "'; --"]


@pytest.mark.postgres
def test_text_array_is_read_back_by_postgresql_as_it_was(postgres_address: str) -> None:
    with psycopg.connect(postgres_address.replace("+psycopg", "")) as connection:
        row = connection.execute(
            "SELECT %s::text[], %s::bigint[]",
            (text_array([*_ODD, None]), number_array([1, None, -(2**62)])),
        ).fetchone()
    assert row == ([*_ODD, None], [1, None, -(2**62)])


@given(st.text(st.characters()))
def test_storable_text_is_what_both_databases_keep(text: str) -> None:
    kept = storable(text)
    assert "\0" not in kept
    assert kept.encode().decode() == kept
    assert len(kept) == len(text)


@given(
    st.recursive(
        st.text(st.characters()), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_to_json_writes_any_text_without_failing(value: object) -> None:
    assert json.loads(to_json(value)) == from_json(to_json(value))
