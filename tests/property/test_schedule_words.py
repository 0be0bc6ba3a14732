"""Whatever a request says of a schedule, it is read or refused: nothing of it breaks the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.acceptance.desk import START, StandingClock, make_app
from tests.api_client import signed_in

WORDS = st.sampled_from(
    [
        "5m", "daily", "weekly", "monthly", "1ms", "3660d", "0s", "", " ", "00:00", "24:00", "23:59:59",
        "MON", "MON-FRI", "last", "first", "31", "* * * * *", "0 9 * * MON", "@daily", "0 0 29 2 *",
        "0 0 31 2 *", "XNYS close", "XNYS open+5m", "XNYS+XLON all open", "24/7 close-1m", "clamp", "skip",
        "2026-05-01", "2026-05-01T09:00:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59", "UTC",
        "Europe/Berlin", "Mars/Olympus", "../zone", "22:00-23:00", "XNYS open-30m..open+30m", "\u0660\u0661",
        "1e400", "-5m", "'; DROP TABLE schedules; --", "<script>",
    ]
)  # fmt: skip
VALUES = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20).filter(lambda text: "\0" not in text),
    st.lists(WORDS, max_size=3),
    st.dictionaries(WORDS, WORDS, max_size=2),
)
KEYS = [
    "interval",
    "time",
    "day",
    "cron",
    "session",
    "at",
    "anchor",
    "start",
    "end",
    "timezone",
    "days",
    "day_of_month",
    "expression",
    "day_and",
    "rule",
    "outside",
    "requested",
    "moon",
]
TRIGGERS = st.one_of(
    st.dictionaries(st.sampled_from(KEYS[:6]), VALUES, max_size=3),
    st.builds(
        lambda kind, rest: {"kind": kind, **rest},
        st.sampled_from(["every", "daily", "cron", "at", "session"]),
        st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4),
    ),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "timezone": VALUES,
        "catch_up": VALUES,
        "catch_up_window": VALUES,
        "grace_s": VALUES,
        "overlap": VALUES,
        "jitter": VALUES,
        "start": VALUES,
        "end": VALUES,
        "blackouts": st.lists(
            st.one_of(WORDS, st.fixed_dictionaries({"window": WORDS, "days": WORDS})), max_size=2
        ),
    },
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("desk")
    app = make_app(f"sqlite:///{folder / 'closingbell.db'}", StandingClock(START))
    app.task(name="scan")(lambda: None)
    with signed_in(app) as client:
        yield client
    app.stop(0)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trigger=TRIGGERS, options=OPTIONS)
def test_schedule_of_any_words_is_previewed_or_refused(
    desk: httpx.Client, trigger: dict[str, Any], options: dict[str, Any]
) -> None:
    body = {"task": "scan", "trigger": trigger, **options}

    answer = desk.post("/api/v1/schedules/preview", json=body)

    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 200:
        told = answer.json()
        again = desk.post("/api/v1/schedules/preview", json={**body, "trigger": told["trigger"]})
        # What is told of a trigger means the same trigger.
        assert again.json()["next"] == told["next"]
