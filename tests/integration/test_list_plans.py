"""Lists cost what they show: no task's past is walked, and the number of statements is fixed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from closingbell.core.run_filter_text import read_filter
from closingbell.status import status_of
from tests.integration.seeded import NOW
from tests.integration.test_store_plans import Watched
from tests.integration.test_store_plans import watched as watched

_TASKS = [f"task-{number}" for number in range(10)]
#: The last success of each task, and the rest of what has ended, are sought: by task and state.
_WALKS = re.compile(
    r"Seq Scan on runs\b"
    r"|\bSCAN (runs|r)\b(?! USING (COVERING )?INDEX runs_held\b)"
    r"|USING (COVERING )?INDEX runs_finished \(task=\?\)"
)
#: By list: how many statements it takes at most, however many tasks there are.
_LISTS: dict[str, tuple[Callable[[Watched], Any], int]] = {
    "tasks": (lambda w: status_of(w.store, _TASKS, NOW), 3),
    "one task": (lambda w: status_of(w.store, _TASKS[:1], NOW), 3),
    "names of tasks": (lambda w: w.store.task_names.all(), 3),
    "history": (lambda w: w.store.history.ended(limit=50), 4),
    "history of failures": (lambda w: w.store.history.ended(state="failed", limit=50), 4),
    "history of a task": (lambda w: w.store.history.ended(task="task-3", limit=50), 3),
    "history of a task in a state that is rare": (
        lambda w: w.store.history.ended(task="task-3", state="skipped", limit=50),
        3,
    ),
    "failures of a task": (
        lambda w: w.store.run_pages.page(read_filter("task:task-3 state:failed"), None, 50),
        6,
    ),
    "what tasks depend on": (lambda w: w.store.runs.last_ended("task-3", "success"), 1),
}


@pytest.mark.parametrize("look", _LISTS)
def test_list_takes_few_statements_and_walks_nobodys_past(
    watched: Watched, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    act, most = _LISTS[look]
    with watched.noting(monkeypatch):
        act(watched)
    assert 0 < len(watched.plans) <= most, [statement for statement, _ in watched.plans]
    for statement, plan in watched.plans:
        assert not _WALKS.search(plan), f"{statement}\n\n{plan}"


def test_history_of_all_tasks_is_what_sorting_all_of_it_would_give(watched: Watched) -> None:
    everything = sa.text(
        "SELECT id FROM runs WHERE finished_at IS NOT NULL"
        " ORDER BY finished_at DESC, id DESC LIMIT :limit"
    )
    for limit in (1, 7, 333):
        with watched.store.database.reading() as connection:
            expected = list(connection.execute(everything, {"limit": limit}).scalars())
        found = [run.id for run in watched.store.history.ended(limit=limit)]
        assert found == expected
