"""`submit` and `event`: work that comes from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import (
    AppTarget,
    AsJson,
    Assignments,
    DatabaseAddress,
    Debug,
    ServiceUrl,
    TokenFile,
)
from closingbell.core.error import RunCancelled, SubmitError, TaskFailed
from closingbell.core.run import RunState

if TYPE_CHECKING:
    from datetime import datetime

    from closingbell.cli.desk_access import Place
    from closingbell.cli.output import Output
    from closingbell.client import Client

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
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Store a run; its id is written on stdout once it is on the disk.

    A worker of the same app runs it: `closingbell serve` or `closingbell worker`.
    """
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.cli.payload import read_payload

    place, (task, *rest) = _split(words, "TASK", find_place(url, token_file, app_target, database))
    payload = read_payload(rest)
    wait_s = _delay(delay)
    with desk(place, as_json, with_tasks=True, makes=True, assignments=assignments) as (
        client,
        out,
    ):
        run = client.runs.submit(
            task,
            payload,
            at=_instant(at, out),
            delay_s=wait_s,
            priority=priority,
            tags=tag or (),
            key=key,
        )
        if wait:
            _await_end(client, run.id, timeout, out)
        elif as_json:
            out.document(run)
        else:
            out.say(run.id)


@guarded
def event(
    words: EventWords,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Store an event and the runs that it starts; their ids are written on stdout."""
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.cli.payload import read_payload

    place, (event_type, *rest) = _split(
        words, "TYPE", find_place(url, token_file, app_target, database)
    )
    data = read_payload(rest)
    with desk(place, as_json, with_tasks=True, makes=True, assignments=assignments) as (
        client,
        out,
    ):
        posted = client.events.post(event_type, data)
    if as_json:
        out.document(posted)
    elif posted.run_ids:
        for run_id in posted.run_ids:
            out.say(run_id)
    else:
        out.note(f"stored; no task of this app is started by {event_type!r} with this data")


def _split(words: list[str], what: str, place: Place) -> tuple[Place, list[str]]:
    from closingbell.cli.desk_access import split_words

    place, rest = split_words(words, place)
    if not rest:
        where = place.url or f"the target {place.target!r}"
        raise SubmitError(what, "", f"a {what} after {where}")
    return place, rest


def _instant(given: str | None, out: Output) -> datetime | None:
    from closingbell.cli.instant import read_instant

    return None if given is None else read_instant(given, "at", out.timezone)


def _delay(given: str | None) -> float | None:
    from closingbell.core.duration import parse_duration

    if given is None:
        return None
    try:
        length = parse_duration(float(given))
    except ValueError:
        length = parse_duration(given, kind="delay")
    return length.total_seconds()


def _await_end(client: Client, run_id: str, timeout: float | None, out: Output) -> None:
    from closingbell.cli.output import compact_json

    out.note(f"run {run_id}: waiting for its end")
    run = client.runs.wait(run_id, timeout_s=timeout)
    if out.as_json:
        out.document(run)
        if run.state is not RunState.SUCCESS:
            raise CheckFailed
    elif run.state is RunState.FAILED:
        raise TaskFailed(run.id, run.task, {} if run.error is None else run.error.model_dump())
    elif run.state is not RunState.SUCCESS:
        raise RunCancelled(run.id, run.state, run.reason)
    else:
        out.say(compact_json(run.result))
