"""`db ...`: the schema, whether the database is sound, copies of it, and what is archived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.cli.output import Output
    from closingbell.store.archive import Cut
    from closingbell.store.store import Store

db_commands = typer.Typer(help="Upgrade, verify, copy, restore or archive the database.")


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
def verify(
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="BACKUP",
            help="What `db backup` wrote: it is restored aside and checked; default the database.",
        ),
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Read everything and check what must always hold; exit 1 if anything is wrong.

    Schema, integrity, the audit chain, journals that fold to what is stored, firings that are
    unique, runs that have what they need. A copy of SQLite is checked in a temporary file; one of
    PostgreSQL in a temporary database on the server of `--database`, which needs the right to
    make one. It may run while others write.
    """
    from closingbell.cli.access import app_of_settings, require_database
    from closingbell.cli.output import Output
    from closingbell.store.soundness import soundness

    out = Output(as_json)
    if path is not None:
        from closingbell.store.rehearsal import restored_aside

        with restored_aside(path, app_of_settings(database, app_target).settings.database) as store:
            report = soundness(store)
        report["database"] = path
    else:
        require_database(app_of_settings(database, app_target))
        store = _store(database, app_target)
        try:
            report = soundness(store)
        finally:
            store.close()
    _tell(out, report)
    if not report["ok"]:
        raise CheckFailed


def _tell(out: Output, report: dict[str, Any]) -> None:
    if out.as_json:
        out.document(report)
        return
    for name in ("database", "schema", "expected_schema", "store_id", "audit_head"):
        out.say(f"{name:<22} {report[name]}")
    for name, count in report["rows"].items():
        out.say(f"{name:<22} {count} rows")
    for state, count in report["runs"].items():
        out.say(f"runs {state:<17} {count}")
    for problem in report["problems"]:
        out.say(f"problem: {problem}")
    out.note("sound" if report["ok"] else f"{len(report['problems'])} problems")


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


@db_commands.command()
@guarded
def archive(
    before: Annotated[
        str | None,
        typer.Option(
            "--before",
            metavar="DATE",
            help="Archive what ended before this day of UTC; default as the retention settings say.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many rows there are, and do nothing.")
    ] = False,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Put what is old into Parquet files, then prune it. A service does it by itself.

    The setting `archive` says where. Without --app the tasks' own retention is not known, and
    the setting counts for all.
    """
    from closingbell.cli.access import app_of_settings, require_database
    from closingbell.cli.output import Output
    from closingbell.core.error import SettingError

    app = app_of_settings(database, app_target)
    require_database(app)
    root = app.settings.archive
    if root is None:
        raise SettingError("archive", None, "a folder or an address: nowhere is set to archive to")
    cut = _cut(app, app_target, before)
    out = Output(as_json)
    store = _store(database, app_target)
    try:
        if dry_run:
            counts = store.archive.due(cut)
        else:
            counts = store.archive.archive(root, cut)
            if any(counts.values()):
                _record(store, "database.archived", archive=root, rows=counts)
    finally:
        store.close()
    if as_json:
        out.document({"archive": root, "dry_run": dry_run, "rows": counts})
        return
    for name, count in counts.items():
        out.say(f"{name:<14} {count} rows")
    out.note(f"{'would go' if dry_run else 'went'} to {root}")


@db_commands.command()
@guarded
def archived(
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the files of the archive, as this database knows them."""
    from closingbell.cli.access import app_of_settings, require_database
    from closingbell.cli.output import Output
    from closingbell.core.clock import from_micros

    app = app_of_settings(database, app_target)
    require_database(app)
    out = Output(as_json, app.settings.timezone)
    store = _store(database, app_target)
    try:
        files = store.archive.files()
    finally:
        store.close()
    for row in files:
        for name in ("first_at", "last_at", "begun_at"):
            row[name] = None if row[name] is None else from_micros(row[name])
    if as_json:
        out.document({"archive": app.settings.archive, "files": files})
        return
    columns = ("kind", "month", "state", "rows", "bytes", "first_at", "last_at", "file")
    out.table(columns, [[row[name] for name in columns] for row in files], "nothing is archived")


def _cut(app: App, app_target: str | None, before: str | None) -> Cut:
    from datetime import UTC, date, datetime, time, timedelta

    from closingbell.core.clock import to_micros
    from closingbell.core.error import SettingError
    from closingbell.store.archive import Cut

    now = app.clock.micros()
    if before is not None:
        try:
            day = date.fromisoformat(before)
        except ValueError as problem:
            raise SettingError("--before", before, "a day such as 2026-10-01") from problem
        at = to_micros(datetime.combine(day, time(), UTC))
        if at > now:
            raise SettingError("--before", before, "a day that is not to come")
        return Cut({}, at, at)
    own: dict[str, int] = {}
    if app_target is not None:
        from closingbell.cli.target import load_app

        own = {
            task.name: now - task.retention // timedelta(microseconds=1)
            for task in load_app(app_target).registry
            if task.retention is not None
        }
    settings = app.settings
    return Cut(
        own,
        now - round(settings.retention_s * 1_000_000),
        now - round(settings.firing_retention_s * 1_000_000),
    )
