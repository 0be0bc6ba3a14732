"""`submit` and `event`: work that comes from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, Assignments, DatabaseAddress, Debug
from closingbell.core.error import RunCancelled, SubmitError, TaskFailed

if TYPE_CHECKING:
    from closingbell.app import App
    from closingbell.cli.output import Output
    from closingbell.handle import RunHandle

SubmitWords = Annotated[
    list[str],
    typer.Argument(
        metavar="[TARGET] TASK [PAYLOAD...]",
        help="The app unless --app names it; the task; then JSON, key=value pairs, @file or -.",
        show_default=False,
    ),
]
EventWords = Annotated[
    list[str],
    typer.Argument(
        metavar="[TARGET] TYPE [DATA...]",
        help="The app unless --app names it; the event's type; then its data, as for submit.",
        show_default=False,
    ),
]


@guarded
def submit(
    words: SubmitWords,
    at: Annotated[
        str | None, typer.Option("--at", help="Not before this instant (ISO; naive = app's zone).")
    ] = None,
    delay: Annotated[
        str | None, typer.Option("--delay", help="Not before so long from now: 90, 5m, 1h30m.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", help="1 runs first, 9 last.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A label; repeatable.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="The same key again makes no second run.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end; write the result; exit 1 on failure.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="With --wait: at most so many seconds.")
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Store a run; its id is written on stdout once it is on the disk.

    A worker of the same app runs it: `closingbell serve` or `closingbell worker`.
    """
    from closingbell.cli.access import app_of_target
    from closingbell.cli.actor import at_the_keyboard
    from closingbell.cli.output import Output
    from closingbell.cli.payload import read_payload
    from closingbell.cli.target import split_target

    target, (task, *rest) = _split(split_target(words, app_target), "TASK")
    payload = read_payload(rest)
    app = app_of_target(target, database, assignments)
    out = Output(as_json, app.settings.timezone)
    try:
        # Opened first: what the tasks declare is not the act of who submits.
        app.machinery  # noqa: B018
        with at_the_keyboard():
            handle = app.submit(
                task,
                payload,
                at=at,
                delay=_delay(delay),
                priority=priority,
                tags=tag or (),
                key=key,
            )
        if wait:
            _await_end(app, handle, timeout, out)
        elif as_json:
            run = handle.run
            out.document({"id": run.id, "task": run.task, "state": run.state, "due_at": run.due_at})
        else:
            out.say(handle.id)
    finally:
        app.stop(0.0)


@guarded
def event(
    words: EventWords,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Store an event and the runs that it starts; their ids are written on stdout."""
    from closingbell.cli.access import app_of_target
    from closingbell.cli.output import Output
    from closingbell.cli.payload import read_payload
    from closingbell.cli.target import split_target

    target, (event_type, *rest) = _split(split_target(words, app_target), "TYPE")
    data = read_payload(rest)
    app = app_of_target(target, database, assignments)
    out = Output(as_json, app.settings.timezone)
    try:
        ids = app.trigger_event(event_type, data)
    finally:
        app.stop(0.0)
    if as_json:
        out.document({"type": event_type, "runs": ids})
    elif ids:
        for run_id in ids:
            out.say(run_id)
    else:
        out.note(f"stored; no task of this app is started by {event_type!r} with this data")


def _split(found: tuple[str, list[str]], what: str) -> tuple[str, list[str]]:
    target, words = found
    if not words:
        raise SubmitError(what, "", f"a {what} after the target {target!r}")
    return target, words


def _delay(given: str | None) -> float | str | None:
    if given is None:
        return None
    try:
        return float(given)
    except ValueError:
        return given


def _await_end(app: App, handle: RunHandle, timeout: float | None, out: Output) -> None:
    from closingbell.cli.shape import run_shape

    out.note(f"run {handle.id}: waiting for its end")
    failure: TaskFailed | RunCancelled | None = None
    try:
        result = handle.result(timeout)
    except (TaskFailed, RunCancelled) as ended:
        failure = ended
    if out.as_json:
        run = handle.run
        out.document(run_shape(run, app.store.masks.all(), whole=True))
        if failure is not None:
            raise CheckFailed
    elif failure is not None:
        raise failure
    else:
        from closingbell.cli.output import compact_json

        out.say(compact_json(result))
