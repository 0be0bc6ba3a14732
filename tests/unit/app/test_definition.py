"""A schedule reads back from its stored text as the same schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.schedule import CatchUp, Overlap, SchedulePolicy
from closingbell.core.trigger import Trigger
from closingbell.definition import definition_id, read_schedule, write_definition
from closingbell.triggers import At, Blackout, Cron, Daily, Every, Session

NOW = datetime(2026, 3, 2, tzinfo=UTC)

policies = st.builds(
    SchedulePolicy,
    catch_up=st.sampled_from(CatchUp),
    overlap=st.sampled_from(Overlap),
    catch_up_window=st.timedeltas(timedelta(0), timedelta(days=30)),
    jitter=st.timedeltas(timedelta(0), timedelta(hours=1)),
    start=st.none() | st.just(NOW),
    end=st.none() | st.just(NOW + timedelta(days=400)),
    blackouts=st.sampled_from([(), (Blackout("22:00-23:00", timezone="Europe/London"),)]),
)


def row(definition: str, **changes: Any) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("next_fire_at", "last_fire_at", "paused_at", "paused_reason", "paused_until")
    )
    return {"id": "s", "task": "t", "source": "app", "definition": definition, **empty, **changes}


@pytest.mark.parametrize(
    "trigger",
    [
        Every("5m"),
        Daily("02:00", timezone="Europe/London"),
        Cron("0 9 * * MON", timezone="America/New_York"),
        At("2026-06-01T10:00", timezone="Asia/Tokyo"),
        Session("XNYS close-15m"),
    ],
)
@given(policy=policies)
def test_definition_reads_back_as_the_same_schedule(
    trigger: Trigger, policy: SchedulePolicy
) -> None:
    payload = {"a": [1, None, "x"], "b": {"c": 1.5}}
    text = write_definition(trigger, policy, payload, 3, ("x", "y"))
    schedule = read_schedule(row(text, next_fire_at=1_000_000))

    assert schedule.trigger == trigger
    assert schedule.policy == policy
    assert (schedule.payload, schedule.priority, schedule.tags) == (payload, 3, ("x", "y"))
    assert schedule.next_fire_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert (
        write_definition(schedule.trigger, schedule.policy, schedule.payload, 3, ("x", "y")) == text
    )


def test_definition_id_tells_schedules_of_one_task_apart() -> None:
    one = write_definition(Every("5m"), SchedulePolicy(), {"b": 1, "a": 2}, None, ())
    same = write_definition(Every("5m"), SchedulePolicy(), {"a": 2, "b": 1}, None, ())
    other = write_definition(Every("6m"), SchedulePolicy(), {"b": 1, "a": 2}, None, ())

    assert definition_id("t", one) == definition_id("t", same)
    assert definition_id("t", one) != definition_id("t", other)
    assert definition_id("t", one).startswith("t/")
