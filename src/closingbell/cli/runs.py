"""`runs` and `run ...`: what ran, what runs, and what people do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile
from closingbell.core.error import SubmitError

if TYPE_CHECKING:
    from closingbell.cli.output import Output
    from closingbell.wire.run import LogPiece, RunInfo, RunSummaryInfo

run_commands = typer.Typer(help="Show, cancel, retry or release one run, or read its logs.")

RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's id, or its first letters.")]


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
    after: Annotated[
        str | None, typer.Option("--after", metavar="PLACE", help="Go on where a list ended.")
    ] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List runs, the newest first."""
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.cli.listing import gathered

    states = _states(state or [])
    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = gathered(
            lambda n, at: client.runs.page(filter_line, task=task, state=states, limit=n, after=at),
            limit,
            after,
        )
    if as_json:
        out.document({"runs": found.items, "next": found.next, "complete": found.complete})
        return
    rows = [
        (
            run.id,
            run.task,
            run.state,
            run.cause,
            f"{run.attempt}/{run.max_attempts}",
            run.fire_at or run.due_at,
            out.length(run.duration_s),
            run.reason or run.error_line or _wait(run),
        )
        for run in found.items
    ]
    columns = ("id", "task", "state", "cause", "attempt", "due", "took", "why")
    out.table(columns, rows, "no runs match")
    if found.next is not None:
        looked = "" if found.complete else "the look ended at its bound; "
        out.note(f"{looked}more: --after {found.next}")


@run_commands.command()
@guarded
def show(
    run_id: RunId,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show one run: every attempt, its result or error, and why it is where it is."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        run = client.runs.get(client.runs.find(run_id))
    if as_json:
        out.document(run)
    else:
        _tell_run(run, out)


def _wait(run: RunSummaryInfo) -> str:
    return "waits for approval" if run.hold and not run.state.is_final else ""


def _tell_run(run: RunInfo, out: Output) -> None:
    facts: list[tuple[str, Any]] = [
        ("run", run.id),
        ("task", run.task),
        ("state", run.state),
        ("why", run.explanation),
        ("cause", run.cause + (f" of {run.schedule_id}" if run.schedule_id else "")),
        ("asked by", run.requested_by),
        ("batch", run.batch_id),
        ("payload", run.payload),
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
        ("took", out.length(run.duration_s)),
        ("lateness", out.length(run.lateness_s)),
        ("worker", run.worker_id),
        ("result", run.result),
    ]
    for name, value in facts:
        if value is not None:
            out.say(f"{name:<10} {out.cell(value)}")
    if run.attempts:
        out.say("")
        rows = [
            (
                one.number,
                one.outcome,
                one.started_at,
                out.length(one.duration_s),
                one.fence,
                "" if one.error is None else f"{one.error.type}: {one.error.message}"[:120],
            )
            for one in run.attempts
        ]
        out.table(("attempt", "outcome", "started", "took", "fence", "error"), rows, "")
    if run.error is not None and run.error.traceback:
        out.say("")
        out.say(run.error.traceback.rstrip())


@run_commands.command()
@guarded
def cancel(
    run_id: RunId,
    reason: Annotated[str, typer.Option("--reason", help="Stored with the run.")] = (
        "cancelled from the command line"
    ),
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Cancel a run: at once while it waits; its worker is asked while it runs."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        run = client.runs.cancel(client.runs.find(run_id), reason)
    if as_json:
        out.document(run)
    elif run.state.is_final:
        out.note(f"run {run.id} is cancelled")
    else:
        out.note(f"run {run.id} is running: its worker was asked to end it")


@run_commands.command()
@guarded
def retry(
    run_id: RunId,
    reason: Annotated[str | None, typer.Option("--reason", help="For the audit ledger.")] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Let an ended run, or one that waits for its retry, run again now.

    With --app or --url the task's present retry policy counts; without, the run's own.
    """
    from closingbell.cli.desk_access import desk, find_place

    place = find_place(url, token_file, app_target, database)
    with desk(place, as_json, with_tasks=True) as (client, out):
        run = client.runs.retry(client.runs.find(run_id), reason)
    if as_json:
        out.document(run)
    elif run.hold is not None:
        out.note(f"run {run.id} waits for approval again")
    else:
        out.note(f"run {run.id} is {run.state} again")


@run_commands.command("run-now")
@guarded
def hasten(
    run_id: RunId,
    reason: Annotated[str | None, typer.Option("--reason", help="For the audit ledger.")] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Let a run that waits for its time begin now."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        run = client.runs.run_now(client.runs.find(run_id), reason)
    if as_json:
        out.document(run)
    else:
        out.note(f"run {run.id} may begin now")


@run_commands.command()
@guarded
def logs(
    run_id: RunId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends.")
    ] = False,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write what a run printed and logged; with --json one document for each piece."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = client.runs.find(run_id)
        pieces = client.runs.follow_logs(found) if follow else client.runs.logs(found)
        for piece in pieces:
            _tell_piece(piece, out)


def _tell_piece(piece: LogPiece, out: Output) -> None:
    import sys

    if out.as_json:
        out.line(piece)
    else:
        sys.stdout.write(piece.text)
        sys.stdout.flush()


def _states(given: list[str]) -> list[str]:
    from closingbell.core.run import RunState

    known = [str(state) for state in RunState]
    for state in given:
        if state not in known:
            raise SubmitError("state", state, "one of " + ", ".join(known))
    return given
