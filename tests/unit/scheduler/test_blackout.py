from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from closingbell.core.error import CalendarError, TriggerError
from closingbell.triggers import Blackout, blackout_from_dict


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def test_window_covers_its_start_and_not_its_end() -> None:
    window = Blackout("22:00-23:00")
    assert not window.covers(at("2026-11-23T21:59:59"))
    assert window.covers(at("2026-11-23T22:00:00"))
    assert window.covers(at("2026-11-23T22:59:59"))
    assert not window.covers(at("2026-11-23T23:00:00"))
    assert window.end_after(at("2026-11-23T22:10:00")) == at("2026-11-23T23:00:00")
    assert window.end_after(at("2026-11-23T21:00:00")) is None


def test_window_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    window = Blackout("22:00-02:00", days="FRI", timezone="Europe/London")
    assert window.covers(at("2026-11-20T23:00:00"))
    assert window.covers(at("2026-11-21T01:59:00"))
    assert not window.covers(at("2026-11-20T01:00:00"))
    assert not window.covers(at("2026-11-21T23:00:00"))


def test_windows_that_touch_end_together() -> None:
    window = Blackout("00:00-24:00", days="SAT,SUN")
    assert window.end_after(at("2026-11-21T05:00:00")) == at("2026-11-23T00:00:00")


def test_window_on_the_day_that_repeats_its_end_covers_both_passes() -> None:
    window = Blackout("00:30-01:30", timezone="America/New_York")
    assert window.end_after(at("2026-11-01T05:00:00")) == at("2026-11-01T06:30:00")


def test_session_window_follows_the_early_close() -> None:
    window = Blackout("NYSE close-30m..close+30m")
    assert window == Blackout("XNYS close-30m..close+30m")
    assert window.covers(at("2026-11-27T17:45:00"))
    assert not window.covers(at("2026-11-27T20:45:00"))
    assert not window.covers(at("2026-11-26T20:45:00"))
    assert window.end_after(at("2026-11-27T17:45:00")) == at("2026-11-27T18:30:00")
    assert window.known_until == at("2029-01-01T05:00:00")


def test_session_window_of_several_venues_covers_from_first_to_last() -> None:
    window = Blackout("XNYS+XLON overlap open..close")
    assert window.covers(at("2026-11-23T15:00:00"))
    assert not window.covers(at("2026-11-23T17:00:00"))


@pytest.mark.parametrize(
    ("window", "options", "sentence"),
    [
        ("22:00", {}, "a window such as"),
        ("22:00-22:00", {}, "an end that is not the start"),
        ("00:00-24:00", {}, "covers all time"),
        ("22:00-25:00", {}, "a time of day"),
        ("XNYS open-30m..", {}, "a window such as"),
        ("XNYS every 5m..close", {}, "a window such as|expected"),
        ("XNYS open..close", {"days": "MON"}, "no weekdays"),
        (None, {}, "a window such as"),
    ],
)
def test_window_that_cannot_be_is_refused(
    window: Any, options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(TriggerError, match=sentence):
        Blackout(window, **options)


def test_window_of_an_unknown_venue_is_refused() -> None:
    with pytest.raises(CalendarError, match="unknown venue"):
        Blackout("QQQQ open..close")


def test_stored_window_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(TriggerError):
        blackout_from_dict({"window": "22:00-23:00", "zone": "UTC"})


def test_window_described_names_days_and_zone() -> None:
    assert Blackout("22:00-23:00", "MON-FRI").describe() == (
        "blackout 22:00-23:00 Monday to Friday (UTC)"
    )
    assert Blackout("XNYS open..close").describe() == "blackout XNYS open..close"
