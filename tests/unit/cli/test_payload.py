"""Payloads as people type them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.cli.payload import read_payload
from closingbell.core.error import SubmitError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], None),
        (["{}"], {}),
        (['{"a": [1, 2]}'], {"a": [1, 2]}),
        (["symbol=AAPL", "quantity=100"], {"symbol": "AAPL", "quantity": 100}),
        (["flag=true", "none=null", "text=None"], {"flag": True, "none": None, "text": "None"}),
        (['id="007"'], {"id": "007"}),
        (["id=007"], {"id": "007"}),
        (["where=a=b"], {"where": "a=b"}),
        (["empty="], {"empty": ""}),
    ],
)
def test_payload_words_mean_what_they_look_like(
    words: list[str], expected: dict[str, Any] | None
) -> None:
    assert read_payload(words) == expected


@given(
    st.dictionaries(
        st.text(st.characters(categories=["Ll"]), min_size=1),
        st.one_of(st.integers(), st.booleans(), st.none(), st.text(), st.lists(st.integers())),
        min_size=1,
    )
)
def test_payload_survives_both_spellings(payload: dict[str, Any]) -> None:
    assert read_payload([json.dumps(payload)]) == payload
    assert read_payload([f"{key}={json.dumps(value)}" for key, value in payload.items()]) == payload


def test_payload_comes_from_a_file_or_stdin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.json").write_text('{"a": 1}')
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": 2}'))
    assert read_payload([f"@{tmp_path / 'p.json'}"]) == {"a": 1}
    assert read_payload(["-"]) == {"a": 2}


@pytest.mark.parametrize(
    "words", [["{"], ["[1]"], ["17"], ["a=1", "a=2"], ["=1"], ["@nowhere.json"], ["{}", "a=1"]]
)
def test_payload_that_cannot_be_read_is_refused(words: list[str]) -> None:
    with pytest.raises(SubmitError, match="payload"):
        read_payload(words)
