"""Whether a database is sound: read whole, and held against what must always be true.

Each finding is one sentence that says what is wrong. All reads see one moment, so that a database
is judged fairly while others write in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, exists, func, inspect, literal_column, select, text

from closingbell.core.book import Book
from closingbell.core.ledger import OrderChange
from closingbell.store.append_only import GUARDS
from closingbell.store.database import translated
from closingbell.store.door_schema import batches
from closingbell.store.ledger_row import read_entries, read_order, read_step
from closingbell.store.migrate import revision_of
from closingbell.store.schema import (
    SCHEMA_REVISION,
    attempts,
    facts,
    firings,
    metadata,
    run_logs,
    runs,
    workers,
)
from closingbell.store.store import Store
from closingbell.store.trading_schema import (
    accounts,
    backtest_pages,
    backtests,
    entries,
    order_history,
    orders,
)

#: So many of one kind are named; the rest are counted.
_NAMED = 5
_MESSAGES = 20
_LINE = [column for column in entries.c if column.name != "archived_at"]
_STEP = [column for column in order_history.c if column.name != "seq"]


def soundness(store: Store) -> dict[str, Any]:
    """Return what is stored, and what is wrong with it.

    Returns:
        `database`, `schema`, `expected_schema`, `store_id`, `rows` by table, `runs` by state,
        `audit_head`, `problems` as sentences, and `ok`.

    Raises:
        StoreError: the database cannot be read at all.
    """
    report: dict[str, Any] = {
        "database": store.database.label,
        "expected_schema": SCHEMA_REVISION,
        "store_id": None,
        "audit_head": None,
        "rows": {},
        "runs": {},
    }
    with store.database.reading() as connection, translated():
        if store.dialect == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        report["schema"] = revision_of(connection)
        problems = [*_wrong_schema(report["schema"])] or [*_damage(connection)]
        if not problems:
            known = select(facts.c.value).where(facts.c.name == "store_id")
            report["store_id"] = connection.execute(known).scalar_one_or_none()
            for table in metadata.sorted_tables:
                count = connection.execute(select(func.count()).select_from(table)).scalar_one()
                report["rows"][table.name] = count
            problems += _missing(connection)
            problems += _broken_promises(connection)
            problems += _ledger_that_does_not_fold(connection)
    if report["rows"]:
        verdict = store.audit.verify()
        report["audit_head"] = str(verdict.head)
        problems += [f"audit: {finding.sentence}" for finding in verdict.findings]
        report["runs"] = store.runs.counts()
    return {**report, "problems": problems, "ok": not problems}


def _wrong_schema(found: str | None) -> Iterator[str]:
    if found != SCHEMA_REVISION:
        yield (
            f"the schema is {found or 'missing'}, this version needs {SCHEMA_REVISION}: "
            "run `closingbell db upgrade`"
        )


def _damage(connection: Connection) -> Iterator[str]:
    """Read all that is stored, so that what cannot be read is found."""
    if connection.dialect.name == "sqlite":
        said = connection.exec_driver_sql(f"PRAGMA integrity_check({_MESSAGES})").scalars().all()
        yield from (f"integrity: {line}" for line in said if line != "ok")
        return
    for table in metadata.sorted_tables:
        # As text, so that values that are stored apart from their rows are read as well; the
        # server checks the sum of each page that it reads.
        query = f"SELECT sum(length(t::text)) FROM {table.name} AS t"  # our own name
        connection.exec_driver_sql(query)
    broken = connection.exec_driver_sql(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1"
    )
    yield from (f"integrity: index {name} is not valid" for name in broken.scalars())
    checker = "SELECT 1 FROM pg_extension WHERE extname = 'amcheck'"
    if connection.exec_driver_sql(checker).first() is not None:
        connection.exec_driver_sql(
            "SELECT bt_index_check(i.indexrelid, true) FROM pg_index AS i"
            " JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam"
            " JOIN pg_class AS t ON t.oid = i.indrelid"
            " WHERE a.amname = 'btree' AND i.indisvalid AND t.relnamespace = 'public'::regnamespace"
        )


def _missing(connection: Connection) -> Iterator[str]:
    """Return the indexes and triggers that the schema has and the database has not."""
    seen = inspect(connection)
    for table in metadata.sorted_tables:
        there = {index["name"] for index in seen.get_indexes(table.name)}
        wanted = {str(index.name) for index in table.indexes}
        yield from (f"index {name} is missing" for name in sorted(wanted - there))
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.dialect.name == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'"
    )
    guards = set(connection.execute(text(query)).scalars())
    for guard in GUARDS:
        if guard.name not in guards:
            yield f"trigger {guard.name} is missing: {guard.table} is not protected"


def _broken_promises(connection: Connection) -> Iterator[str]:
    """Return what is stored and must not be, beyond what the schema's own checks refuse."""
    known_worker = exists().where(workers.c.id == runs.c.worker_id)
    twice = (
        select(runs.c.schedule_id)
        .where(runs.c.cause == "schedule", runs.c.schedule_id.is_not(None))
        .group_by(runs.c.schedule_id, runs.c.fire_at)
        .having(func.count() > 1)
        .subquery()
    )
    fired_twice = (
        select(firings.c.schedule_id)
        .group_by(firings.c.schedule_id, firings.c.fire_at)
        .having(func.count() > 1)
        .subquery()
    )
    promises: dict[str, Select[Any]] = {
        "running runs are held by a worker that was never registered": select(func.count())
        .select_from(runs)
        .where(runs.c.state == "running", ~known_worker),
        "runs have a payload that is not JSON": select(func.count())
        .select_from(runs)
        .where(_not_json(connection)),
        "runs belong to a batch that is not there": select(func.count())
        .select_from(runs)
        .where(runs.c.batch_id.is_not(None), ~exists().where(batches.c.id == runs.c.batch_id)),
        "instants of schedules are stored more than once": select(func.count()).select_from(
            fired_twice
        ),
        "instants of schedules have more than one run": select(func.count()).select_from(twice),
        "attempts belong to no run": select(func.count())
        .select_from(attempts)
        .where(~exists().where(runs.c.id == attempts.c.run_id)),
        "pieces of captured output belong to no run": select(func.count())
        .select_from(run_logs)
        .where(~exists().where(runs.c.id == run_logs.c.run_id)),
        "attempts carry a fence that their run never had": select(func.count())
        .select_from(attempts.join(runs, runs.c.id == attempts.c.run_id))
        .where(attempts.c.fence > runs.c.fence),
        "accounts do not end where their journal ends": select(func.count())
        .select_from(accounts)
        .where(
            accounts.c.seq
            != select(func.coalesce(func.max(entries.c.seq), 0))
            .where(entries.c.account == accounts.c.name)
            .scalar_subquery()
        ),
        "entries belong to no account": select(func.count())
        .select_from(entries)
        .where(~exists().where(accounts.c.name == entries.c.account)),
        "fills belong to no order": select(func.count())
        .select_from(entries)
        .where(entries.c.kind == "fill", ~exists().where(orders.c.id == entries.c.order_id)),
        "orders belong to no account": select(func.count())
        .select_from(orders)
        .where(~exists().where(accounts.c.name == orders.c.account)),
        "orders have no history": select(func.count())
        .select_from(orders)
        .where(~exists().where(order_history.c.order_id == orders.c.id)),
        "pages belong to no backtest": select(func.count())
        .select_from(backtest_pages)
        .where(~exists().where(backtests.c.id == backtest_pages.c.backtest_id)),
    }
    for sentence, query in promises.items():
        number = int(connection.execute(query).scalar_one())
        if number:
            yield f"{number} {sentence}"


