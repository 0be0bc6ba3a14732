from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from closingbell.core.error import CalendarError
from closingbell.scheduler import calendar_table
from closingbell.scheduler.calendar_book import CalendarBook
from closingbell.scheduler.calendar_table import CalendarTable
from closingbell.triggers import calendar_version, ending_calendars, get_calendar

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_session_of_a_half_day_tells_its_hours_and_why() -> None:
    calendar = get_calendar("NYSE")
    session = calendar.session(date(2026, 11, 27))
    assert session.open_at == datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
    assert session.close_at == datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
    assert session.early_close
    assert session.note == "Black Friday"
    assert calendar.special_hours(session) == (
        "early close 13:00 instead of 16:00 America/New_York (Black Friday)"
    )


def test_session_of_a_usual_day_has_nothing_special() -> None:
    calendar = get_calendar("XHKG")
    session = calendar.session(date(2026, 11, 23))
    assert calendar.special_hours(session) is None
    assert session.breaks == (
        (datetime(2026, 11, 23, 4, tzinfo=UTC), datetime(2026, 11, 23, 5, tzinfo=UTC)),
    )
    assert not calendar.is_open(datetime(2026, 11, 23, 4, 30, tzinfo=UTC))
    assert calendar.is_open(datetime(2026, 11, 23, 5, tzinfo=UTC))


def test_closure_of_a_holiday_and_of_a_weekend_is_told_apart() -> None:
    calendar = get_calendar("XNYS")
    assert calendar.closure_reason(date(2026, 11, 26)) == "holiday (Thanksgiving)"
    assert calendar.closure_reason(date(2025, 1, 9)) == "holiday"
    assert calendar.closure_reason(date(2026, 11, 28)) == "Saturday"
    assert calendar.closure_reason(date(2026, 11, 27)) is None
    with pytest.raises(CalendarError, match=r"no session on 2026-11-26 \(holiday"):
        calendar.session(date(2026, 11, 26))


def test_neighbours_of_an_instant_are_found() -> None:
    calendar = get_calendar("XNYS")
    opened = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    assert calendar.next_open(NOON) == opened
    assert calendar.next_open(opened) > opened
    assert calendar.previous_open(opened) == datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
    assert calendar.previous_open(opened + timedelta(microseconds=1)) == opened
    assert calendar.next_close(NOON) == datetime(2026, 11, 23, 21, tzinfo=UTC)
    assert calendar.previous_close(NOON) == datetime(2026, 11, 20, 21, tzinfo=UTC)
    assert calendar.next_session(date(2026, 11, 25)).date == date(2026, 11, 27)
    assert calendar.previous_session(date(2026, 11, 27)).date == date(2026, 11, 25)
    days = calendar.sessions_between(date(2026, 11, 23), date(2026, 11, 29))
    assert [session.date.day for session in days] == [23, 24, 25, 27]


@pytest.mark.parametrize("day", [date(1989, 12, 31), date(2029, 1, 1)])
def test_date_outside_of_what_is_known_is_refused_not_guessed(day: date) -> None:
    calendar = get_calendar("XNYS")
    for question in (calendar.is_session, calendar.session, calendar.closure_reason):
        with pytest.raises(CalendarError, match="known from 1990-01-01 to 2028-12-31"):
            question(day)


def test_instant_beyond_the_last_session_is_refused_not_guessed() -> None:
    with pytest.raises(CalendarError, match="nothing known after"):
        get_calendar("XNYS").next_open(datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "venue"),
    [("NASDAQ", "XNYS"), ("xlon", "XLON"), ("CRYPTO", "24/7"), ("us_futures", "US_FUTURES")],
)
def test_alias_in_any_case_names_its_venue(name: str, venue: str) -> None:
    assert get_calendar(name).venue == venue


def test_crypto_is_open_on_any_day_of_a_century() -> None:
    calendar = get_calendar("CRYPTO")
    assert calendar.is_open(datetime(2026, 12, 25, 3, tzinfo=UTC))
    assert calendar.is_session(date(2099, 2, 28))


def test_calendars_that_end_within_45_days_are_named_nearest_first() -> None:
    endings = ending_calendars(NOON, venues=("XNYS", "XSHG", "XIDX", "24/7"))
    assert [(e.venue, e.days_left) for e in endings] == [("XIDX", -325), ("XSHG", 40)]
    assert ending_calendars(NOON, within_days=39, venues=("XSHG",)) == []


def test_movable_holidays_of_which_the_source_has_no_list_end_the_calendar() -> None:
    """The source lists Indonesia's movable holidays to 2025 only."""
    assert get_calendar("XIDX").known_until == date(2025, 12, 31)


def test_table_covers_the_demo_years_of_every_old_venue() -> None:
    book = CalendarBook()
    young = {"AIXK", "XSAU"}
    late = {v for v in book.venues if book.calendar(v).known_from > date(2000, 1, 1)}
    assert late == young
    assert len(book.venues) >= 70


def test_provenance_names_source_licence_and_the_range_of_each_calendar() -> None:
    folder = files("closingbell.scheduler") / "calendars"
    record = json.loads((folder / "PROVENANCE.json").read_text(encoding="utf-8"))
    assert record["licence"] == "Apache-2.0"
    assert record["source"].startswith("exchange_calendars ")
    assert calendar_version() == record["version"]
    for venue, row in record["calendars"].items():
        calendar = get_calendar(venue)
        assert row["from"] == calendar.known_from.isoformat()
        assert row["until"] == calendar.known_until.isoformat()
        assert row["sessions"] == len(calendar.dates)


def test_damaged_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = files("closingbell.scheduler") / "calendars"
    damaged = bytearray((folder / "sessions.zip").read_bytes())
    damaged[1000] ^= 1
    (tmp_path / "calendars").mkdir()
    (tmp_path / "calendars" / "sessions.zip").write_bytes(bytes(damaged))
    record = (folder / "PROVENANCE.json").read_text(encoding="utf-8")
    (tmp_path / "calendars" / "PROVENANCE.json").write_text(record, encoding="utf-8")
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path)
    assert calendar_table.CalendarTable is CalendarTable
    with pytest.raises(CalendarError, match="damaged"):
        CalendarTable()
    (tmp_path / "calendars" / "sessions.zip").unlink()
    with pytest.raises(CalendarError, match="cannot be read"):
        CalendarTable()
