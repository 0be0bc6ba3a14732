"""What people look at reads by index: no look reads all of a table that grows without end."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from closingbell.centre.snapshot import take_snapshot
from closingbell.core.clock import to_micros
from closingbell.core.order import Order
from closingbell.monitor.figures import Figures
from closingbell.monitor.series import read_series
from closingbell.store import bounded_scan
from closingbell.store.ledger_row import read_order
from tests.integration.seeded import NOW
from tests.integration.test_store_plans import Watched
from tests.integration.test_store_plans import watched as watched

_GROWING = (
    "runs|run_figures|desk_orders|desk_order_history|desk_entries|desk_snapshots|desk_backtests"
    "|audit_records|notifications"
)
#: Walking an index of only the runs that have not ended is what was meant, and so is walking an
#: index from its end, when a LIMIT ends the walk.
_SCANS = re.compile(
    rf"Seq Scan on ({_GROWING})\b"
    rf"|\bSCAN ({_GROWING})\b(?! USING (COVERING )?INDEX"
    r" (runs_(due|on_hold|claim|claim_lane|held)|desk_backtests_finished|notifications_next"
    r"|audit_records_acted|sqlite_autoindex_audit_records_1)\b)"
)


_SERIES = (
    "WITH RECURSIVE series (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 20000) "
)
_MORE = (
    "DELETE FROM run_figures",
    _SERIES + "INSERT INTO run_figures (width_s, task, bucket_at, worker, batch, figures)"
    " SELECT 60, CASE n % 2 WHEN 0 THEN '' ELSE 'task' END, CAST(n AS BIGINT) * 60000000, '', 1, :figures"
    " FROM series",
    _SERIES + "INSERT INTO desk_backtests (id, name, started_at, finished_at, summary, digest)"
    " SELECT 'b' || n, 'n', n, n, '{}', 'd' FROM series",
    _SERIES + "INSERT INTO audit_records (seq, acted_at, actor, actor_kind, action, target_kind,"
    " target_id, previous_hash, hash) SELECT n + 1000, n, 'ann', 'person', 'a.b', 'k', 'i', :hash,"
    " :hash FROM series ORDER BY n",
    _SERIES + "INSERT INTO notifications (id, alert_id, channel, occasion, body, state, created_at,"
    " sent_at) SELECT 'n' || n, 'a', 'mail', 'raised', '{}', 'sent', n, n FROM series",
    "ANALYZE",
)


@pytest.fixture(scope="module")
def full(watched: Watched) -> Watched:
    """The seeded store, with figures, backtests and audit records."""
    values = {"figures": Figures().encode(), "hash": "a" * 64}
    for statement in _MORE:
        text = sa.text(statement)
        with watched.store.database.writing() as connection:
            connection.execute(text, {n: v for n, v in values.items() if f":{n}" in statement})
    return watched


def _order(w: Watched) -> Order:
    with w.store.database.reading() as connection:
        found = connection.exec_driver_sql("SELECT * FROM desk_orders WHERE id = 'order-9'")
        return read_order(found.one())


_LOOKS: dict[str, Callable[[Watched], Any]] = {
    "overview": lambda w: (
        w.store.glance.runs(NOW),
        w.store.glance.alerts(),
        w.store.glance.late_schedules(NOW),
        w.store.glance.next_schedules(10),
        w.store.roster.recent(0, 100),
    ),
    "worker": lambda w: w.store.roster.get("worker-3"),
    "series": lambda w: read_series(w.store.performance, NOW, 3_600_000_000),
    "orders": lambda w: w.store.desk_pages.orders("account-3", limit=50, after=(9_000, "x")),
    "working orders": lambda w: w.store.desk_pages.orders("account-3", states=["open"]),
    "orders of a symbol": lambda w: w.store.desk_pages.orders("account-3", symbol="SYM-7"),
    "orders of a run": lambda w: w.store.desk_pages.orders("account-3", run_id="run-30"),
    "journal": lambda w: w.store.desk_pages.entries("account-3", after=(9_000, 5), limit=50),
    "journal of a day": lambda w: w.store.desk_pages.entries("account-3", since=50, until=900),
    "trades of a symbol": lambda w: w.store.desk_pages.entries(
        "account-3", kinds=["fill"], symbol="SYM-7"
    ),
    "fills": lambda w: w.store.desk_pages.fills(_order(w)),
    "curve": lambda w: w.store.desk_pages.curve("account-3", None, None),
    "thinned curve": lambda w: w.store.desk_pages.curve("account-3", 100, 19_000, most=200),
    "backtests": lambda w: w.store.backtests.page(50, (9, "x")),
    "audit": lambda w: w.store.audit_pages.page(after=(900,), limit=50),
    "audit of a period": lambda w: w.store.audit_pages.page(since=0, until=NOW, actor="ann"),
    "metrics": lambda w: take_snapshot(w.store, w.desk.clock),
}


@pytest.mark.parametrize("look", _LOOKS)
def test_plan_of_a_look_reads_by_index(
    full: Watched, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert to_micros(full.desk.clock.now()) == NOW
    # Few against what is there, as 10,000 are against millions.
    monkeypatch.setattr(bounded_scan.scan, "__defaults__", ((), 100))
    with full.noting(monkeypatch):
        _LOOKS[look](full)
    assert full.plans
    for statement, plan in full.plans:
        assert not _SCANS.search(plan), f"{statement}\n\n{plan}"
