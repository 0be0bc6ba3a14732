"""`runs` and `run ...`: what ran, what runs, and what people do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug
from closingbell.core.error import SubmitError, UnknownTask

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.cli.output import Output
    from closingbell.core.run import Run
    from closingbell.core.run_filter import RunFilter

run_commands = typer.Typer(help="Show, cancel, retry or release one run, or read its logs.")

RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's id, or its first letters.")]

#: How often a followed run is looked at, in seconds.
_LOOK_S = 0.2


@guarded
def runs(
    task: Annotated[str | None, typer.Option("--task", help="Only this task's.")] = None,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only in this state; repeatable.")
    ] = None,
    filter_line: Annotated[
        str | None,
        typer.Option(
            "--filter",
            "-f",
            metavar="FILTER",
            help="Only what it means, such as 'task:scan state:failed \"out of memory\"'.",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")
    ] = 20,
    before: Annotated[
        str | None, typer.Option("--before", metavar="ID", help="The page after this run.")
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List runs, the newest first."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output
    from closingbell.cli.shape import error_line, run_shape

    states = _states(state or [])
    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    wanted = _filter(filter_line, task, states, app.settings.timezone)
    with opened(app):
        found = app.store.run_pages.ids(wanted, before, limit)
        page = app.store.runs.many(found.ids)
        masked = app.store.masks.all()
    if as_json:
        out.document(
            {
                "runs": [run_shape(run, masked) for run in page],
                "next_before": found.next,
                "complete": found.complete,
            }
        )
        return
    rows = [
        (
            run.id,
            run.task,
            run.state,
            run.cause,
            f"{run.attempt}/{run.max_attempts}",
            run.fire_at or run.due_at,
            run.duration,
            run.reason or error_line(run.error) or _wait(run),
        )
        for run in page
    ]
    columns = ("id", "task", "state", "cause", "attempt", "due", "took", "why")
    out.table(columns, rows, "no runs match")
    if found.next is not None:
        looked = "" if found.complete else "the look ended at its bound; "
        out.note(f"{looked}more: --before {found.next}")


@run_commands.command()
@guarded
def show(
    run_id: RunId,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show one run: every attempt, its result or error, and why it is where it is."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output
    from closingbell.cli.shape import run_shape

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        run = app.get_run(resolve_run(app, run_id))
        why = app.handle(run.id).explain()
        masked = app.store.masks.all()
    shape = run_shape(run, masked, whole=True)
    if as_json:
        out.document({**shape, "explanation": why})
    else:
        _tell_run(run, shape["payload"], why, out)


def _wait(run: Run) -> str:
    return "waits for approval" if run.hold and not run.state.is_final else ""


def _tell_run(run: Run, payload: Any, why: str, out: Output) -> None:
    facts: list[tuple[str, Any]] = [
        ("run", run.id),
        ("task", run.task),
        ("state", run.state),
        ("why", why),
        ("cause", run.cause + (f" of {run.schedule_id}" if run.schedule_id else "")),
        ("asked by", run.requested_by),
        ("batch", run.batch_id),
        ("payload", payload),
        ("tags", run.tags or None),
        ("key", run.key),
        ("priority", run.priority),
        ("executor", run.executor),
        ("fired for", run.fire_at),
        ("session", run.session_date),
        ("submitted", run.submitted_at),
        ("due", run.due_at),
        ("started", run.started_at),
        ("finished", run.finished_at),
        ("took", run.duration),
        ("lateness", run.lateness),
        ("worker", run.worker_id),
        ("result", run.result),
    ]
    for name, value in facts:
        if value is not None:
            out.say(f"{name:<10} {out.cell(value)}")
    if run.attempts:
        out.say("")
        out.table(
            ("attempt", "outcome", "started", "took", "fence", "error"),
            [
                (a.number, a.outcome, a.started_at, a.duration, a.fence, _short(a.error))
                for a in run.attempts
            ],
            "",
        )
    if run.error is not None and run.error.get("traceback"):
        out.say("")
        out.say(str(run.error["traceback"]).rstrip())


def _short(error: dict[str, Any] | None) -> str:
    from closingbell.cli.shape import error_line

    return (error_line(error) or "")[:120]


@run_commands.command()
@guarded
def cancel(
    run_id: RunId,
    reason: Annotated[str, typer.Option("--reason", help="Stored with the run.")] = (
        "cancelled from the command line"
    ),
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Cancel a run: at once while it waits; its worker is asked while it runs."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        found = resolve_run(app, run_id)
        state = app.cancel(found, reason)
    if as_json:
        out.document({"id": found, "state": state})
    elif state == "running":
        out.note(f"run {found} is running: its worker was asked to end it")
    else:
        out.note(f"run {found} is cancelled")


@run_commands.command()
@guarded
def retry(
    run_id: RunId,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Let an ended run, or one that waits for its retry, run again now.

    With --app the task's present retry policy counts; without, the run's own.
    """
    from closingbell.cli.access import app_of_settings, app_of_target, opened
    from closingbell.cli.output import Output

    app = app_of_settings(database) if app_target is None else app_of_target(app_target, database)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        found = resolve_run(app, run_id)
        run = app.get_run(found)
        if app_target is not None and run.task not in app.registry:
            raise UnknownTask(run.task, app.registry.list_tasks())
        if run.task in app.registry:
            app.retry(found)
        else:
            store = app.store
            policy = store.policies.all().get(run.task)
            given = run.max_attempts if policy is None else policy.retries + 1
            store.runs.retry(found, given, app.clock.micros())
            store.queue.exchange()
        run = app.get_run(found)
    if as_json:
        out.document({"id": found, "state": run.state, "hold": run.hold})
    elif run.hold is not None:
        out.note(f"run {found} waits for approval again")
    else:
        out.note(f"run {found} is {run.state} again")


