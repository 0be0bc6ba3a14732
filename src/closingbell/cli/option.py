"""Options that several commands share, with the same words everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


class FromEnvironment(str):
    """An option's value that nobody typed: what was typed leads over it."""

    __slots__ = ()


def _marked(ctx: typer.Context, param: typer.CallbackParam, value: str | None) -> str | None:
    source = ctx.get_parameter_source(str(param.name))
    if value is not None and source is not None and source.name == "ENVIRONMENT":
        return FromEnvironment(value)
    return value


AppTarget = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="TARGET",
        envvar="CLOSINGBELL_APP",
        callback=_marked,
        help="The app: module:name or path/desk.py:name (name defaults to app).",
    ),
]
DatabaseAddress = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="ADDRESS",
        help="sqlite:///file, a file's path, or postgresql://...; leads over "
        "CLOSINGBELL_DATABASE, closingbell.toml and the app's own.",
    ),
]
ServiceUrl = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="CLOSINGBELL_URL",
        callback=_marked,
        help="A service on any machine, instead of a database: https://desk.example.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="With --url: whose first line is your token; else CLOSINGBELL_TOKEN.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any setting, such as thread_slots=32 or lease_s=10; leads over all else.",
    ),
]
TargetArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[TARGET]",
        help="module:name or path/desk.py:name; default --app.",
        show_default=False,
    ),
]
