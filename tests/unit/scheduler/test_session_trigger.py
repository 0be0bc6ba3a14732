from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from closingbell.core.error import CalendarError, TriggerError
from closingbell.triggers import Session


def fires(rule: str, day: str, *, outside: str = "clamp") -> list[str]:
    """UTC times at which a rule fires within a UTC day."""
    trigger = Session(rule, outside=outside)
    start = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    here = start - timedelta(microseconds=1)
    found = []
    while (fire_at := trigger.next_after(here)) and fire_at < start + timedelta(days=1):
        found.append(f"{fire_at:%H:%M}")
        here = fire_at
    return found


@pytest.mark.parametrize(
    ("rule", "day", "expected"),
    [
        ("XNYS open", "2026-11-23", ["14:30"]),
        ("XNYS open+5m", "2026-07-15", ["13:35"]),
        ("NYSE open - 30m", "2026-11-23", ["14:00"]),
        ("nasdaq close-15m", "2026-11-23", ["20:45"]),
        ("XNYS close-15m", "2026-11-27", ["17:45"]),
        ("XNYS close+1h", "2026-11-27", ["19:00"]),
        ("XNYS open", "2026-11-26", []),
        ("XNYS close-4h", "2026-11-27", ["14:30"]),
        ("XNYS open+5h", "2026-11-27", ["18:00"]),
        ("XHKG break", "2026-11-23", ["04:00"]),
        ("XHKG resume+5m", "2026-11-23", ["05:05"]),
        ("XHKG break-start+2h", "2026-11-23", ["05:00"]),
        ("XHKG break-start", "2026-12-24", []),
        ("XNYS break-start", "2026-11-23", []),
        ("XBOM open", "2024-01-20", ["03:45"]),
        ("CRYPTO every 8h", "2026-11-22", ["00:00", "08:00", "16:00"]),
        ("XNYS every 3h", "2026-11-23", ["14:30", "17:30", "20:30"]),
        ("XNYS every 3h", "2026-11-27", ["14:30", "17:30"]),
        ("XNYS every 1h30m to close", "2026-11-27", ["14:30", "16:00", "17:30"]),
        ("XNYS every 210m to close", "2026-11-27", ["14:30", "18:00"]),
        ("XNYS every 2h from open+30m to close-30m", "2026-11-27", ["15:00", "17:00"]),
        ("XNYS every 1h from open+5h", "2026-11-27", []),
        ("XSHG every 1h", "2026-11-23", ["01:30", "02:30", "05:00", "06:00"]),
        ("XNYS every 2h from open-1h to close+1h", "2026-11-27", ["13:30", "15:30", "17:30"]),
        ("XNYS first-of-month open", "2026-12-01", ["14:30"]),
        ("XNYS first-of-month open", "2026-12-02", []),
        ("XNYS last-of-month close", "2026-11-30", ["21:00"]),
        ("XNYS last-of-week close-30m", "2026-11-27", ["17:30"]),
        ("XNYS first-of-week open", "2026-09-08", ["13:30"]),
        ("XNYS second-last-of-quarter close", "2026-12-30", ["21:00"]),
        ("XNYS last-of-the-year close", "2026-12-31", ["21:00"]),
        ("XNYS+XLON all open", "2026-11-23", ["14:30"]),
        ("XNYS+XLON all close", "2026-11-23", ["21:00"]),
        ("XNYS+XLON all open", "2026-11-26", []),
        ("XNYS+XLON any open", "2026-11-26", ["08:00"]),
        ("XNYS+XLON any close", "2026-11-23", ["16:30"]),
        ("XNYS+XLON overlap open", "2026-11-23", ["14:30"]),
        ("XNYS+XLON overlap close-30m", "2026-11-23", ["16:00"]),
        ("XNYS+XLON overlap every 1h", "2026-11-23", ["14:30", "15:30"]),
        ("XNYS+XLON any every 6h", "2026-11-23", ["08:00", "14:00", "20:00"]),
        ("XHKG+XSHG overlap break-start", "2026-11-23", ["03:30"]),
        ("CMES open", "2026-11-22", ["23:00"]),
    ],
)
def test_session_rule_fires_on_a_day_at(rule: str, day: str, expected: list[str]) -> None:
    assert fires(rule, day) == expected


