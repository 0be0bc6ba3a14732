from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from closingbell.core.error import TimezoneError, TriggerError
from closingbell.scheduler.trigger_text import format_interval, parse_interval
from closingbell.triggers import Every

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("90s", timedelta(seconds=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("2 hours", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        ("hourly", timedelta(hours=1)),
        ("minutely", timedelta(minutes=1)),
    ],
)
def test_duration_in_any_of_its_forms_is_read(text: str, expected: timedelta) -> None:
    assert parse_interval(text) == expected
    assert parse_interval(format_interval(expected)) == expected


@pytest.mark.parametrize(
    "given", ["", "5", "m", "5x", "-5m", "5M", "1h1h", "0s", "1.5h", "9999999999d", 300, None]
)
def test_duration_that_cannot_be_is_refused_with_what_was_expected(given: Any) -> None:
    with pytest.raises(TriggerError, match="expected"):
        Every(given)


def test_duration_below_a_millisecond_is_refused() -> None:
    with pytest.raises(TriggerError, match="1 ms to ten years"):
        Every(timedelta(microseconds=10))


def test_every_without_anchor_fires_on_the_grid_of_the_epoch() -> None:
    assert Every("5m").next_after(NOON) == NOON + timedelta(minutes=5)
    assert Every("5m").next_after(NOON + timedelta(seconds=1)) == NOON + timedelta(minutes=5)
    assert Every("1ms").next_after(NOON) == NOON + timedelta(milliseconds=1)


def test_every_with_anchor_start_and_end_fires_within_them_and_on_them() -> None:
    trigger = Every(
        "10m", anchor="2026-11-21T00:03", start="2026-11-21T12:03", end="2026-11-21T12:23"
    )
    assert trigger.next_after(NOON - timedelta(days=3)) == NOON + timedelta(minutes=3)
    assert trigger.next_after(NOON + timedelta(minutes=13)) == NOON + timedelta(minutes=23)
    assert trigger.next_after(NOON + timedelta(minutes=23)) is None


def test_every_with_naive_bounds_reads_them_in_its_zone() -> None:
    trigger = Every("1h", start="2026-11-21T07:00", timezone="America/New_York")
    assert trigger.start == NOON


def test_every_whose_end_is_before_its_start_is_refused() -> None:
    with pytest.raises(TriggerError, match="not before the start"):
        Every("1h", start="2026-11-22", end="2026-11-21")


def test_every_asked_from_a_naive_instant_is_refused() -> None:
    with pytest.raises(TriggerError, match="with a time zone"):
        Every("1h").next_after(datetime(2026, 1, 1))  # noqa: DTZ001


def test_every_in_an_unknown_zone_is_refused_with_a_near_name() -> None:
    with pytest.raises(TimezoneError, match="did you mean 'Europe/London'"):
        Every("1h", timezone="Europe/Londn")
    with pytest.raises(TimezoneError, match="did you mean 'Europe/London'"):
        Every("1h", timezone="europe/london")


def test_every_near_the_end_of_time_has_no_next_firing() -> None:
    assert Every("3650d").next_after(datetime(9999, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (Every("5m"), "every 5 minutes"),
        (Every("1h"), "every hour"),
        (Every("1h30m"), "every 1 hour 30 minutes"),
    ],
)
def test_every_described_reads_as_english(trigger: Every, words: str) -> None:
    assert trigger.describe() == words


def test_equal_rules_are_equal_and_hash_alike() -> None:
    assert {Every("60m"), Every("1h"), Every(timedelta(hours=1))} == {Every("hourly")}
