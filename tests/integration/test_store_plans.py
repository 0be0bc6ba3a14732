"""No verb reads all runs: every statement on the way takes the index that was made for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from closingbell.core.clock import SimulatedClock
from closingbell.core.ledger import Holder
from closingbell.core.limit import Room
from closingbell.core.port import Firing, Move
from closingbell.core.run_filter_text import read_filter
from closingbell.store import ledger_sql, postgres_link, postgres_sql
from closingbell.store.database import PostgresDatabase
from closingbell.store.sqlite_queue import SqliteQueue
from closingbell.store.store import Store
from tests.conformance.books import Account, fill, filled, order, snapshot
from tests.conformance.desk import START, Desk, FakeClaimer
from tests.integration.seeded import NOW, seed
from tests.postgres import PostgresServer


class Watched:
    """A seeded store that notes the plan of every statement that it executes."""

    def __init__(self, address: str) -> None:
        self.desk = Desk(address, SimulatedClock(START))
        seed(self.desk.store.database)
        self.plans: list[tuple[str, str]] = []

    @property
    def store(self) -> Store:
        return self.desk.store

    @contextmanager
    def noting(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Note what is executed inside, on SQLAlchemy's connections and on the queue's own."""
        self.plans = []
        database: Any = self.store.database
        engine = database.engine()

        def before(
            connection: sa.Connection, _cursor: Any, statement: str, values: Any, *_: Any
        ) -> None:
            raw = connection.connection.driver_connection
            self._explain(raw, statement, values)

        sa.event.listen(engine, "before_cursor_execute", before)
        with monkeypatch.context() as patch:
            if isinstance(self.store.queue, SqliteQueue):
                patch.setattr(
                    database,
                    "driver",
                    lambda: _Noting(self, database.writer().connection.driver_connection),
                )
            else:
                opened = postgres_link.Link.open

                @contextmanager
                def noted(link: postgres_link.Link) -> Iterator[Any]:
                    with opened(link) as connection:
                        yield _Noting(self, connection)

                patch.setattr(postgres_link.Link, "open", noted)
                send = ledger_sql._send

                def explained(driver: Any, statement: str, rows: Any) -> Any:
                    self._explain(driver, statement, rows[0])
                    return send(driver, statement, rows)

                patch.setattr(ledger_sql, "_send", explained)
            try:
                yield
            finally:
                sa.event.remove(engine, "before_cursor_execute", before)

    def _explain(self, raw: Any, statement: str, values: Any) -> None:
        if not re.match(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE)", statement):
            return
        if isinstance(values, list) and values and isinstance(values[0], (dict, tuple)):
            values = values[0]
        if self.store.dialect == "sqlite":
            rows = raw.execute("EXPLAIN QUERY PLAN " + statement, values or ()).fetchall()
            plan = "\n".join(row[3] for row in rows)
        else:
            cursor = raw.cursor()
            cursor.execute("EXPLAIN " + statement, values or None)
            plan = "\n".join(row[0] for row in cursor.fetchall())
        self.plans.append((statement, plan))