@pytest.mark.parametrize("rule", ["XNYS close-4h", "XNYS open+5h"])
def test_offset_that_leaves_the_session_with_skip_does_not_fire(rule: str) -> None:
    assert fires(rule, "2026-11-27", outside="skip") == []


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("XNYS", "'XNYS open\\+5m'"),
        ("", "'XNYS open\\+5m'"),
        ("XNYS opne", "did you mean 'open'"),
        ("XNYS open+", "'XNYS open\\+5m'"),
        ("XNYS open+5", "a duration such as '5m'"),
        ("XNYS open+30d", "at most 7 days"),
        ("XNYS open+5ms", "whole seconds"),
        ("XNYS close-15m please", "nothing after 'close-15m'"),
        ("XNYS all open", "several venues before 'all'"),
        ("XNYS+XLON open", "'all', 'any' or 'overlap'"),
        ("XNYS+NYSE all open", "each venue once"),
        ("XNYS+XLON all every 5m", "'overlap every"),
        ("XNYS first-of-mnth open", "did you mean 'month'"),
        ("XNYS tenth-of-month open", "one of first, second"),
        ("XNYS every", "a duration after 'every'"),
        ("XNYS every 5m from", "'from EDGE'"),
        ("XNYS every 5m from break", "open or close after 'from'"),
    ],
)
def test_session_rule_that_cannot_be_is_refused_with_a_sentence(rule: str, sentence: str) -> None:
    with pytest.raises(TriggerError, match=sentence):
        Session(rule)


def test_session_of_an_unknown_venue_is_refused_with_a_near_name() -> None:
    with pytest.raises(CalendarError, match="did you mean 'XNYS'"):
        Session("XNYSE open")


def test_session_with_an_unknown_outside_is_refused() -> None:
    with pytest.raises(TriggerError, match="'clamp' or 'skip'"):
        Session("XNYS open", outside="drop")


def test_alias_and_venue_make_one_rule() -> None:
    assert Session("NYSE  close - 15m") == Session("XNYS close-15m")
    assert Session("XNYS close-15m").rule == "XNYS close-15m"


def test_session_date_of_an_evening_open_is_the_trading_date() -> None:
    trigger = Session("CMES open")
    fire_at = trigger.next_after(datetime(2026, 11, 22, tzinfo=UTC))
    assert fire_at == datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert trigger.session_date(fire_at) == date(2026, 11, 23)
    assert trigger.session_date(fire_at + timedelta(microseconds=1)) is None
    assert trigger.session_date(fire_at + timedelta(hours=1)) is None


def test_session_on_an_early_close_explains_it() -> None:
    trigger = Session("XNYS close-15m")
    text = trigger.explain(datetime(2026, 11, 27, 17, 45, tzinfo=UTC))
    assert text == (
        "XNYS session 2026-11-27, 15 minutes before the close; "
        "early close 13:00 instead of 16:00 America/New_York (Black Friday)"
    )


def test_session_moved_to_stay_within_explains_it() -> None:
    text = Session("XNYS close-4h").explain(datetime(2026, 11, 27, 14, 30, tzinfo=UTC))
    assert "moved to stay within the session" in text


def test_session_beyond_the_known_calendar_has_no_firing_and_says_where_it_ends() -> None:
    trigger = Session("XSHG open")
    end = trigger.knowledge_end()
    assert end == datetime(2026, 12, 31, 16, tzinfo=UTC)
    assert trigger.next_after(end) is None
    assert trigger.next_after(end - timedelta(days=1)) == datetime(2026, 12, 31, 1, 30, tzinfo=UTC)


def test_last_session_of_a_period_that_is_not_known_to_its_end_is_unknown() -> None:
    """XPHS is known to 2027-12-31, a Friday: its week is not over."""
    known = Session("XPHS open").next_after(datetime(2027, 12, 28, tzinfo=UTC))
    assert known == datetime(2027, 12, 28, 1, 30, tzinfo=UTC)
    last = Session("XPHS last-of-week open")
    assert last.next_after(datetime(2027, 12, 25, tzinfo=UTC)) is None


def test_session_described_reads_as_english() -> None:
    assert Session("XNYS close-15m").describe() == (
        "15 minutes before the close of every XNYS session"
    )
    assert Session("XNYS first-of-month open").describe() == (
        "at the open of the first XNYS session of the month"
    )
