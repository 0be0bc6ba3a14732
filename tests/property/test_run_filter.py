"""Every filter can be written as a line and read back, and no line does harm."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.error import FilterError
from closingbell.core.run import RunState
from closingbell.core.run_filter import CAUSES, RunFilter
from closingbell.core.run_filter_text import FIELDS, filter_text, read_filter

_text = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12
) | st.sampled_from(['"', "\\", 'a"b', "-a", "task:b", "a,b", " ", "\n", "..", "'; DROP TABLE"])
_texts = st.lists(_text, max_size=3).map(tuple)
_instant = st.none() | st.datetimes(
    datetime(1971, 1, 1),  # noqa: DTZ001
    datetime(2199, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
_day = st.none() | st.dates(date(1970, 1, 1), date(2199, 1, 1))

filters = st.builds(
    RunFilter,
    task=st.none() | _text,
    states=st.lists(st.sampled_from(list(RunState))).map(tuple),
    tags=_texts,
    without_tasks=_texts,
    without_tags=_texts,
    schedule=st.none() | _text,
    cause=st.none() | st.sampled_from(CAUSES),
    worker=st.none() | _text,
    batch=st.none() | _text,
    event=st.none() | _text,
    requested_by=st.none() | _text,
    session_from=_day,
    session_to=_day,
    hold=st.none() | st.just("approval"),
    submitted_since=_instant,
    submitted_until=_instant,
    finished_since=_instant,
    finished_until=_instant,
    words=_texts,
)
_pieces = st.sampled_from(
    [*(f"{name}:" for name in FIELDS), "-", '"', "\\", ",", ":", "..", " ", "failed", "2026-11-01"]
)


@given(filters)
def test_filter_text_is_read_back_as_the_same_filter(wanted: RunFilter) -> None:
    assert read_filter(filter_text(wanted)) == wanted


@given(st.lists(_pieces | st.text(max_size=5), max_size=12).map("".join))
def test_read_filter_of_any_line_reads_it_or_says_where_it_is_wrong(line: str) -> None:
    try:
        wanted = read_filter(line)
    except FilterError as refused:
        place = refused.place or 1
    else:
        place = 1
        assert read_filter(filter_text(wanted)) == wanted
    assert 1 <= place <= len(line) + 1
