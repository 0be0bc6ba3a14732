"""`db ...`: the schema, whether the database is sound, and copies of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug

if TYPE_CHECKING:
    from closingbell.store.store import Store

db_commands = typer.Typer(help="Upgrade, check, copy or restore the database.")


@db_commands.command()
@guarded
def upgrade(
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Bring the schema to this version; an empty database gets it whole."""
    from closingbell.cli.actor import at_the_keyboard
    from closingbell.cli.output import Output
    from closingbell.store.schema import SCHEMA_REVISION

    out = Output(as_json)
    store = _store(database, app_target)
    try:
        with at_the_keyboard():
            found = store.prepare(upgrade=True)
    finally:
        store.close()
    if as_json:
        out.document({"database": store.database.label, "from": found, "to": SCHEMA_REVISION})
    elif found == SCHEMA_REVISION:
        out.note(f"{store.database.label} has schema {found} already")
    else:
        out.note(f"{store.database.label}: schema {found or 'none'} -> {SCHEMA_REVISION}")


@db_commands.command()
@guarded
def check(
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check schema, integrity and what must always hold; exit 1 if anything is wrong."""
    from closingbell.cli.access import app_of_settings, require_database
    from closingbell.cli.output import Output

    require_database(app_of_settings(database, app_target))
    out = Output(as_json)
    store = _store(database, app_target)
    try:
        report = _report(store)
    finally:
        store.close()
    if as_json:
        out.document(report)
    else:
        for name in ("database", "schema", "expected_schema", "store_id"):
            out.say(f"{name:<16} {report[name]}")
        for name, count in report["rows"].items():
            out.say(f"{name:<16} {count} rows")
        for state, count in report["runs"].items():
            out.say(f"runs {state:<11} {count}")
        for problem in report["problems"]:
            out.say(f"problem: {problem}")
        out.note("sound" if report["ok"] else f"{len(report['problems'])} problems")
    if not report["ok"]:
        raise CheckFailed


@db_commands.command()
@guarded
def backup(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="Where to. A name that ends in .sql gets SQL text, another one a SQLite file; "
            "PostgreSQL is always written as SQL text.",
        ),
    ],
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a copy that can be restored, while others go on writing.

    `db restore` restores it, and so does `psql -f` or `sqlite3 new.db <` with SQL text.
    """
    from closingbell.cli.access import app_of_settings, require_database
    from closingbell.cli.output import Output

    require_database(app_of_settings(database, app_target))
    out = Output(as_json)
    store = _store(database, app_target)
    try:
        written = store.maintenance.backup(path)
        _record(store, "database.backed_up", path=str(written["path"]), bytes=written["bytes"])
    finally:
        store.close()
    if as_json:
        out.document(dict(written))
    else:
        out.note(f"{written['path']}: {written['bytes']} bytes ({written['format']})")


@db_commands.command()
@guarded
def restore(
    path: Annotated[str, typer.Argument(metavar="PATH", help="What `db backup` wrote.")],
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="Where to: a SQLite file that does not exist, or an empty PostgreSQL database.",
        ),
    ],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Restore a copy as a new database, whole or not at all."""
    from closingbell.cli.output import Output
    from closingbell.core.clock import SystemClock
    from closingbell.store.database import open_database
    from closingbell.store.restore import restore as restore_copy
    from closingbell.store.store import open_store

    out = Output(as_json)
    restore_copy(path, address)
    label = open_database(address).label
    restored = open_store(address, SystemClock())
    try:
        _record(restored, "database.restored", path=path)
    finally:
        restored.close()
    if as_json:
        out.document({"path": path, "database": label})
    else:
        out.note(f"{path} -> {label}")


def _record(store: Store, action: str, **after: Any) -> None:
    """Record what somebody did with a database, in that database.

    A copy stays good when it cannot be recorded, as on a disk that is full: it changed nothing.
    """
    from closingbell.cli.actor import at_the_keyboard
    from closingbell.core.error import StoreError

    try:
        with at_the_keyboard():
            store.audit.append(action, "database", store.database.label, after=after)
    except StoreError as problem:
        typer.echo(f"the audit ledger could not record it: {problem}", err=True)


def _store(database: str | None, target: str | None) -> Store:
    from closingbell.cli.access import app_of_settings
    from closingbell.core.clock import SystemClock
    from closingbell.store.store import open_store

    return open_store(app_of_settings(database, target).settings.database, SystemClock())


def _report(store: Store) -> dict[str, Any]:
    from sqlalchemy import func, select

    from closingbell.store.migrate import revision_of
    from closingbell.store.schema import SCHEMA_REVISION, facts, metadata

    report: dict[str, Any] = {
        "database": store.database.label,
        "expected_schema": SCHEMA_REVISION,
        "store_id": None,
        "rows": {},
        "runs": {},
    }
    problems: list[str] = []
    with store.database.reading() as connection:
        report["schema"] = revision_of(connection)
        if report["schema"] != SCHEMA_REVISION:
            problems.append(
                f"the schema is {report['schema'] or 'missing'}, this version needs "
                f"{SCHEMA_REVISION}: run `closingbell db upgrade`"
            )
        if store.dialect == "sqlite":
            said = connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars().all()
            problems += [f"integrity: {line}" for line in said if line != "ok"]
        if not problems:
            known = select(facts.c.value).where(facts.c.name == "store_id")
            report["store_id"] = connection.execute(known).scalar_one_or_none()
            for table in metadata.sorted_tables:
                count = connection.execute(select(func.count()).select_from(table)).scalar_one()
                report["rows"][table.name] = count
            problems += _broken_promises(connection)
    if not problems:
        report["runs"] = store.runs.counts()
    return {**report, "problems": problems, "ok": not problems}


def _broken_promises(connection: Any) -> list[str]:
    """Return what is stored and must not be, beyond what the schema's own checks refuse."""
    from sqlalchemy import exists, func, select

    from closingbell.store.schema import attempts, run_logs, runs, workers
    from closingbell.store.trading_schema import (
        accounts,
        backtest_pages,
        backtests,
        entries,
        order_history,
        orders,
    )

    def count(query: Any) -> int:
        return int(connection.execute(query).scalar_one())

    known_worker = exists().where(workers.c.id == runs.c.worker_id)
    promises = {
        "running runs are held by a worker that was never registered": select(func.count())
        .select_from(runs)
        .where(runs.c.state == "running", ~known_worker),
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
    found = ((sentence, count(query)) for sentence, query in promises.items())
    return [f"{number} {sentence}" for sentence, number in found if number]
