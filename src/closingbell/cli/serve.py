"""`serve` and `worker`: an app at work until it is told to stop."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import (
    AppTarget,
    AsJson,
    Assignments,
    DatabaseAddress,
    Debug,
    TargetArgument,
)

if TYPE_CHECKING:
    from closingbell.api.security.entrance import Entrance
    from closingbell.api.server import ApiServer
    from closingbell.app import App
    from closingbell.cli.output import Output

#: How many of the next firings are told at the start.
_TOLD = 8
#: How often a bursting worker asks whether it is done, in machine seconds.
_BURST_LOOK_S = 0.1


@guarded
def serve(
    target: TargetArgument = None,
    host: Annotated[
        str | None,
        typer.Option("--host", help="Where the API listens; default the setting, 127.0.0.1."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", help="Of the API; 0 = any free one; default the setting, 8470."),
    ] = None,
    api_only: Annotated[
        bool,
        typer.Option("--api-only", help="Only the API: fire no schedules and run no tasks."),
    ] = False,
    no_api: Annotated[
        bool, typer.Option("--no-api", help="Only scheduler and worker: listen nowhere.")
    ] = False,
    token_file: Annotated[
        str | None,
        typer.Option("--token-file", metavar="FILE", help="A file that holds an admin's token."),
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Serve the API, fire schedules and run tasks, until Ctrl-C or SIGTERM; then drain and stop.

    A first Ctrl-C lets what runs finish within the setting grace_s; a second one ends at once.
    """
    from closingbell.core.error import SettingError

    if api_only and no_api:
        raise SettingError("--no-api", True, "not together with --api-only: nothing would be left")
    given = [
        f"{name}={value}"
        for name, value in (("host", host), ("port", port), ("token_file", token_file))
        if value is not None
    ]
    part = _Part(api=not no_api, scheduler=not api_only, worker=not api_only)
    _work(target, app_target, database, [*(assignments or []), *given], as_json, part)


