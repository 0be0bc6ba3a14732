"""`watch`: what changes at a service, as it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AsJson, Debug, ServiceUrl, TokenFile
from closingbell.core.error import SubmitError

if TYPE_CHECKING:
    from closingbell.cli.output import Output
    from closingbell.client.change import Told
    from closingbell.wire.stream import Change

#: What a line says of a change, as far as its noun has it.
_SAID = ("task", "state", "type", "severity", "message", "action", "actor", "reason", "error_line")


@guarded
def watch(
    topics: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TOPIC...]",
            help="runs, approvals, alerts, schedules, event_triggers, events, workers, audit; "
            "default all.",
        ),
    ] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a line for whatever changes at a service, until Ctrl-C; it needs --url.

    A lost connection is made anew where it broke. With --json one document for each change.
    """
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.wire.stream import Topic

    if url is None:
        raise SubmitError("--url", None, "a service to watch, such as https://desk.example")
    known = [topic.value for topic in Topic]
    for topic in topics or ():
        if topic not in known:
            raise SubmitError("topic", topic, "one of " + ", ".join(known))
    with desk(find_place(url, token_file, None, None), as_json) as (client, out):
        for told in client.follow(topics or ()):
            _tell(told, out)


def _tell(told: Told, out: Output) -> None:
    from closingbell.client.change import Reset
    from closingbell.wire.stream import Changes, Ready, Summary

    what = told.what
    if isinstance(what, Changes):
        for change in what.changes:
            if out.as_json:
                out.line({"at": what.at, **change.model_dump(mode="json")})
            else:
                out.say_at_once(f"{out.cell(what.at)}  {_line(change, out)}")
    elif isinstance(what, Summary):
        counts = ", ".join(f"{count} {noun}" for noun, count in what.counts.items())
        out.note(f"too much changed to tell one by one: {counts}")
    elif isinstance(what, Reset):
        out.note("what changed meanwhile is not known: read the lists again")
    elif isinstance(what, Ready):
        out.note("watching")


def _line(change: Change, out: Output) -> str:
    noun = change.noun.value.removesuffix("s")
    if change.state is None:
        return f"{noun} {change.id}: gone"
    said = [out.cell(change.state[name]) for name in _SAID if change.state.get(name)]
    return f"{noun} {change.id}: {', '.join(said)}"
