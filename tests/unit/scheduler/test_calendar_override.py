from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from closingbell.core.error import CalendarError
from closingbell.triggers import Session, calendar_version, get_calendar, load_overrides

OWN = """
[calendars.DESK]
timezone = "Europe/Amsterdam"
open = "08:00"
close = "18:00"
break = ["12:00", "13:00"]
days = "MON-FRI"
known_from = 2026-01-01
known_until = 2026-12-31
"""


@pytest.fixture(autouse=True)
def _plain_table() -> Iterator[None]:
    yield
    load_overrides(None)


def load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calendars.toml"
    path.write_text(text, encoding="utf-8")
    load_overrides(path)


def test_closed_day_of_the_file_is_no_session(tmp_path: Path) -> None:
    load(
        tmp_path,
        '[calendars.NYSE]\nclosed = [2026-11-23, {date = 2026-11-24, name = "data centre move"}]',
    )
    calendar = get_calendar("XNYS")
    assert not calendar.is_session(date(2026, 11, 23))
    assert calendar.closure_reason(date(2026, 11, 24)) == "holiday (data centre move)"
    saturday = datetime(2026, 11, 21, tzinfo=UTC)
    assert Session("XNYS open").next_after(saturday) == datetime(2026, 11, 25, 14, 30, tzinfo=UTC)


def test_half_day_and_extra_session_of_the_file_count(tmp_path: Path) -> None:
    load(
        tmp_path,
        """
        [[calendars.XNYS.session]]
        date = 2026-12-31
        close = "13:00"
        name = "half day"
        [[calendars.XNYS.session]]
        date = 2026-11-28
        """,
    )
    calendar = get_calendar("XNYS")
    half = calendar.session(date(2026, 12, 31))
    assert half.early_close
    assert calendar.special_hours(half) == (
        "early close 13:00 instead of 16:00 America/New_York (half day)"
    )
    extra = calendar.session(date(2026, 11, 28))
    assert extra.open_at == datetime(2026, 11, 28, 14, 30, tzinfo=UTC)
    assert not extra.early_close


def test_known_until_of_the_file_goes_on_with_the_regular_hours(tmp_path: Path) -> None:
    load(tmp_path, "[calendars.XSHG]\nknown_until = 2027-12-31\nclosed = [2027-01-01]")
    calendar = get_calendar("XSHG")
    assert calendar.known_until == date(2027, 12, 31)
    session = calendar.session(date(2027, 1, 4))
    assert session.open_at == datetime(2027, 1, 4, 1, 30, tzinfo=UTC)
    assert len(session.breaks) == 1
    assert not calendar.is_session(date(2027, 1, 1))


def test_known_until_before_the_tables_end_forgets_the_rest(tmp_path: Path) -> None:
    load(tmp_path, "[calendars.XNYS]\nknown_until = 2026-12-31")
    assert Session("XNYS open").next_after(datetime(2026, 12, 31, 20, tzinfo=UTC)) is None


def test_own_venue_trades_in_its_hours(tmp_path: Path) -> None:
    load(tmp_path, OWN + "closed = [2026-12-25]")
    calendar = get_calendar("desk")
    assert calendar.session(date(2026, 12, 24)).close_at == datetime(2026, 12, 24, 17, tzinfo=UTC)
    assert calendar.closure_reason(date(2026, 12, 26)) == "Saturday"
    thursday = datetime(2026, 12, 24, 20, tzinfo=UTC)
    assert Session("DESK break").next_after(thursday) == datetime(2026, 12, 28, 11, tzinfo=UTC)


def test_own_venue_whose_open_is_after_its_close_opens_the_evening_before(tmp_path: Path) -> None:
    load(tmp_path, OWN.replace('"08:00"', '"20:00"').replace('break = ["12:00", "13:00"]', ""))
    session = get_calendar("DESK").session(date(2026, 11, 24))
    assert session.open_at == datetime(2026, 11, 23, 19, tzinfo=UTC)


