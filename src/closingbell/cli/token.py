"""`token ...` and `sign-in`: who may come in to the API."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile
from closingbell.core.role import Role

if TYPE_CHECKING:
    from closingbell.wire.token import TokenInfo

token_commands = typer.Typer(help="Make, list and revoke API tokens.")

_LONGEST = timedelta(days=3650)

RoleOption = Annotated[
    Role, typer.Option("--role", metavar="viewer|operator|admin", help="What it may do.")
]


@token_commands.command()
@guarded
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for, or whose it is.")],
    role: RoleOption = Role.VIEWER,
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner", metavar="PERSON", help="Whose acts these are; without one, a program's."
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="LENGTH", help="Refused after, such as 90d or 12h."),
    ] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a token and show it, this once: the store keeps only its hash."""
    from closingbell.cli.desk_access import desk, find_place
    from closingbell.core.token import require_name

    lasts = _length(expires)
    name = require_name("NAME", name)
    owner = None if owner is None else require_name("--owner", owner)
    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        lasts_s = None if lasts is None else lasts.total_seconds()
        made = client.tokens.create(name, role, owner=owner, expires_in_s=lasts_s)
    if as_json:
        out.document(made)
        return
    out.say(made.token)
    whose = "a program" if owner is None else owner
    out.note(f"token {made.id}: {name}, {role.value}, of {whose}; it is not shown again")


@token_commands.command("list")
@guarded
def list_tokens(
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List tokens, the newest first, without their secrets."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        tokens = list(client.tokens.all())
    if as_json:
        out.document({"tokens": tokens})
        return
    rows = [
        (
            token.id,
            token.name,
            token.role,
            token.owner,
            _state(token),
            token.expires_at,
            token.last_used_at,
        )
        for token in tokens
    ]
    columns = ("id", "name", "role", "owner", "state", "expires", "last used")
    out.table(columns, rows, "no tokens are stored")


@token_commands.command()
@guarded
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")],
    reason: Annotated[str | None, typer.Option("--reason", help="For the audit ledger.")] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Refuse a token from now on, and end the sessions that were begun with it.

    A running service refuses it within the setting sign_in_cache_s, 5 seconds.
    """
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        revoked = client.tokens.revoke(token_id, reason)
    if as_json:
        out.document(revoked)
    else:
        out.note(f"token {token_id} is revoked, since {out.cell(revoked.revoked_at)}")


@guarded
def sign_in(
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="In the audit ledger; default user@host."),
    ] = None,
    role: RoleOption = Role.ADMIN,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="Where the service is; default the setting public_url, or "
            "this machine and the setting port.",
        ),
    ] = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make an address that signs in whoever opens it first, within 15 minutes.

    Nobody is named by it, so that it counts as no person where two persons must agree.
    """
    from closingbell.api.security.entrance import CODE_S, sign_in_address
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output
    from closingbell.core.actor import current_actor
    from closingbell.core.token import require_name

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    base = url or app.settings.public_url or f"http://127.0.0.1:{app.settings.port}"
    with opened(app):
        who = current_actor().name if name is None else require_name("--as", name)
        address = sign_in_address(app, base, who, role)
    if as_json:
        out.document({"url": address, "name": who, "role": role.value, "expires_in_s": CODE_S})
        return
    out.say(address)
    out.note(f"it signs in as {role.value}, once, within {CODE_S // 60} minutes")


def _length(given: str | None) -> timedelta | None:
    from closingbell.core.duration import parse_duration
    from closingbell.core.error import SubmitError

    if given is None:
        return None
    length = parse_duration(given, kind="--expires")
    if not timedelta() < length <= _LONGEST:
        raise SubmitError("--expires", given, "more than nothing, and 3650d at most")
    return length


def _state(token: TokenInfo) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "usable" if token.usable else "expired"
