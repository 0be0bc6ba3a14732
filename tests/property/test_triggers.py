"""What holds for every trigger: order, restarts, round trips, and parsers that only refuse."""

from __future__ import annotations

import pickle
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from closingbell.core.error import CalendarError, TimezoneError, TriggerError
from closingbell.core.trigger import Trigger
from closingbell.triggers import (
    At,
    Blackout,
    Cron,
    Daily,
    Every,
    Session,
    blackout_from_dict,
    explain_next,
    parse_trigger,
    trigger_from_dict,
)

REFUSALS = (TriggerError, CalendarError, TimezoneError)
ZONES = [
    "UTC",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "Europe/London",
    "Africa/Cairo",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]

zones = st.sampled_from(ZONES)
clocks = st.times().map(lambda clock: clock.replace(microsecond=0, tzinfo=None))
overlaps = st.sampled_from(["first", "second", "both"])
weekdays = st.sets(st.sampled_from(["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]), min_size=1)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
FIRST, LAST = datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2100-12-31")
naives = st.datetimes(FIRST, LAST)
instants = st.datetimes(FIRST, LAST, timezones=st.one_of(offsets, st.just(UTC)))

everies = st.builds(
    Every,
    st.integers(1, 10**9).map(lambda ms: timedelta(milliseconds=ms)),
    anchor=st.none() | instants,
    timezone=zones,
)
dailies = st.builds(Daily, clocks, zones, st.none() | weekdays, dst_overlap=overlaps) | st.builds(
    Daily, clocks, zones, day_of_month=st.integers(1, 31) | st.just("last"), dst_overlap=overlaps
)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str)
    return st.one_of(
        st.just("*"),
        number,
        st.integers(2, 30).map(lambda step: f"*/{step}"),
        st.lists(number, min_size=2, max_size=4).map(",".join),
        st.tuples(st.integers(low, high), st.integers(low, high)).map(
            lambda pair: f"{min(pair)}-{max(pair)}"
        ),
    )


expressions = st.tuples(
    field(0, 59), field(0, 23), field(1, 28) | st.just("L"), field(1, 12), field(0, 7)
).map(" ".join)
crons = st.builds(Cron, expressions, zones, dst_overlap=overlaps, day_and=st.booleans())
ats = st.builds(At, instants | naives, zones)
sessions = st.builds(
    Session,
    st.sampled_from(
        [
            "XNYS open+5m",
            "NYSE close-15m",
            "XNYS close-4h",
            "XHKG every 25m",
            "XHKG break-end+10m",
            "CMES every 2h from open-1h to close+1h",
            "XTKS first-of-month open",
            "XNYS second-last-of-week close-30m",
            "XNYS+XLON all open",
            "XNYS+XTKS any close",
            "XHKG+XSHG overlap every 1h",
            "24/7 open",
        ]
    ),
    outside=st.sampled_from(["clamp", "skip"]),
)
triggers: st.SearchStrategy[Any] = st.one_of(everies, dailies, crons, ats, sessions)


@settings(max_examples=400)
@given(trigger=triggers, instant=instants)
def test_next_after_any_instant_is_later_in_utc_and_never_raises(
    trigger: Trigger, instant: datetime
) -> None:
    here = instant
    for _ in range(3):
        fire_at = trigger.next_after(here)
        if fire_at is None:
            break
        assert fire_at.tzinfo is UTC
        assert fire_at > here
        assert trigger.explain(fire_at)
        here = fire_at


@settings(max_examples=300)
@given(
    trigger=st.one_of(everies, dailies, crons, sessions),
    instant=instants,
    fraction=st.floats(0, 1, exclude_max=True),
)
def test_restart_between_two_firings_gives_the_second_one(
    trigger: Trigger, instant: datetime, fraction: float
) -> None:
    first = trigger.next_after(instant)
    second = None if first is None else trigger.next_after(first)
    if first is None or second is None:
        return
    restart = first + (second - first) * fraction
    if restart < second:
        assert trigger.next_after(restart) == second


@pytest.mark.parametrize("zone", ["America/New_York", "America/St_Johns", "Australia/Lord_Howe"])
@given(trigger=st.data(), seconds=st.lists(st.integers(0, 48 * 3600), min_size=1, max_size=20))
def test_restart_inside_the_repeated_hour_gives_the_same_sequence(
    zone: str, trigger: st.DataObject, seconds: list[int]
) -> None:
    """Around the autumn of 2009, when St John's still changed its clock a minute past midnight."""
    rule = trigger.draw(
        st.one_of(
            st.builds(Daily, clocks, st.just(zone), dst_overlap=overlaps),
            st.builds(Cron, expressions, st.just(zone), dst_overlap=overlaps),
        )
    )
    start = (
        datetime(2009, 10, 31, 12, tzinfo=UTC)
        if zone != "Australia/Lord_Howe"
        else datetime(2009, 4, 4, 0, tzinfo=UTC)
    )
    sequence: list[datetime] = []
    here = start
    while len(sequence) < 3000 and (found := rule.next_after(here)) is not None:
        if found > start + timedelta(hours=49):
            sequence.append(found)
            break
        sequence.append(found)
        here = found
    for second in seconds:
        restart = start + timedelta(seconds=second)
        expected = next((fire_at for fire_at in sequence if fire_at > restart), None)
        if expected is not None:
            assert rule.next_after(restart) == expected


@settings(max_examples=300)
@given(trigger=triggers)
def test_trigger_written_and_read_back_is_equal(trigger: Any) -> None:
    again = trigger_from_dict(trigger.to_dict())
    assert again == trigger
    assert hash(again) == hash(trigger)
    assert pickle.loads(pickle.dumps(trigger)) == trigger
    assert trigger.describe()


quirks = st.sampled_from(
    ["0 0 LW * *", "30 9 * * FRI#3", "0 0 * * 5L", "0 12 13 * FRI", "*/7 3-5 1-15/3 2,8 *"]
)


@settings(max_examples=300)
@given(expression=expressions | quirks, instant=instants)
def test_cron_in_utc_agrees_with_cronsim(expression: str, instant: datetime) -> None:
    ours, theirs = Cron(expression), CronSim(expression, instant.astimezone(UTC))
    here = instant
    for _ in range(5):
        found = ours.next_after(here)
        assert found == next(theirs)
        assert found is not None
        here = found


@settings(max_examples=60)
@given(trigger=triggers, instant=instants, count=st.integers(1, 4))
def test_explained_firings_are_the_firings_in_order(
    trigger: Trigger, instant: datetime, count: int
) -> None:
    lines = explain_next(trigger, instant, count)
    expected = []
    here = instant
    for _ in range(count):
        fire_at = trigger.next_after(here)
        if fire_at is None:
            break
        expected.append(fire_at)
        here = fire_at
    assert [line.fire_at for line in lines if line.fires] == expected
    assert all(line.why and line.local for line in lines)


@given(
    window=st.sampled_from(
        [
            "22:00-23:00",
            "22:00-02:30",
            "01:30-24:00",
            "XNYS open-30m..open+30m",
            "24/7 open..open+5h",
        ]
    ),
    zone=zones,
    instant=instants,
)
def test_blackout_ends_where_it_no_longer_covers(window: str, zone: str, instant: datetime) -> None:
    blackout = Blackout(window, timezone=zone)
    end = blackout.end_after(instant)
    assert (end is not None) == blackout.covers(instant)
    if end is not None:
        assert end > instant
        assert not blackout.covers(end)
        assert blackout.covers(end - timedelta(microseconds=1))
    assert blackout_from_dict(blackout.to_dict()) == blackout


words = st.sampled_from(
    [
        "5m",
        "1h30m",
        "daily",
        "weekly",
        "hourly",
        "monthly",
        "02:00",
        "25:00",
        "*",
        "*/5",
        "0",
        "9",
        "MON",
        "JAN",
        "XNYS",
        "NYSE",
        "XLON",
        "+",
        "-",
        "open",
        "close",
        "every",
        "from",
        "to",
        "all",
        "any",
        "overlap",
        "first-of-month",
        "last-of-week",
        "break",
        "15m",
        "-15m",
        "+5m",
        "..",
        "2026-11-20",
        "2026-02-30",
        "T09:30",
        "UTC",
        "Europe/London",
        "?",
        "L",
        "#",
        "@daily",
        "99999999999999999999",
        "ß",
        "0d",
    ]
)
texts = st.one_of(st.text(max_size=40), st.lists(words, max_size=8).map(" ".join))


@settings(max_examples=500)
@given(text=texts, zone=st.one_of(st.just("UTC"), texts))
@example(text="0-59/9999999999999999999999 * * * *", zone="UTC")
@example(text="*/1/1/1 * * * *", zone="UTC")
@example(text="0001-01-01T00:00:00+14:00", zone="Asia/Tokyo")
@example(text="9999-12-31T23:59:59-14:00", zone="America/New_York")
@example(text="9" * 5000, zone="../../etc/passwd")
def test_any_text_as_a_trigger_is_read_or_refused_with_a_sentence(text: str, zone: str) -> None:
    for option in ("interval", "time", "cron", "session", "at"):
        given: dict[str, Any] = {option: text}
        with suppress(*REFUSALS):
            trigger = parse_trigger(**given, timezone=zone)
            assert trigger is not None
            assert trigger_from_dict(trigger.to_dict()) == trigger
    with suppress(*REFUSALS):
        blackout = Blackout(text, timezone=zone)
        assert blackout_from_dict(blackout.to_dict()) == blackout


@given(
    values=st.dictionaries(
        st.sampled_from(["kind", "interval", "time", "expression", "at", "rule", "timezone", "x"]),
        st.one_of(
            st.none(), st.integers(), texts, st.sampled_from(["every", "daily", "cron", "session"])
        ),
    )
)
def test_any_stored_mapping_as_a_trigger_is_read_or_refused(values: dict[str, Any]) -> None:
    with suppress(*REFUSALS):
        assert trigger_from_dict(values).describe()