def test_own_venue_like_another_is_its_copy_with_changes(tmp_path: Path) -> None:
    load(tmp_path, '[calendars.MYDAM]\nlike = "XAMS"\nclosed = [2026-12-23]')
    assert not get_calendar("MYDAM").is_session(date(2026, 12, 23))
    assert get_calendar("XAMS").is_session(date(2026, 12, 23))
    assert get_calendar("MYDAM").session(date(2026, 12, 24)).venue == "MYDAM"


def test_version_carries_a_digest_of_the_file(tmp_path: Path) -> None:
    plain = calendar_version()
    load(tmp_path, "[calendars.XNYS]\nclosed = [2026-11-23]")
    first = calendar_version()
    load(tmp_path, "[calendars.XNYS]\nclosed = [2026-11-24]")
    assert first.startswith(f"{plain}+")
    assert calendar_version() not in (plain, first)
    assert get_calendar("XNYS").version == calendar_version()
    load_overrides(None)
    assert calendar_version() == plain


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", "calendars.toml"),
        ("", "needs tables such as"),
        ("calendars = 3", "needs tables such as"),
        ("[calendars]\nXNYS = 1", "expected a table"),
        ("[calendars.XNYS]\nclosd = []", "did you mean 'closed'"),
        ("[calendars.XNYS]\nclosed = 2026-11-23", "expected a list"),
        ("[calendars.XNYS]\nclosed = ['2026-02-30']", "expected a date"),
        ("[calendars.XNYS]\nclosed = [2026-11-26]", "closed already"),
        ("[calendars.XNYS]\nclosed = [2035-01-02]", "known_until extends"),
        ("[calendars.XNYS]\nopen = '09:00'", "only a venue of your own"),
        ("[calendars.XNYS]\nlike = 'XLON'", "only a venue of your own"),
        ("[calendars.NYSE]\nclosed = []\n[calendars.XNYS]\nclosed = []", "named twice"),
        ("[calendars.DESK]\nclosed = []", "an own venue needs timezone"),
        ("[calendars.DESK]\nlike = 'XAMSS'", "did you mean 'XAMS'"),
        ("[calendars.'A+B']\nlike = 'XAMS'", "no '\\+'"),
        ("[calendars.CRYPTO]\nclosed = []", "around the clock"),
        (
            "[[calendars.XNYS.session]]\ndate = 2026-11-23\nclose = '09:00'",
            "closes before it opens",
        ),
        ("[[calendars.XNYS.session]]\nclose = '13:00'", "session.date: expected a date"),
        ("[[calendars.XNYS.session]]\ndate = 2026-11-23\nclose = '25:00'", "a time of day"),
        (
            "[[calendars.XNYS.session]]\ndate = 2026-11-23\nbreak = ['08:00', '09:00']",
            "break does not lie",
        ),
        (
            "[calendars.XNYS]\nclosed = [2026-11-23]\n[[calendars.XNYS.session]]\ndate = 2026-11-23",
            "named twice",
        ),
        (OWN.replace("Europe/Amsterdam", "Europe/Amsterdm"), "did you mean 'Europe/Amsterdam'"),
        (OWN.replace("MON-FRI", "MOM"), "did you mean 'MON'"),
        (OWN.replace("2026-12-31", "2025-12-31"), "is before"),
        (OWN.replace("2026-12-31", "2999-12-31"), "over 200 years"),
        (OWN.replace("'12:00', ", "").replace('"12:00", ', ""), "expected \\['12:00', '13:00'\\]"),
    ],
)
def test_file_that_cannot_be_is_refused_and_nothing_changes(
    tmp_path: Path, text: str, sentence: str
) -> None:
    before = calendar_version()
    with pytest.raises(CalendarError, match=sentence):
        load(tmp_path, text)
    assert calendar_version() == before


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalendarError, match=r"missing\.toml"):
        load_overrides(tmp_path / "missing.toml")