def _not_json(connection: Connection) -> Any:
    if connection.dialect.name == "sqlite":
        return func.json_valid(runs.c.payload) == 0
    if (connection.dialect.server_version_info or (0,)) < (16,):
        # Older servers can only try, and stop at the first.
        return literal_column("false")
    return literal_column("payload IS NOT JSON")


def _ledger_that_does_not_fold(connection: Connection) -> Iterator[str]:
    """Fold journals and histories again, and return where what is stored differs."""
    for name in connection.execute(select(accounts.c.name).order_by(accounts.c.name)).scalars():
        lines = select(*_LINE).where(entries.c.account == name).order_by(entries.c.seq)
        try:
            Book.of(read_entries(connection.execute(lines)))
        except ValueError as problem:
            yield f"the journal of account {name!r} does not fold: {problem}"
        yield from _orders_astray(connection, name)


def _orders_astray(connection: Connection, account: str) -> Iterator[str]:
    mine = select(orders).where(orders.c.account == account).order_by(orders.c.id)
    history = (
        select(*_STEP)
        .join_from(order_history, orders, orders.c.id == order_history.c.order_id)
        .where(orders.c.account == account)
        .order_by(order_history.c.order_id, order_history.c.seq)
    )
    leads: dict[str, OrderChange] = {}
    for row in connection.execute(history):
        step = read_step(row)
        before = leads.get(step.order_id)
        leads[step.order_id] = step if before is None else _later(before, step)
    astray: list[str] = []
    for row in connection.execute(mine):
        order = read_order(row)
        # That an order has no history is told elsewhere.
        led = leads.get(order.id)
        if led is not None and (order.state is not led.state or led.apply(order) != order):
            astray.append(order.id)
    yield from _named("orders stand elsewhere than their history leads", astray)


def _later(before: OrderChange, step: OrderChange) -> OrderChange:
    """Return two steps as one: what the later leaves open is the earlier's."""
    kept = {name: value for name, value in before._asdict().items() if getattr(step, name) is None}
    return step._replace(**kept)


def _named(sentence: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        more = "" if len(names) <= _NAMED else " and others"
        yield f"{len(names)} {sentence}: {', '.join(names[:_NAMED])}{more}"
