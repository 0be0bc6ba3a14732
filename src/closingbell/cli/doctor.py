"""`doctor`: is everything fit to work, and if not, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, TargetArgument
from closingbell.cli.stored import read_schedules
from closingbell.core.error import ClosingbellError

if TYPE_CHECKING:
    from pathlib import Path

    from closingbell.app import App
    from closingbell.core.schedule import Schedule
    from closingbell.store.store import Store

#: A calendar that ends sooner is a warning.
CALENDAR_DAYS = 45
#: Clocks further apart: leases still hold (the database's clock decides), firings differ.
OFFSET_WARN_S, OFFSET_FAIL_S = 0.5, 5.0
#: Less free space on the database's disk is a warning, then a failure.
FREE_WARN_BYTES, FREE_FAIL_BYTES = 1_000_000_000, 50_000_000
_OK, _WARN, _FAIL = "ok", "warn", "fail"


class Finding(NamedTuple):
    """One line of the examination; `advice` says what to do unless all is well."""

    check: str
    level: str
    found: str
    advice: str | None = None


@guarded
def doctor(
    target: TargetArgument = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Examine settings, store, clocks, schedules, calendars, handlers and workers.

    Exits with 1 if any line is a failure. With a target its tasks are examined, too.
    """
    from closingbell.cli.output import Output

    out = Output(as_json)
    findings = list(_examine(target or app_target, database))
    if as_json:
        out.document(
            {
                "ok": all(finding.level != _FAIL for finding in findings),
                "checks": [finding._asdict() for finding in findings],
            }
        )
    else:
        rows = [(f.level, f.check, f.found, f.advice or "") for f in findings]
        out.table(("", "check", "found", "what to do"), rows, "")
    if any(finding.level == _FAIL for finding in findings):
        raise CheckFailed


def _examine(target: str | None, database: str | None) -> Iterator[Finding]:
    from closingbell.cli.access import app_of_settings, app_of_target
    from closingbell.settings import SETTINGS_FILE

    try:
        app = app_of_settings(database) if target is None else app_of_target(target, database)
    except ClosingbellError as problem:
        where = "settings" if target is None else "target"
        yield Finding(where, _FAIL, str(problem), "correct it; nothing else can be examined")
        return
    if target is not None:
        yield Finding("target", _OK, f"{target} has {len(app.registry)} tasks")
    from pathlib import Path

    source = f"{SETTINGS_FILE} is read" if Path(SETTINGS_FILE).is_file() else "no settings file"
    yield Finding("settings", _OK, f"{source}; times without a zone are {app.settings.timezone}")
    for check in (_handlers, _cron):
        yield from check(app)
    yield from _store(app)


def _store(app: App) -> Iterator[Finding]:
    """Examine the store as it is: nothing is created, upgraded or declared."""
    from closingbell.cli.access import sqlite_path
    from closingbell.store.store import open_store

    path = sqlite_path(app.settings.database)
    if path is not None and not path.is_file():
        yield Finding(
            "store", _WARN, f"there is no database {path} yet", "it is made by `closingbell serve`"
        )
        yield from _calendars(app, [])
        return
    store = open_store(app.settings.database, app.clock)
    try:
        yield from _opened(app, store)
    except ClosingbellError as problem:
        yield Finding("store", _FAIL, str(problem), "start the server, or correct the address")
    finally:
        store.close()


def _opened(app: App, store: Store) -> Iterator[Finding]:
    from closingbell.cli.access import sqlite_path
    from closingbell.store.migrate import revision_of
    from closingbell.store.schema import SCHEMA_REVISION

    with store.database.reading() as connection:
        revision = revision_of(connection)
    yield Finding("store", _OK, f"{store.database.label} answers")
    path = sqlite_path(app.settings.database)
    if path is not None:
        yield from _disk(path)
    if revision != SCHEMA_REVISION:
        yield Finding(
            "schema",
            _FAIL,
            f"the schema is {revision or 'missing'}, this version needs {SCHEMA_REVISION}",
            "closingbell db upgrade (or install the newer closingbell)",
        )
        return
    yield Finding("schema", _OK, f"revision {revision}")
    yield from _clocks(app, store)
    yield from _workers(store)
    yield from _alerts(store)
    schedules, unreadable = read_schedules(store)
    yield from _schedules(app, store, schedules, unreadable)
    yield from _calendars(app, schedules)


def _disk(path: Path) -> Iterator[Finding]:
    import shutil

    free = shutil.disk_usage(path.parent).free
    level = _FAIL if free < FREE_FAIL_BYTES else _WARN if free < FREE_WARN_BYTES else _OK
    advice = None if level == _OK else "free some space"
    yield Finding("disk", level, f"{free / 1e9:.1f} GB free beside the database", advice)


def _clocks(app: App, store: Store) -> Iterator[Finding]:
    before = app.clock.machine_micros()
    theirs = store.queue.machine_micros()
    after = app.clock.machine_micros()
    offset_s = (theirs - (before + after) / 2) / 1_000_000
    level = _OK
    if abs(offset_s) > OFFSET_FAIL_S:
        level = _FAIL
    elif abs(offset_s) > OFFSET_WARN_S:
        level = _WARN
    yield Finding(
        "clock",
        level,
        f"the database's clock is {offset_s * 1000:+.0f} ms from this machine's",
        None if level == _OK else "let NTP or chrony set both machines' clocks",
    )


