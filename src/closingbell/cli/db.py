"""`db ...`: the schema, and whether the database is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug

if TYPE_CHECKING:
    from closingbell.store.store import Store

db_commands = typer.Typer(help="Upgrade or check the database.")


@db_commands.command()
@guarded
def upgrade(
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Bring the schema to this version; an empty database gets it whole."""
    from closingbell.cli.output import Output
    from closingbell.store.schema import SCHEMA_REVISION

    out = Output(as_json)
    store = _store(database, app_target)
    try:
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
    }
    found = ((sentence, count(query)) for sentence, query in promises.items())
    return [f"{number} {sentence}" for sentence, number in found if number]
