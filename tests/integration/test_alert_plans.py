"""What rules look at costs what is under way, not what has ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tests.integration.seeded import NOW
from tests.integration.test_store_plans import Watched
from tests.integration.test_store_plans import watched as watched

SECOND = 1_000_000
#: What reads all of a table that grows. Walking an index of only the runs that have not ended is
#: what was meant.
_SCANS = re.compile(
    r"Seq Scan on (runs|firings|alerts|notifications)\b"
    r"|\bSCAN (runs|firings|alerts|notifications)\b"
    r"(?! USING (?:COVERING )?INDEX "
    r"(runs_(due|on_hold|claim|claim_lane)|alerts_(unrouted|next_step)|notifications_next)\b)"
)

_SERIES = (
    "WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 20000) "
)
_FILL = (
    "DELETE FROM alerts",
    "DELETE FROM notifications",
    "INSERT INTO alerts (id, type, severity, subject, message, data, note, raised_at, last_at,"
    " routed_at, cleared_at, cleared_by) " + _SERIES + "SELECT 'a' || n, 'task_alert', 'INFO',"
    " 's' || (n % 500), 'm', '{}', 'n', n, n, n, n, 'ann' FROM series",
    "INSERT INTO notifications (id, alert_id, channel, occasion, body, state, created_at, sent_at) "
    + _SERIES
    + "SELECT 'n' || n, 'a' || n, 'desk', 'raised', '{}', 'sent', n, n FROM series",
    "ANALYZE",
)


@pytest.fixture
def full(watched: Watched) -> Watched:
    """The seeded store with many alerts that are over."""
    with watched.store.database.writing() as connection:
        for statement in _FILL:
            connection.execute(sa.text(statement))
    return watched


_LOOKS: dict[str, Callable[[Watched], Any]] = {
    "waiting": lambda w: w.store.alert_facts.waiting(NOW),
    "held": lambda w: w.store.alert_facts.held(),
    "missed": lambda w: w.store.alert_facts.missed(NOW, None, "schedule-3"),
    "successes": lambda w: w.store.alert_facts.successes(["task-3"]),
    "next step": lambda w: w.store.alerts.next_step(),
    "next message": lambda w: w.store.notifications.next_due(("desk",)),
    "dismissed": lambda w: w.store.alerts.dismissed(["rule:a:b"], 0),
}


@pytest.mark.parametrize("look", sorted(_LOOKS))
def test_look_reads_nothing_that_grows_with_history(
    full: Watched, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with full.noting(monkeypatch):
        _LOOKS[look](full)
    assert full.plans
    for statement, plan in full.plans:
        assert not _SCANS.search(plan), f"{statement}\n\n{plan}"
