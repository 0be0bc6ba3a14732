from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from closingbell.core.error import TriggerError
from closingbell.triggers import Cron

SATURDAY = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 9 * * MON", "2026-11-23T09:00:00"),
        ("0 9 * * mon", "2026-11-23T09:00:00"),
        ("0 0 1 * *", "2026-12-01T00:00:00"),
        ("0 9 ? * 0", "2026-11-22T09:00:00"),
        ("0 9 * * 7", "2026-11-22T09:00:00"),
        ("0 9 * * FRI-MON", "2026-11-22T09:00:00"),
        ("0 9 * JAN,MAR *", "2027-01-01T09:00:00"),
        ("30 16 * * FRI#3", "2026-12-18T16:30:00"),
        ("0 0 L * *", "2026-11-30T00:00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00"),
        ("0 0 * 2 MON#5", "2044-02-29T00:00:00"),
        ("@daily", "2026-11-22T00:00:00"),
        ("@Hourly", "2026-11-21T13:00:00"),
        ("*/20 30 12 * * *", "2026-11-21T12:30:00"),
    ],
)
def test_cron_expression_fires_next_at(expression: str, expected: str) -> None:
    found = Cron(expression).next_after(SATURDAY)
    assert found is not None
    assert found.strftime("%Y-%m-%dT%H:%M:%S") == expected


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("0 9 * * MOM", "did you mean 'MON'"),
        ("0 9 * * MONDAY", "did you mean 'MON'"),
        ("0 9 * FEBB *", "did you mean 'FEB'"),
        ("@dayly", "did you mean '@daily'"),
        ("@every 5m", "interval='5m'"),
        ("0 0 30 2 *", "possible day-of-month"),
        ("0 0 31 4,6 *", "possible day-of-month"),
        ("61 * * * *", "possible minute"),
        ("* * *", "found 3 fields"),
        ("", "found 0 fields"),
        ("0 9 * * MON; rm", "a month such as JAN"),
        ("ⅷ 9 * * *", "five fields"),
    ],
)
def test_cron_expression_that_cannot_be_is_refused_with_a_sentence(
    expression: str, sentence: str
) -> None:
    with pytest.raises(TriggerError, match=sentence):
        Cron(expression)


def test_cron_with_both_days_requires_the_day_that_its_months_have() -> None:
    assert Cron("0 0 31 2 MON").next_after(SATURDAY) == datetime(2027, 2, 1, tzinfo=UTC)
    with pytest.raises(TriggerError, match="a day that one of its months has"):
        Cron("0 0 31 2 MON", day_and=True)


def test_cron_with_day_of_month_and_weekday_warns_and_fires_on_either() -> None:
    trigger = Cron("0 0 13 * FRI")
    assert len(trigger.warnings) == 1
    assert "fires when either matches" in trigger.warnings[0]
    assert trigger.next_after(SATURDAY) == datetime(2026, 11, 27, tzinfo=UTC)


def test_cron_with_day_and_fires_on_both_and_does_not_warn() -> None:
    trigger = Cron("0 0 13 * FRI", day_and=True)
    assert trigger.warnings == ()
    assert trigger.next_after(SATURDAY) == datetime(2027, 8, 13, tzinfo=UTC)


def test_cron_written_in_two_ways_is_one_rule() -> None:
    assert Cron("0  9 * *  mon") == Cron("0 9 ? * MON")
    assert Cron("@midnight") == Cron("0 0 * * *")


def test_cron_with_several_times_in_one_gap_fires_once_after_it() -> None:
    trigger = Cron("0,15,30 2 * * *", "Europe/Berlin")
    first = trigger.next_after(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert first == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert trigger.next_after(first) == datetime(2026, 3, 30, 0, tzinfo=UTC)


def test_six_field_cron_with_fixed_times_follows_the_clock_change_rule_too() -> None:
    trigger = Cron("0 30 1 * * *", "America/New_York")
    first = trigger.next_after(datetime(2026, 11, 1, tzinfo=UTC))
    assert first == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert trigger.next_after(first) == datetime(2026, 11, 2, 6, 30, tzinfo=UTC)


def test_cron_described_reads_as_english() -> None:
    assert Cron("0 9 * * MON").describe() == "at 09:00 on Monday (UTC)"


def test_import_of_triggers_loads_no_cron_library_table_or_pandas() -> None:
    heavy = ["cronsim", "zipfile", "gzip", "tomllib", "hashlib", "pandas", "exchange_calendars"]
    program = f"import sys, closingbell.triggers; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"
