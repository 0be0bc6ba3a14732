"""The filter of runs, and the line in which it is typed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from closingbell.core.error import FilterError
from closingbell.core.run import RunState
from closingbell.core.run_filter import RunFilter
from closingbell.core.run_filter_text import FIELDS, filter_text, read_filter, read_session

NEW_YORK = ZoneInfo("America/New_York")


def test_read_filter_of_an_empty_line_means_every_run() -> None:
    assert read_filter("   ") == RunFilter()
    assert RunFilter().said == {}


def test_read_filter_of_a_line_with_everything_says_everything() -> None:
    line = (
        'task:risk_scan state:failed,cancelled tag:eod tag:"a,b" -tag:manual -task:noise '
        "schedule:close cause:schedule worker:w1 batch:b1 event:e1 by:ann session:2026-11-02..2026-11-06 "
        'hold:approval since:2026-11-01 until:2026-11-08T09:30Z finished_since:2026-11-02 "out of memory" x'
    )
    assert read_filter(line, NEW_YORK) == RunFilter(
        task="risk_scan",
        states=(RunState.FAILED, RunState.CANCELLED),
        tags=("eod", "a,b"),
        without_tags=("manual",),
        without_tasks=("noise",),
        schedule="close",
        cause="schedule",
        worker="w1",
        batch="b1",
        event="e1",
        requested_by="ann",
        session_from=date(2026, 11, 2),
        session_to=date(2026, 11, 6),
        hold="approval",
        submitted_since=datetime(2026, 11, 1, 4, tzinfo=UTC),
        submitted_until=datetime(2026, 11, 8, 9, 30, tzinfo=UTC),
        finished_since=datetime(2026, 11, 2, 5, tzinfo=UTC),
        words=("out of memory", "x"),
    )


@pytest.mark.parametrize("name", FIELDS)
def test_read_filter_takes_each_field_by_each_of_its_names(name: str) -> None:
    value = {"state": "failed", "cause": "event", "hold": "approval", "session": "2026-11-02"}
    instant = "since" in name or "until" in name
    given = "2026-11-02" if instant else value.get(name.removesuffix("_date"), "some")
    assert read_filter(f"{name}:{given}").said
    assert read_filter(f"{name.upper()}:{given}") == read_filter(f"{name}:{given}")


def test_read_filter_of_states_that_are_not_wanted_says_the_others() -> None:
    assert read_filter("-state:success,skipped").states == (
        RunState.SCHEDULED,
        RunState.PENDING,
        RunState.RUNNING,
        RunState.FAILED,
        RunState.CANCELLED,
    )


def test_read_filter_of_all_states_says_nothing_about_states() -> None:
    every = ",".join(reversed([str(state) for state in RunState]))
    assert read_filter(f"state:{every}") == RunFilter()


@pytest.mark.parametrize(
    ("line", "place", "expected"),
    [
        ("state:faild", 1, "did you mean 'failed'?"),
        ("task:a  stat:failed", 9, "did you mean 'state'?"),
        ("task:a nonsense:1", 8, "one of task, state"),
        ("task:", 6, "a value after the colon"),
        ("task: a", 6, "a value after the colon"),
        ('tag:"never ends', 5, "a closing double quote"),
        ('tag:"a"b', 8, "a blank between two terms"),
        ('one"two', 4, "a blank between two terms"),
        ("task:a task:b", 8, "only once"),
        ("since:2026-11-01 since:2026-11-02", 18, "only once"),
        ("tag:a,b", 1, "repeat tag:"),
        ("-since:2026-11-01", 1, "'-' before one of"),
        ("-oom", 1, "a field after '-'"),
        ("-state:" + ",".join(map(str, RunState)), 1, "a state that is left"),
        ("since:yesterday", 1, "an instant such as"),
        ("since:1969-12-31", 1, "between 1970 and 2200"),
        ("until:9999-12-31T23:59-12:00", 1, "an instant such as"),
        ("session:2026-02-30", 1, "a day such as"),
        ("session:20260202", 1, "a day such as"),
        ("session:..", 1, "a first day, a last day"),
        ("cause:magic", 1, "one of submit"),
        ("hold:nobody", 1, "one of approval"),
        ("x" * 201, 1, "1 to 200 characters"),
        ('task:""', 1, "1 to 200 characters"),
        ('"a\0b"', 1, "without NUL"),
        (" ".join(map(str, range(10, 31))), 61, "at most 20"),
    ],
)
def test_read_filter_of_a_wrong_line_says_where_and_what_was_expected(
    line: str, place: int, expected: str
) -> None:
    with pytest.raises(FilterError) as refused:
        read_filter(line)
    assert refused.value.place == place
    assert expected in refused.value.expected
    assert f"at character {place}" in str(refused.value)


def test_read_filter_of_a_very_long_line_refuses_it_unread() -> None:
    with pytest.raises(FilterError, match="at most 2000 characters"):
        read_filter("a " * 1_001)


@pytest.mark.parametrize(
    "given",
    [
        {"submitted_since": datetime(2026, 11, 1)},  # noqa: DTZ001
        {"finished_until": datetime(2201, 1, 1, tzinfo=UTC)},
        {"states": ("nowhere",)},
        {"task": ""},
        {"tags": ("\ud800",)},
        {"words": tuple(map(str, range(21)))},
    ],
)
def test_filter_refuses_what_cannot_be_meant(given: dict[str, Any]) -> None:
    with pytest.raises(FilterError) as refused:
        RunFilter(**given)
    assert refused.value.place is None


def test_filter_says_the_same_in_whatever_order_it_was_given() -> None:
    one = RunFilter(tags=("b", "a", "b"), states=(RunState.FAILED, RunState.PENDING))
    assert one == RunFilter(tags=("a", "b"), states=(RunState.PENDING, RunState.FAILED))


def test_filter_tells_beginnings_of_ids_from_text() -> None:
    wanted = RunFilter(words=("019A0000-0000-7", "0123", "019a000000007000x", "oom"))
    assert wanted.id_prefixes == ("019a000000007",)
    assert wanted.texts == ("0123", "019a000000007000x", "oom")


def test_filter_text_writes_each_kind_of_term_as_it_is_typed() -> None:
    wanted = RunFilter(
        task="risk scan",
        states=(RunState.FAILED,),
        tags=('a"\\b',),
        session_from=date(2026, 11, 2),
        session_to=date(2026, 11, 2),
        submitted_since=datetime(2026, 11, 1, tzinfo=UTC) + timedelta(microseconds=1),
        words=("-x", "a:b", "plain"),
    )
    assert filter_text(wanted) == (
        'session:2026-11-02 task:"risk scan" state:failed tag:"a\\"\\\\b" '
        'since:2026-11-01T00:00:00.000001Z "-x" "a:b" plain'
    )
    assert read_filter(filter_text(wanted)) == wanted


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2026-11-02", (date(2026, 11, 2), date(2026, 11, 2))),
        ("2026-11-02..", (date(2026, 11, 2), None)),
        ("..2026-11-02", (None, date(2026, 11, 2))),
    ],
)
def test_read_session_takes_a_day_and_open_ranges(
    text: str, days: tuple[date | None, date | None]
) -> None:
    assert read_session(text) == days