def _workers(store: Store) -> Iterator[Finding]:
    now = store.queue.machine_micros()
    workers = store.workers.list_all()
    alive = [w for w in workers if w["state"] == "alive" and w["lease_until"] >= now]
    silent = [w["id"] for w in workers if w["state"] == "alive" and w["lease_until"] < now]
    waiting = sum(one.runs for one in store.load.active() if one.state == "pending")
    if alive:
        names = ", ".join(f"{w['host']}:{w['pid']}" for w in alive)
        yield Finding("workers", _OK, f"{len(alive)} alive: {names}")
    elif waiting:
        yield Finding(
            "workers", _FAIL, f"none is alive, and {waiting} runs wait", "closingbell serve TARGET"
        )
    else:
        yield Finding("workers", _WARN, "none is alive", "closingbell serve TARGET")
    dead = {str(w["id"]) for w in workers if w["state"] == "dead"} | set(silent)
    held = store.workers.held(dead) if dead else []
    if held:
        yield Finding(
            "leases",
            _WARN,
            f"{len(held)} runs are held by {len(dead)} dead workers",
            "any living worker takes them over within seconds: start one",
        )


def _schedules(
    app: App,
    store: Store,
    schedules: list[Schedule],
    unreadable: list[tuple[str, ClosingbellError]],
) -> Iterator[Finding]:
    for schedule_id, problem in unreadable:
        yield Finding(
            "schedules", _FAIL, f"{schedule_id}: {problem}", "closingbell schedule remove ID"
        )
    known = {task.name for task in app.registry}
    for worker in store.workers.list_all():
        if worker["state"] == "alive":
            known |= set(worker["about"].get("tasks", ()))
    unknown = [s for s in schedules if known and s.task not in known]
    for schedule in unknown:
        yield Finding(
            "schedules",
            _WARN,
            f"{schedule.id} is for task {schedule.task!r}, which nobody here knows",
            "register the task again, or closingbell schedule remove ID",
        )
    paused = [s.id for s in schedules if s.paused_at is not None and s.paused_until is None]
    if paused:
        yield Finding(
            "schedules",
            _WARN,
            f"paused without an end: {', '.join(paused)}",
            "closingbell schedule resume ID",
        )
    if not unreadable and not unknown:
        sure = "" if known else " (name a target to examine their tasks)"
        yield Finding("schedules", _OK, f"{len(schedules)} stored{sure}")


def _alerts(store: Store) -> Iterator[Finding]:
    open_alerts = store.alerts.open()
    if open_alerts:
        last = open_alerts[-1]["message"]
        yield Finding(
            "alerts", _WARN, f"{len(open_alerts)} open, the last: {last}", "closingbell alerts"
        )
    else:
        yield Finding("alerts", _OK, "none is open")


def _calendars(app: App, stored: list[Schedule]) -> Iterator[Finding]:
    from closingbell.triggers import Session, calendar_version, ending_calendars

    triggers = [schedule.trigger for schedule in (*app.declared_schedules.values(), *stored)]
    sessions = [trigger for trigger in triggers if isinstance(trigger, Session)]
    venues = sorted({venue for session in sessions for venue in session.venues})
    if not venues:
        yield Finding("calendars", _OK, f"{calendar_version()}; no schedule uses a venue")
        return
    ending = ending_calendars(app.clock.now(), CALENDAR_DAYS, tuple(venues))
    for one in ending:
        yield Finding(
            "calendars",
            _FAIL if one.days_left < 0 else _WARN,
            f"{one.venue} is known until {one.known_until}, {one.days_left} days from now",
            "install a newer closingbell, or extend it in the overrides file (setting calendars)",
        )
    if not ending:
        yield Finding(
            "calendars", _OK, f"{calendar_version()}; known far ahead: {', '.join(venues)}"
        )


def _handlers(app: App) -> Iterator[Finding]:
    paths = sorted({task.import_path or "" for task in app.registry if task.executor == "process"})
    if not paths:
        return
    problems = _import_elsewhere(paths)
    for path, problem in problems.items():
        yield Finding("handlers", _FAIL, f"{path}: {problem}", "a child process must import it")
    if not problems:
        yield Finding("handlers", _OK, f"another process can import {len(paths)} process handlers")


# Children find modules where their parent does, and never run a script's main part.
_IMPORT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from closingbell.app import App
from closingbell.executor.import_path import load
App.importing = True
problems = {}
for path in json.loads(sys.argv[2]):
    try:
        load(path)
    except Exception as problem:
        problems[path] = str(problem)
sys.stderr.write(json.dumps(problems))
"""
_IMPORT_S = 60


def _import_elsewhere(paths: list[str]) -> dict[str, str]:
    """Return what another process could not import, with its error."""
    import json
    import subprocess
    import sys

    asked = [sys.executable, "-c", _IMPORT, json.dumps(sys.path), json.dumps(paths)]
    try:
        # Our own interpreter, and the paths of handlers that this process has imported.
        said = subprocess.run(  # noqa: S603
            asked, capture_output=True, text=True, timeout=_IMPORT_S, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError) as problem:
        return dict.fromkeys(paths, str(problem))
    problems: dict[str, str] = json.loads(said.splitlines()[-1])
    return problems


def _cron(app: App) -> Iterator[Finding]:
    for schedule in app.declared_schedules.values():
        for warning in getattr(schedule.trigger, "warnings", ()):
            yield Finding("cron", _WARN, f"{schedule.id}: {warning}", "write two schedules instead")