@guarded
def worker(
    target: TargetArgument = None,
    burst: Annotated[
        bool, typer.Option("--burst", help="Run what is due now, then stop by itself.")
    ] = False,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run tasks, without firing schedules: add as many as the work needs, on any machine.

    Retries and delayed runs of its tasks become due by themselves; schedules need a `serve`.
    """
    if burst:
        _burst(target, app_target, database, assignments, as_json)
    else:
        part = _Part(api=False, scheduler=False, worker=True)
        _work(target, app_target, database, assignments, as_json, part)


class _Part(NamedTuple):
    """What this process does of an app's work."""

    api: bool
    scheduler: bool
    worker: bool

    def __str__(self) -> str:
        names = [name if name != "api" else "API" for name in self._fields if getattr(self, name)]
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _prepare(
    target: str | None,
    app_target: str | None,
    database: str | None,
    assignments: list[str] | None,
    as_json: bool,
) -> tuple[App, Output]:
    from closingbell.cli.access import app_of_target
    from closingbell.cli.log import log_of
    from closingbell.cli.target import require_target

    app = app_of_target(require_target(target, app_target), database, assignments)
    return app, log_of(app, as_json)


def _work(
    target: str | None,
    app_target: str | None,
    database: str | None,
    assignments: list[str] | None,
    as_json: bool,
    part: _Part,
) -> None:
    app, out = _prepare(target, app_target, database, assignments, as_json)
    server: ApiServer | None = None
    with out.tasks_aside():
        try:
            if part.api:
                from closingbell.api.server import ApiServer

                # First of all: where the address is taken, nothing is begun.
                server = ApiServer(app, app.settings.host, app.settings.port)
            app.start(block=False, worker=part.worker, scheduler=part.scheduler)
            # Before the greeting: whoever reads it may ask to stop at once.
            with app.heeding_signals():
                way_in = None
                if server is not None:
                    from closingbell.api.security.entrance import entrance

                    way_in = entrance(app, server.url, terminal=sys.stderr.isatty())
                    server.start()
                _greet(app, out, part, server, way_in)
                app.await_stop()
        finally:
            if server is not None:
                server.stop(app.settings.grace_s)
            app.stop()
    out.note("stopped: nothing is lost, what did not finish was given back")


def _greet(
    app: App, out: Output, part: _Part, server: ApiServer | None, way_in: Entrance | None
) -> None:
    from closingbell import __version__

    firings = _next_firings(app) if part.scheduler else []
    if out.as_json:
        out.line(
            {
                "event": "ready",
                "version": __version__,
                "database": app.store.database.label,
                "url": None if server is None else server.url,
                "token_file": way_in and way_in.token_file,
                "sign_in_url": way_in and way_in.sign_in_url,
                "scheduler": part.scheduler,
                "worker": part.worker,
                "tasks": sorted(task.name for task in app.registry),
                "next_firings": [{"task": name, "fire_at": at} for at, name in firings],
            }
        )
        return
    out.note(f"closingbell {__version__}: {part} on {app.store.database.label}")
    if server is not None:
        out.note(f"the API is at {server.url}")
    if way_in is not None and way_in.token_file is not None:
        out.note(f"an admin token was made: it is in {way_in.token_file}")
    if way_in is not None and way_in.sign_in_url is not None:
        out.note(f"sign in once, within 15 minutes: {way_in.sign_in_url}")
    out.note(f"tasks: {', '.join(sorted(task.name for task in app.registry)) or 'none'}")
    if part.scheduler:
        for at, name in firings:
            out.note(f"  {out.cell(at)}  {name}")
        if not firings:
            out.note("no schedule has a next firing: tasks run when they are submitted")
    out.note("Ctrl-C drains and stops")


def _next_firings(app: App) -> list[tuple[datetime, str]]:
    from closingbell.core.clock import from_micros

    rows: Iterable[dict[str, Any]] = app.store.schedules.list_all()
    waiting = [
        (from_micros(row["next_fire_at"]), str(row["task"]))
        for row in rows
        if row["next_fire_at"] is not None and row["paused_at"] is None
    ]
    return sorted(waiting)[:_TOLD]


def _burst(
    target: str | None,
    app_target: str | None,
    database: str | None,
    assignments: list[str] | None,
    as_json: bool,
) -> None:
    app, out = _prepare(target, app_target, database, assignments, as_json)
    clock = app.clock
    began = clock.monotonic()
    with out.tasks_aside():
        try:
            before, after = _drain(app, out)
        finally:
            app.stop()
    took_s = clock.monotonic() - began
    ended_by_state = {
        state: after[state] - before[state] for state in _FINAL if after[state] != before[state]
    }
    if out.as_json:
        out.document({"ended": ended_by_state, "took_s": round(took_s, 3)})
    else:
        told = ", ".join(f"{count} {state}" for state, count in ended_by_state.items())
        out.note(f"drained in {took_s:.1f} s: {told or 'nothing was due'}")


def _drain(app: App, out: Output) -> tuple[dict[str, int], dict[str, int]]:
    """Work until nothing is due; return the counts before and after."""
    clock = app.clock
    app.store.queue.promote(clock.micros())
    before = _counts(app)
    app.start(block=False, scheduler=False)
    with out.progress() as progress:
        bar = progress.add_task("draining", total=before["pending"] or None)
        idle_looks = 0
        while idle_looks < 2:
            clock.sleep(_BURST_LOOK_S * clock.speed)
            now = _counts(app)
            ended = _ended(now) - _ended(before)
            progress.update(bar, completed=ended, total=ended + now["pending"])
            idle = not app.machinery.running_here() and not now["pending"]
            idle_looks = idle_looks + 1 if idle else 0
    return before, _counts(app)


_FINAL = ("success", "failed", "cancelled", "skipped")


def _counts(app: App) -> dict[str, int]:
    """Count the runs of this app's tasks by state, those that are due later left out."""
    from sqlalchemy import func, select

    from closingbell.store.schema import runs

    names = [task.name for task in app.registry]
    query = (
        select(runs.c.state, func.count())
        .where(runs.c.task.in_(names), runs.c.state != "scheduled")
        .group_by(runs.c.state)
    )
    with app.store.database.reading() as connection:
        found = {row[0]: int(row[1]) for row in connection.execute(query)}
    return {state: found.get(state, 0) for state in ("pending", "running", *_FINAL)}


def _ended(counts: dict[str, int]) -> int:
    return sum(counts[state] for state in _FINAL)
