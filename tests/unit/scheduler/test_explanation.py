from __future__ import annotations

from datetime import UTC, datetime

import pytest

from closingbell.core.error import TriggerError
from closingbell.triggers import At, Blackout, Cron, Daily, Every, Session, explain_next


def told(lines: list[object]) -> list[str]:
    return [f"{line.local} | {line.why}" for line in lines]  # type: ignore[attr-defined]


def test_holiday_and_early_close_are_told_between_the_firings() -> None:
    lines = explain_next(Session("XNYS close-15m"), datetime(2026, 11, 25, tzinfo=UTC), 2)
    assert told([*lines]) == [
        "2026-11-25 15:45 EST | XNYS session 2026-11-25, 15 minutes before the close",
        "2026-11-26 | no firing: XNYS holiday (Thanksgiving)",
        "2026-11-27 12:45 EST | XNYS session 2026-11-27, 15 minutes before the close; "
        "early close 13:00 instead of 16:00 America/New_York (Black Friday)",
    ]
    assert [line.fires for line in lines] == [True, False, True]


def test_half_day_without_the_edge_is_told() -> None:
    lines = explain_next(Session("XHKG break"), datetime(2026, 12, 23, 12, tzinfo=UTC), 1)
    assert told([*lines])[:2] == [
        "2026-12-24 | no firing: the session has no such edge "
        "(early close 12:00 instead of 16:00 Asia/Hong_Kong (Christmas Eve))",
        "2026-12-25 | no firing: XHKG holiday (Christmas)",
    ]


def test_holiday_of_a_venue_that_opens_the_evening_before_is_told_once() -> None:
    lines = explain_next(Session("CMES open"), datetime(2026, 12, 22, tzinfo=UTC), 5)
    idle = [line.local for line in lines if not line.fires]
    assert idle == ["2026-12-25"]


def test_venue_that_keeps_several_from_firing_is_named() -> None:
    lines = explain_next(Session("XNYS+XLON all open"), datetime(2026, 11, 25, 20, tzinfo=UTC), 1)
    assert lines[0].why == "no firing: XNYS holiday (Thanksgiving)"


def test_end_of_the_known_calendar_is_told() -> None:
    lines = explain_next(Session("XSHG open"), datetime(2026, 12, 31, 12, tzinfo=UTC), 3)
    assert told([*lines]) == [
        "2027-01-01 00:00 CST | no firing known: the calendar of XSHG ends here; "
        "later days are unknown"
    ]


def test_skipped_and_moved_local_times_are_told() -> None:
    before = datetime(2026, 3, 7, 12, tzinfo=UTC)
    moved = explain_next(Daily("02:30", "America/New_York"), before, 1)
    assert moved[0].local == "2026-03-08 03:00 EDT"
    assert moved[0].why.endswith("2026-03-08 02:30 does not exist: fires 03:00")
    skipped = explain_next(Cron("*/15 2 * * *", "America/New_York"), before, 1)
    assert told([*skipped])[0] == (
        "2026-03-08 02:00 | no firing: 2026-03-08 02:00 to 02:45 do not exist (clock change)"
    )
    assert skipped[1].local == "2026-03-09 02:00 EDT"


def test_month_without_the_day_is_told() -> None:
    lines = explain_next(Daily(day_of_month=31), datetime(2026, 3, 31, 12, tzinfo=UTC), 1)
    assert told([*lines])[0] == "2026-04 | no firing: April has no day 31"


def test_firing_in_a_blackout_is_told_as_none_and_not_counted() -> None:
    blackouts = [Blackout("02:00-03:00", days="MON")]
    lines = explain_next(Daily("02:30"), datetime(2026, 11, 22, 12, tzinfo=UTC), 1, blackouts)
    assert told([*lines]) == [
        "2026-11-23 02:30 UTC | no firing: blackout 02:00-03:00 every Monday (UTC)",
        "2026-11-24 02:30 UTC | every day at 02:30 (UTC)",
    ]


def test_schedule_that_a_blackout_always_covers_is_told_to_an_end() -> None:
    lines = explain_next(
        Every("12h"),
        datetime(2026, 1, 1, tzinfo=UTC),
        1,
        [Blackout("23:00-01:00"), Blackout("11:00-13:00")],
    )
    assert len(lines) == 1000
    assert not any(line.fires for line in lines)


def test_instant_that_is_past_is_told() -> None:
    lines = explain_next(At("2020-01-01"), datetime(2026, 1, 1, tzinfo=UTC), 3)
    assert told([*lines]) == ["2026-01-01 00:00 UTC | no firing: the rule names no later instant"]


def test_count_below_one_is_refused() -> None:
    with pytest.raises(TriggerError, match="at least one firing"):
        explain_next(Every("1h"), datetime(2026, 1, 1, tzinfo=UTC), 0)
