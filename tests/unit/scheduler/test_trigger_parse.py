from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from closingbell.core.error import CalendarError, TimezoneError, TriggerError
from closingbell.core.trigger import Trigger
from closingbell.triggers import (
    At,
    Cron,
    Daily,
    Every,
    Session,
    parse_trigger,
    trigger_from_dict,
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"interval": "5m"}, Every("5m")),
        ({"interval": "1h"}, Every("1h")),
        ({"interval": "hourly"}, Every("1h")),
        ({"interval": timedelta(minutes=1)}, Every("1m")),
        ({"interval": Every("7m")}, Every("7m")),
        ({"interval": "daily"}, Daily("00:00")),
        ({"interval": "daily", "time": "02:00"}, Daily("02:00")),
        ({"interval": "Daily", "time": "02:00", "day": "MON-FRI"}, Daily("02:00", days="MON-FRI")),
        ({"interval": "weekdays", "time": "18:00"}, Daily("18:00", days="MON-FRI")),
        ({"interval": "weekly"}, Daily("00:00", days="MON")),
        ({"interval": "weekly", "day": "FRI", "time": "17:00"}, Daily("17:00", days="FRI")),
        ({"interval": "monthly"}, Daily("00:00", day_of_month=1)),
        ({"interval": "monthly", "day": "last"}, Daily("00:00", day_of_month="last")),
        ({"interval": "monthly", "day": 15, "time": "9:30"}, Daily("09:30", day_of_month=15)),
        ({"interval": "quarterly"}, Cron("0 0 1 1,4,7,10 *")),
        ({"interval": "yearly", "time": "08:15:30"}, Cron("30 15 8 1 1 *")),
        ({"time": "02:00"}, Daily("02:00")),
        ({"time": "02:00", "day": "SUN"}, Daily("02:00", days="SUN")),
        ({"time": "02:00", "day": "last"}, Daily("02:00", day_of_month="last")),
        (
            {"time": "02:00", "timezone": "Asia/Tokyo"},
            Daily("02:00", "Asia/Tokyo"),
        ),
        ({"cron": "0 9 * * MON"}, Cron("0 9 * * MON")),
        ({"cron": Cron("0 9 * * MON", day_and=True)}, Cron("0 9 * * MON", day_and=True)),
        ({"session": "NYSE close-15m"}, Session("XNYS close-15m")),
        ({"session": Session("XNYS open")}, Session("XNYS open")),
        ({"at": "2026-11-20T09:30"}, At("2026-11-20T09:30")),
        ({"at": At("2026-11-20T09:30")}, At("2026-11-20T09:30")),
        ({}, None),
    ],
)
def test_options_of_a_task_make_the_trigger(
    options: dict[str, Any], expected: Trigger | None
) -> None:
    assert parse_trigger(**options) == expected


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"interval": "5m", "cron": "* * * * *"}, "one of interval="),
        ({"session": "XNYS open", "at": "2026-01-01"}, "one of interval="),
        ({"interval": "5m", "time": "02:00"}, "runs around the clock"),
        ({"interval": "hourly", "time": "02:00"}, "runs around the clock"),
        ({"cron": "* * * * *", "time": "02:00"}, "cron= alone"),
        ({"session": "XNYS open", "day": "MON"}, "session= alone"),
        ({"day": "FRI"}, "day= together with"),
        ({"interval": "monthly", "day": "FRI"}, "'first' or 'last'"),
        ({"interval": "weekly", "day": 5}, "weekdays such as"),
        ({"interval": "weekdays", "day": "FRI"}, "no day="),
        ({"interval": "yearly", "day": 5}, "no day="),
        ({"interval": "dayly"}, "did you mean 'daily'"),
        ({"interval": "sometimes"}, "'5m', '1h30m', 'hourly'"),
        ({"interval": 300}, "a duration such as"),
        ({"interval": "daily", "time": "2am"}, "a time of day"),
        ({"cron": "0 9 * *"}, "found 4 fields"),
        ({"cron": 5}, "five fields"),
        ({"session": 5}, "XNYS open"),
        ({"at": "2026-02-30"}, "a date and time"),
    ],
)
def test_options_that_contradict_or_cannot_be_are_refused_with_a_sentence(
    options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(TriggerError, match=sentence):
        parse_trigger(**options)


def test_options_with_an_unknown_zone_or_venue_are_refused() -> None:
    with pytest.raises(TimezoneError, match="IANA"):
        parse_trigger(time="02:00", timezone="Nowhere/Land")
    with pytest.raises(CalendarError, match="unknown venue"):
        parse_trigger(session="QQQQ open")


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"kind": "moon"},
        {"kind": ["daily"]},
        {"kind": "daily", "tme": "02:00"},
        {"kind": "every"},
        {"kind": "cron", "expression": "bad"},
        "daily",
        None,
    ],
)
def test_stored_trigger_that_cannot_be_is_refused(stored: Any) -> None:
    with pytest.raises(TriggerError):
        trigger_from_dict(stored)


def test_naive_instant_is_refused_by_every_trigger() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    rules = [Every("1h"), Daily(), Cron("* * * * *"), At("2026-01-01"), Session("XNYS open")]
    for rule in rules:
        assert isinstance(rule, Trigger)
        assert rule.next_after(naive.replace(tzinfo=UTC)) is not None or isinstance(rule, At)
        with pytest.raises(TriggerError, match="with a time zone"):
            rule.next_after(naive)
