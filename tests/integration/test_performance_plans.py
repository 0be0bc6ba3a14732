"""What a look at performance costs depends on the window and on what is under way, not on history."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from closingbell.centre.snapshot import take_snapshot
from closingbell.monitor.figures import Figures, merge_encoded
from closingbell.monitor.recorder import rows_elsewhere
from closingbell.monitor.window import KEPT, read_figures
from tests.integration.seeded import NOW
from tests.integration.test_store_plans import Watched
from tests.integration.test_store_plans import watched as watched

SECOND = 1_000_000
#: What reads all of a table that grows, or of an index on all of it. Walking an index of only the
#: runs that have not ended is what was meant.
_SCANS = re.compile(
    r"Seq Scan on (runs|run_figures)\b"
    r"|\bSCAN (runs|run_figures)\b(?! USING INDEX runs_(due|on_hold|claim|claim_lane|held)\b)"
)
_TASKS = 10

_ROWS = """
WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :rows)
INSERT INTO run_figures (width_s, task, bucket_at, worker, batch, figures)
SELECT :width, 'task-' || (n % 10), CASE :width WHEN 0 THEN 0 ELSE
  :now - :now % (:width * 1000000) - (n / 10) * :width * 1000000 END, '', 1, :figures FROM series
"""


@pytest.fixture
def full(watched: Watched) -> Watched:
    """The seeded store with all the figures that are ever kept of ten tasks."""
    figures = Figures()
    figures.success = 1
    figures.durations.add([SECOND])
    with watched.store.database.writing() as connection:
        connection.execute(sa.text("DELETE FROM run_figures"))
        for width, rows in ((0, 1), *((width, kept // width) for width, kept in KEPT.items())):
            values = {
                "width": width,
                "rows": rows * _TASKS,
                "now": NOW,
                "figures": figures.encode(),
            }
            statement = sa.text(_ROWS).bindparams(
                sa.bindparam("width", type_=sa.BigInteger), sa.bindparam("now", type_=sa.BigInteger)
            )
            connection.execute(statement, values)
        connection.execute(sa.text("ANALYZE run_figures"))
    return watched


def _read(window_s: int | None, task: str | list[str] | None) -> Callable[[Watched], Any]:
    window = None if window_s is None else window_s * SECOND
    return lambda w: read_figures(w.store.performance, NOW, task, window)


_LOOKS: dict[str, Callable[[Watched], Any]] = {
    "since ever": _read(None, None),
    "one task since ever": _read(None, "task-3"),
    "an hour": _read(3_600, "task-3"),
    "a day of all": _read(86_400, None),
    "a day of some": _read(86_400, ["task-1", "task-3", "task-7"]),
    "a month": _read(30 * 86_400, "task-3"),
    "a year": _read(365 * 86_400, "task-3"),
    "flush": lambda w: w.store.performance.add(
        rows_elsewhere("task-3", "success", NOW, NOW), 0, merge_encoded
    ),
    "prune": lambda w: w.store.performance.prune({60: 0, 3_600: 0, 86_400: 0}),
    "what is active": lambda w: w.store.load.active(),
    "snapshot": lambda w: take_snapshot(w.store, w.desk.clock),
}


@pytest.mark.parametrize("look", _LOOKS)
def test_plan_of_a_look_at_performance_reads_by_index(
    full: Watched, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with full.noting(monkeypatch):
        _LOOKS[look](full)
    assert full.plans
    for statement, plan in full.plans:
        assert not _SCANS.search(plan), f"{statement}\n\n{plan}"


@pytest.mark.parametrize(
    ("window_s", "most"),
    [(None, 1), (3_600, 62), (86_400, 60 + 24 + 1), (30 * 86_400, 24 + 32), (365 * 86_400, 367)],
)
def test_rows_of_one_task_are_few_in_every_window(
    full: Watched, monkeypatch: pytest.MonkeyPatch, window_s: int | None, most: int
) -> None:
    read, rows = full.store.performance.read, 0

    def counted(*asked: Any) -> Any:
        nonlocal rows
        found = read(*asked)
        rows += len(found)
        return found

    monkeypatch.setattr(full.store.performance, "read", counted)
    [figures] = _read(window_s, "task-3")(full).values()
    assert 0 < rows <= most
    assert figures.success == rows