@run_commands.command()
@guarded
def logs(
    run_id: RunId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends.")
    ] = False,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write what a run printed and logged; with --json one document for each piece."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output
    from closingbell.core.clock import SystemClock

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    clock = SystemClock()
    with opened(app):
        found = resolve_run(app, run_id)
        after = (0, -1)
        while True:
            # Asked first, so that what was written before the end is read after it.
            ended = app.get_run(found).state.is_final
            for row in app.store.runs.logs(found, after):
                after = (row["fence"], row["seq"])
                _tell_piece(row, out)
            if ended or not follow:
                return
            clock.sleep(_LOOK_S)


def _tell_piece(row: dict[str, Any], out: Output) -> None:
    import sys

    if out.as_json:
        out.line(
            {
                "run_id": row["run_id"],
                "fence": row["fence"],
                "stream": row["stream"],
                "text": row["text"],
                "written_at": row["written_at"],
            }
        )
    else:
        sys.stdout.write(str(row["text"]))
        sys.stdout.flush()


def _filter(line: str | None, task: str | None, states: list[str], timezone: str) -> RunFilter:
    """Return what the options together mean.

    Raises:
        FilterError: the line cannot be read, or says what an option says too.
    """
    from zoneinfo import ZoneInfo

    from closingbell.core.error import FilterError
    from closingbell.core.run import RunState
    from closingbell.core.run_filter import RunFilter
    from closingbell.core.run_filter_text import read_filter

    options = RunFilter(task=task, states=tuple(map(RunState, states))).said
    in_line = read_filter(line or "", ZoneInfo(timezone)).said
    for name in sorted(options.keys() & in_line.keys()):
        raise FilterError(name, "it once: in --filter, or as an option of its own")
    return RunFilter(**options, **in_line)


def _states(given: list[str]) -> list[str]:
    from closingbell.core.run import RunState

    known = [str(state) for state in RunState]
    for state in given:
        if state not in known:
            raise SubmitError("state", state, "one of " + ", ".join(known))
    return given


def resolve_run(app: App, given: str) -> str:
    """Return the whole id of a run that a person named by its first letters.

    Raises:
        SubmitError: several runs begin so.
    """
    from sqlalchemy import select

    from closingbell.store.schema import runs as table

    # The two that follow in the order of the primary key are enough to know.
    query = select(table.c.id).where(table.c.id >= given).order_by(table.c.id).limit(2)
    with app.store.database.reading() as connection:
        following = connection.execute(query).scalars()
        found = [str(run_id) for run_id in following if run_id.startswith(given)]
    if given in found or not found:
        return given
    if len(found) > 1:
        raise SubmitError("run id", given, f"more letters: {found[0]} and others begin so")
    return found[0]
