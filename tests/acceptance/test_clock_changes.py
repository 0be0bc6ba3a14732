"""Clock changes: schedules against a brute-force walk over every real minute of 24 months."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest

from closingbell.core.trigger import Trigger
from closingbell.triggers import Cron, Daily, Every

Minutes = npt.NDArray[np.int64]

# Both hemispheres, half-hour shifts, shifts at midnight, none at all, and Ramadan's pause.
ZONES = [
    "America/New_York",
    "Europe/London",
    "Europe/Berlin",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Auckland",
    "Asia/Tokyo",
]
START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2028, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
DAY_MIN = 1440


@cache
def local_minutes(zone: str) -> Minutes:
    """For each real minute from START to END, the local clock in minutes since 1970."""
    where = ZoneInfo(zone)
    quarters = (END - START) // QUARTER
    offsets = np.empty(quarters + 1, dtype=np.int64)
    for index in range(quarters + 1):
        offset = (START + index * QUARTER).astimezone(where).utcoffset()
        assert offset is not None
        offsets[index] = offset // timedelta(minutes=1)
    changes = np.flatnonzero(np.diff(offsets))
    for change in changes:
        # The walk holds an offset for a quarter of an hour: no change may hide within one.
        last = START + (int(change) + 1) * QUARTER - timedelta(seconds=1)
        assert last.astimezone(where).utcoffset() == timedelta(minutes=int(offsets[change]))
    real = int(START.timestamp()) // 60 + np.arange(quarters * 15, dtype=np.int64)
    return real + np.repeat(offsets[:-1], 15)


def instants(positions: Minutes) -> list[datetime]:
    return [START + timedelta(minutes=int(position)) for position in positions]


def daily_positions(zone: str, minute_of_day: int, weekday: int | None = None) -> Minutes:
    """Debian's rule by brute force: the first minute of a day that shows the time, or, where
    none does, the first minute after the gap."""
    local = local_minutes(zone)
    # The highest clock shown so far: it reaches a given time at its first pass or after its gap.
    reached = np.maximum.accumulate(local)
    days = np.arange(local[0] // DAY_MIN, local[-1] // DAY_MIN + 1)
    if weekday is not None:
        days = days[(days + 3) % 7 == weekday]  # 1970-01-01 was a Thursday
    wanted = days * DAY_MIN + minute_of_day
    wanted = wanted[(wanted > local[0]) & (wanted <= reached[-1])]
    return np.unique(np.searchsorted(reached, wanted))


def walk(trigger: Trigger) -> Iterator[datetime]:
    instant = START
    while (fire_at := trigger.next_after(instant)) is not None and fire_at < END:
        yield fire_at
        instant = fire_at


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("clock", ["00:00", "00:30", "01:30", "02:30", "16:45", "23:30"])
def test_daily_time_over_24_months_agrees_with_a_walk_over_minutes(zone: str, clock: str) -> None:
    hour, minute = (int(part) for part in clock.split(":"))
    expected = instants(daily_positions(zone, hour * 60 + minute))

    assert list(walk(Daily(clock, zone))) == expected
    assert list(walk(Cron(f"{minute} {hour} * * *", zone))) == expected


@pytest.mark.parametrize("zone", ZONES)
def test_weekly_time_over_24_months_agrees_with_a_walk_over_minutes(zone: str) -> None:
    expected = instants(daily_positions(zone, 150, weekday=6))

    assert list(walk(Daily("02:30", zone, days="SUN"))) == expected
    assert list(walk(Cron("30 2 * * SUN", zone))) == expected


@pytest.mark.parametrize("zone", ZONES)
def test_wildcard_cron_over_24_months_agrees_with_a_walk_over_minutes(zone: str) -> None:
    """Hourly and every 15 minutes fire at each real minute whose local clock matches."""
    local = local_minutes(zone)[1:]
    for expression, matches in [
        ("0 * * * *", local % 60 == 0),
        ("*/15 * * * *", local % 15 == 0),
        ("*/15 2 * * *", (local % 15 == 0) & (local % DAY_MIN // 60 == 2)),
        (
            "*/20 0 * * SUN",
            (local % 20 == 0) & (local % DAY_MIN < 60) & ((local // DAY_MIN + 3) % 7 == 6),
        ),
    ]:
        expected = instants(np.flatnonzero(matches) + 1)
        assert list(walk(Cron(expression, zone))) == expected, expression


@pytest.mark.parametrize("zone", ZONES)
def test_intervals_over_24_months_keep_real_time(zone: str) -> None:
    for interval, minutes in [("1h", 60), ("15m", 15)]:
        count = (END - START) // timedelta(minutes=minutes)
        expected = [START + timedelta(minutes=minutes) * step for step in range(1, count)]
        assert list(walk(Every(interval, timezone=zone))) == expected


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "make",
    [
        lambda zone: Daily("01:30", zone),
        lambda zone: Daily("00:30", zone, dst_overlap="second"),
        lambda zone: Daily("01:45", zone, dst_overlap="both"),
        lambda zone: Cron("10,45 0-2 * * *", zone),
        lambda zone: Cron("10,45 0-2 * * *", zone, dst_overlap="both"),
        lambda zone: Cron("*/15 * * * *", zone),
        lambda zone: Cron("*/30 0-2 * * *", zone),
        lambda zone: Cron("*/10 30 1 * * *", zone),
        lambda zone: Every("25m", timezone=zone),
    ],
    ids=lambda make: str(make("UTC").describe()),
)
def test_restart_at_any_minute_around_a_clock_change_fires_as_if_it_had_never_stopped(
    zone: str, make: object
) -> None:
    """From every real minute within 26 hours of each change, repeated hours included."""
    assert callable(make)
    trigger = make(zone)
    local = local_minutes(zone)
    changes = np.flatnonzero(np.diff(local) != 1)[:4]
    for change in changes:
        first = max(int(change) - 26 * 60, 0)
        last = int(change) + 26 * 60
        sequence: list[datetime] = []
        instant = START + timedelta(minutes=first - 2 * DAY_MIN)
        while instant <= START + timedelta(minutes=last):
            found = trigger.next_after(instant)
            assert found is not None
            instant = found
            sequence.append(found)
        assert sequence == sorted(set(sequence))
        position = 0
        for minute in range(first, last, 7):
            restart = START + timedelta(minutes=minute)
            while sequence[position] <= restart:
                position += 1
            assert trigger.next_after(restart) == sequence[position], restart


@pytest.mark.parametrize(
    ("trigger", "day", "expected"),
    [
        (Daily("02:30", "America/New_York"), "2026-03-08", ["2026-03-08T07:00"]),
        (Daily("01:30", "America/New_York"), "2026-11-01", ["2026-11-01T05:30"]),
        (
            Daily("01:30", "America/New_York", dst_overlap="second"),
            "2026-11-01",
            ["2026-11-01T06:30"],
        ),
        (
            Daily("01:30", "America/New_York", dst_overlap="both"),
            "2026-11-01",
            ["2026-11-01T05:30", "2026-11-01T06:30"],
        ),
        (Cron("0,30 2 * * *", "Europe/Berlin"), "2026-03-29", ["2026-03-29T01:00"]),
        (Daily("02:15", "Australia/Lord_Howe"), "2026-10-04", ["2026-10-03T15:30"]),
        (Daily("00:30", "America/Santiago"), "2026-09-06", ["2026-09-06T04:00"]),
    ],
)
def test_fixed_time_on_a_clock_change_day_fires_at_the_known_instants(
    trigger: Daily | Cron, day: str, expected: list[str]
) -> None:
    """Worked out by hand from the zones' published changes."""
    noon_before = datetime.fromisoformat(f"{day}T12:00+00:00") - timedelta(days=1)
    found = []
    instant = noon_before
    while (fire_at := trigger.next_after(instant)) and fire_at < noon_before + timedelta(hours=23):
        found.append(fire_at.strftime("%Y-%m-%dT%H:%M"))
        instant = fire_at
    assert found == expected