class _Noting:
    """A driver's connection that notes before it executes."""

    def __init__(self, watched: Watched, connection: Any) -> None:
        self._watched = watched
        self._connection = connection

    def execute(self, statement: str, values: Any = None) -> Any:
        self._watched._explain(self._connection, statement, values)
        return self._connection.execute(statement, *(() if values is None else (values,)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
)
def watched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    """One seeded store for all plans; what the verbs change in it is little."""
    server: PostgresServer | None = None
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("plans")
        address = f"sqlite:///{folder / 'desk.db'}"
    else:
        server = request.getfixturevalue("postgres_server")
        database = server.create_database()
        address = server.address(database)
    made = Watched(address)
    yield made
    made.desk.close()
    if server is not None:
        server.drop_database(database)


_GROWING = (
    "runs|attempts|run_logs|firings|desk_orders|desk_order_history|desk_entries|desk_snapshots"
)
#: What reads all of a table that grows without end.
_SCANS = re.compile(rf"Seq Scan on ({_GROWING})\b|\bSCAN ({_GROWING})(?! USING)\b")
#: An index that is walked from one end, whose order was asked for and whose walk a LIMIT ends.
_INDEX = re.compile(r"(?:using|INDEX|Bitmap Index Scan on) (\w+)")


def _claim(watched: Watched, lanes: bool) -> None:
    desk = watched.desk
    claimer = FakeClaimer("worker-0", {"async": 8, "thread": 4})
    claimer.room = Room()
    if not lanes:
        with desk.store.database.writing() as connection:
            connection.execute(
                sa.text(
                    "UPDATE runs SET state = 'scheduled' WHERE lane IS NOT NULL AND state = 'pending'"
                )
            )
    desk.work(claimer)
    assert claimer.claims
    claimer.claiming = False
    claimer.ended = [
        desk.settle(claim, *(("scheduled",) if n % 2 else ()), ledger=bool(n % 2), due_at=NOW)
        for n, claim in enumerate(claimer.claims)
    ]
    desk.work(claimer)
    if not lanes:
        with desk.store.database.writing() as connection:
            connection.execute(
                sa.text(
                    "UPDATE runs SET state = 'pending' WHERE lane IS NOT NULL AND state = 'scheduled' AND fence = 0"
                )
            )


def _fire(watched: Watched) -> None:
    store = watched.store
    due = store.schedules.due(NOW + 10**11, NOW + 10**11, limit=3)
    moves = [Move(row["id"], row["version"], [Firing(NOW, "skipped", "r")], None) for row in due]
    assert store.schedules.fire_all(moves, NOW)


def _page(store: Store) -> None:
    first = store.history.ended(task="task-3", limit=50)
    assert len(store.history.ended(task="task-3", limit=50, before=first[-1])) == 50


def _walk(watched: Watched, line: str) -> None:
    pages = watched.store.run_pages
    page = pages.page(read_filter(line), None, 20)
    pages.page(read_filter(line), page.next or _id(30_000), 20)


def _id(number: int) -> str:
    return f"{number:032x}"


def _key(*tables: str) -> set[str]:
    """Primary keys, which the databases name differently."""
    return {f"key of {table}" for table in tables}


def _record(watched: Watched) -> None:
    account = Account(watched.store.ledger, "account-3")
    account.write(
        entries=[fill(order_id="order-2")],
        orders=[order("new", account="account-3")],
        order_changes=[filled("new"), filled("order-2")],
        snapshots=[snapshot(NOW, account="account-3")],
        holder=Holder(_RUNNING, 1),
    )


_ENDED = _id(100)
_RUNNING = _id(694)
_VERBS: dict[str, tuple[Callable[[Watched], Any], set[str]]] = {
    "claim": (lambda w: _claim(w, lanes=False), {"runs_claim"}),
    "claim in lanes": (
        lambda w: _claim(w, lanes=True),
        {"runs_claim", "runs_claim_lane", "runs_running_lane"},
    ),
    "promote": (lambda w: w.desk.queue.promote(NOW + 10**10, 50), {"runs_due"}),
    "next due": (lambda w: w.desk.queue.next_due(), {"runs_due"}),
    "submit": (lambda w: (w.desk.submit(), w.desk.submit(3), w.desk.submit(key="k")), set()),
    "submit again": (lambda w: [w.desk.submit(key="again") for _ in range(2)], {"runs_key"}),
    "history page": (lambda w: _page(w.store), {"runs_finished"}),
    "history of all": (lambda w: w.store.history.ended(limit=50), {"runs_finished"}),
    "list page": (
        lambda w: w.store.runs.list_page(before=_id(30_000), limit=50),
        {"runs_pkey", "sqlite_autoindex_runs_1"},
    ),
    "list page of a task": (
        lambda w: w.store.runs.list_page(task="task-3"),
        {"runs_task", "runs_pkey"},
    ),
    "list page of failures": (
        lambda w: w.store.runs.list_page(states=["failed", "skipped"], limit=50),
        {"runs_not_successful"},
    ),
    "page": (lambda w: _walk(w, ""), {"runs_pkey", "sqlite_autoindex_runs_1"}),
    "page of a tag": (lambda w: _walk(w, "tag:x"), {"runs_pkey", "sqlite_autoindex_runs_1"}),
    "page of a task": (lambda w: _walk(w, "task:task-3"), {"runs_task"}),
    "page of a task and words": (lambda w: _walk(w, "task:task-3 price"), {"runs_task"}),
    "page of failures": (lambda w: _walk(w, "state:failed"), {"runs_not_successful"}),
    "page of a task's failures": (
        lambda w: _walk(w, "task:task-3 state:failed,skipped price"),
        {"runs_not_successful"},
    ),
    "page of running": (lambda w: _walk(w, "state:running by:ann"), {"runs_held"}),
    "page of pending": (
        lambda w: _walk(w, "state:pending task:task-3"),
        {"runs_claim", "runs_claim_lane"},
    ),
    "page of scheduled": (
        lambda w: _walk(w, "state:scheduled tag:x"),
        {"runs_on_hold"},
    ),
    "page of held": (lambda w: _walk(w, "hold:approval by:ann"), {"runs_on_hold"}),
    "page of a schedule": (lambda w: _walk(w, "schedule:schedule-7"), {"runs_schedule"}),
    "page of an event": (lambda w: _walk(w, "event:e1 state:failed"), {"runs_event"}),
    "page of a batch": (lambda w: _walk(w, "batch:b1 task:task-3"), {"runs_batch"}),
    "page of some days": (
        lambda w: _walk(w, "since:2026-01-01 until:2026-01-02 worker:worker-3"),
        {"runs_pkey", "sqlite_autoindex_runs_1"},
    ),
    "list page of scheduled": (
        lambda w: w.store.runs.list_page(states=["scheduled"]),
        {"runs_on_hold"},
    ),
    "runs that wait for people": (lambda w: w.store.approvals.waiting(), {"runs_on_hold"}),
    "decisions": (lambda w: w.store.approvals.of([_id(98), _id(198)]), set()),
    "progress of a batch": (lambda w: w.store.batches.progress("batch"), {"runs_batch"}),
    "list page of running": (lambda w: w.store.runs.list_page(states=["running"]), set()),
    "waiting": (lambda w: w.store.runs.waiting(50), {"runs_claim"}),
    "ahead of": (
        lambda w: w.store.runs.ahead_of(w.store.runs.waiting(50)[-1]),
        {"runs_claim", "runs_claim_lane"},
    ),
    "running lanes": (lambda w: w.store.runs.running_lanes(), {"runs_running_lane"}),
    "running counts": (lambda w: w.store.runs.running_counts(), {"runs_held"}),
    "get": (lambda w: w.store.runs.get(_ENDED), set()),
    "states": (lambda w: w.store.runs.states([_ENDED, _id(7)]), set()),
    "last ended": (lambda w: w.store.runs.last_ended("task-3", "success"), {"runs_finished"}),
    "standing": (lambda w: w.store.history.standing(["task-3", "task-4"]), {"runs_finished"}),
    "failures": (
        lambda w: w.store.failures.open(limit=50),
        {"runs_not_successful", "runs_retrying"},
    ),
    "cancel": (lambda w: w.store.runs.cancel(_id(98), "r", NOW), set()),
    "retry": (lambda w: w.store.runs.retry(_ENDED, 3, NOW), set()),
    "logs": (lambda w: w.store.runs.logs(_ENDED), set()),
    "cancel requests": (
        lambda w: w.store.workers.cancel_requests("worker-9"),
        {"runs_cancel_requested"},
    ),
    "held": (lambda w: w.store.workers.held(["worker-9", "worker-19"]), {"runs_held"}),
    "bury": (lambda w: w.store.workers.bury(NOW), {"runs_held"}),
    "active runs": (
        lambda w: w.store.schedules.active_runs(["schedule-57", "schedule-7"]),
        {"runs_active_schedule"},
    ),
    "due schedules": (lambda w: w.store.schedules.due(NOW, NOW), {"schedules_next"}),
    "fire": (_fire, {"schedules_next"}),
    "firings": (lambda w: w.store.schedules.firings("schedule-3"), set()),
    "retention": (
        lambda w: w.store.retention.prune_runs("task-3", NOW - 49_999 * 10**6, 20),
        {"runs_finished"},
    ),
    "tasks with ended runs": (lambda w: w.store.retention.tasks(), {"runs_finished"}),
    "record": (lambda w: _record(w), _key("desk_orders", "desk_order_history")),
    "order": (lambda w: w.store.ledger.order("order-77"), _key("desk_orders")),
    "order history": (
        lambda w: w.store.ledger.order_history("order-77"),
        _key("desk_order_history"),
    ),
    "working orders": (
        lambda w: w.store.ledger.orders("account-2", working=True),
        {"desk_orders_working"},
    ),
    "newest orders": (
        lambda w: w.store.ledger.orders("account-2", limit=20),
        {"desk_orders_account"},
    ),
    "orders of a run": (
        lambda w: w.store.ledger.orders("account-2", run_id="run-77"),
        {"desk_orders_run"},
    ),
    "entries after one": (
        lambda w: w.store.ledger.entries("account-2", after_seq=4990),
        _key("desk_entries"),
    ),
    "recent entries": (
        lambda w: w.store.ledger.entries("account-2", after=19_950, kind="fill"),
        {"desk_entries_happened"},
    ),
    "archive": (lambda w: w.store.ledger.archive("account-2", [7, 8], NOW), _key("desk_entries")),
    "newest snapshots": (
        lambda w: w.store.ledger.snapshots("account-2", limit=5),
        _key("desk_snapshots"),
    ),
    "snapshots after": (
        lambda w: w.store.ledger.snapshots("account-2", after=19_950),
        _key("desk_snapshots"),
    ),
    "latch": (
        lambda w: w.store.ledger.latch("account-2", "drawdown", Holder(_RUNNING, 1), True, NOW),
        _key("runs"),
    ),
}


@pytest.mark.parametrize("verb", _VERBS)
def test_plan_of_each_verb_takes_its_index_and_scans_no_runs(
    watched: Watched, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    act, wanted = _VERBS[verb]
    with watched.noting(monkeypatch):
        act(watched)
    assert watched.plans
    seen: set[str] = set()
    for statement, plan in watched.plans:
        if "SET state = 'scheduled' WHERE lane" in statement or "AND fence = 0" in statement:
            continue
        assert not _SCANS.search(plan), f"{statement}\n\n{plan}"
        seen |= set(_INDEX.findall(plan))
    seen |= {f"key of {name.removesuffix('_pkey')}" for name in seen if name.endswith("_pkey")}
    seen |= {f"key of {name[17:-2]}" for name in seen if name.startswith("sqlite_autoindex_")}
    if "runs_pkey" in wanted:
        assert seen & wanted
    else:
        assert wanted <= seen, "\n\n".join(f"{s}\n{p}" for s, p in watched.plans)


@pytest.mark.postgres
@pytest.mark.parametrize(
    "name", ["EXCHANGE", "EXCHANGE_FULL", "PROMOTE", "CLAIM", "CANDIDATES", "REFUSED", "HELD"]
)
@pytest.mark.parametrize("watched", ["postgresql"], indirect=True)
def test_plan_of_a_prepared_statement_is_right_whatever_its_values_are(
    watched: Watched, name: str
) -> None:
    numbers: dict[str, int] = {}

    def mark(match: re.Match[str]) -> str:
        key = match[1] or f"#{len(numbers)}"
        return f"${numbers.setdefault(key, len(numbers) + 1)}"

    numbered = re.sub(r"%(?:\((\w+)\))?s", mark, getattr(postgres_sql, name))
    statement: Any = f"EXPLAIN (GENERIC_PLAN) {numbered}"
    database = watched.store.database
    assert isinstance(database, PostgresDatabase)
    with postgres_link.Links(database).open() as link:
        plan = "\n".join(str(row[0]) for row in link.execute(statement, prepare=False))
        link.close()
    assert not _SCANS.search(plan), plan
    assert "Hash Join" not in plan, plan
    assert "Index Scan" in plan
