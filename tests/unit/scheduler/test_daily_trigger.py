from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from closingbell.core.error import TimezoneError, TriggerError
from closingbell.triggers import At, Daily

SATURDAY = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        (Daily("02:00"), "2026-11-22T02:00"),
        (Daily("13:00"), "2026-11-21T13:00"),
        (Daily("12:00"), "2026-11-22T12:00"),
        (Daily(time(2, 0), "America/New_York"), "2026-11-22T07:00"),
        (Daily("09:00", days="MON-FRI"), "2026-11-23T09:00"),
        (Daily("09:00", days="FRI-MON"), "2026-11-22T09:00"),
        (Daily("09:00", days=["tuesday", "THU"]), "2026-11-24T09:00"),
        (Daily("00:00", day_of_month="last"), "2026-11-30T00:00"),
        (Daily("00:00", day_of_month=1), "2026-12-01T00:00"),
        (Daily("00:00", day_of_month=31), "2026-12-31T00:00"),
    ],
)
def test_daily_on_some_days_fires_next_at(trigger: Daily, expected: str) -> None:
    found = trigger.next_after(SATURDAY)
    assert found is not None
    assert found.strftime("%Y-%m-%dT%H:%M") == expected


@pytest.mark.parametrize(
    "given",
    [
        {"time": "24:00"},
        {"time": "2"},
        {"time": 2},
        {"days": "MOM"},
        {"days": "1-5"},
        {"days": ""},
        {"day_of_month": 32},
        {"day_of_month": "middle"},
        {"day_of_month": 1, "days": "MON"},
        {"dst_overlap": "third"},
        {"time": time(2, tzinfo=UTC)},
    ],
)
def test_daily_with_an_impossible_part_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(TriggerError, match="expected"):
        Daily(**given)


def test_daily_with_a_misspelt_weekday_offers_a_near_name() -> None:
    with pytest.raises(TriggerError, match="did you mean 'MON'"):
        Daily(days="MOM")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../UTC", "Europe"])
def test_daily_in_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(TimezoneError, match="IANA name"):
        Daily("02:00", zone)


def test_daily_on_the_day_that_skips_its_hour_says_when_it_fires() -> None:
    trigger = Daily("02:30", "America/New_York")
    fire_at = trigger.next_after(datetime(2026, 3, 8, tzinfo=UTC))
    assert fire_at == datetime(2026, 3, 8, 7, tzinfo=UTC)
    assert trigger.explain(fire_at).endswith("2026-03-08 02:30 does not exist: fires 03:00")


def test_daily_on_the_day_that_repeats_its_hour_says_that_it_fires_once() -> None:
    trigger = Daily("01:30", "America/New_York")
    fire_at = trigger.next_after(datetime(2026, 11, 1, tzinfo=UTC))
    assert fire_at == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert "comes twice on 2026-11-01: fires once" in trigger.explain(fire_at)


def test_daily_described_names_days_time_and_zone() -> None:
    assert Daily("02:00", "Europe/London").describe() == "every day at 02:00 (Europe/London)"
    assert Daily("09:00", days="FRI").describe() == "every Friday at 09:00 (UTC)"
    assert Daily(day_of_month="last").describe() == "on the last day of every month at 00:00 (UTC)"


def test_daily_over_a_whole_day_that_the_zone_skipped_fires_once_after_it() -> None:
    """Samoa had no 2011-12-30; both its firing and midnight's fall on the gap's end."""
    trigger = Daily("00:00", "Pacific/Apia")
    first = trigger.next_after(datetime(2011, 12, 29, 10, tzinfo=UTC))
    assert first == datetime(2011, 12, 30, 10, tzinfo=UTC)
    assert trigger.next_after(first) == datetime(2011, 12, 31, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "zone", "expected"),
    [
        ("2026-11-20T09:30", "America/New_York", datetime(2026, 11, 20, 14, 30, tzinfo=UTC)),
        ("2026-11-20 09:30:00+01:00", "UTC", datetime(2026, 11, 20, 8, 30, tzinfo=UTC)),
        (date(2026, 11, 20), "Asia/Tokyo", datetime(2026, 11, 19, 15, tzinfo=UTC)),
        ("2026-03-08T02:30", "America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
        ("2026-11-01T01:30", "America/New_York", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        (
            datetime(2026, 11, 1, 1, 30, fold=1),  # noqa: DTZ001
            "America/New_York",
            datetime(2026, 11, 1, 6, 30, tzinfo=UTC),
        ),
    ],
)
def test_at_in_any_form_is_one_instant(given: Any, zone: str, expected: datetime) -> None:
    trigger = At(given, zone)
    assert trigger.at == expected
    assert trigger.next_after(datetime(2020, 1, 1, tzinfo=UTC)) == expected
    assert trigger.next_after(expected) is None


def test_at_a_local_time_that_does_not_exist_says_when_it_fires() -> None:
    trigger = At("2026-03-08T02:30", "America/New_York")
    assert "2026-03-08 02:30 does not exist: fires 03:00" in trigger.explain(trigger.at)


@pytest.mark.parametrize("given", ["2026-02-30", "tomorrow", "", 5, None])
def test_at_an_impossible_date_is_refused(given: Any) -> None:
    with pytest.raises(TriggerError, match="expected a date and time"):
        At(given)
