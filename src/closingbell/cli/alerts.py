"""`alerts` and `alert ...`: what a person must see, who looks after it, and who is told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile
from closingbell.core.alert import AlertState
from closingbell.core.error import SubmitError

alert_commands = typer.Typer(help="Acknowledge or clear an alert, list rules, try a channel.")

AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; the audit ledger keeps it.")]


class Which(StrEnum):
    """Which alerts are listed."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    ALL = "all"


@guarded
def alerts(
    kind: Annotated[str | None, typer.Option("--type", help="Only alerts of this type.")] = None,
    state: Annotated[
        Which | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="Only open, acknowledged, cleared, or all; default what is not cleared, oldest "
            "first.",
        ),
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Clear them, after they were listed.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="With --state: at most so many.")
    ] = 100,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the alerts that nobody cleared, or others, newest first."""
    from itertools import islice

    from closingbell.cli.desk_access import desk, find_place

    if clear and state not in (None, Which.OPEN):
        raise SubmitError("--clear", state, "no --state: only what is open can be cleared")
    cleared = 0
    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        if state is None:
            found = [
                alert
                for each in (AlertState.OPEN, AlertState.ACKNOWLEDGED)
                for alert in client.alerts.all(type=kind, state=each)
            ]
            found.sort(key=lambda alert: (alert.raised_at, alert.id))
        else:
            wanted = None if state is Which.ALL else state.value
            found = list(islice(client.alerts.all(type=kind, state=wanted), limit))
        if clear:
            cleared = client.alerts.clear_all(kind)
    if as_json:
        out.document({"alerts": found, "cleared": cleared})
        return
    rows = [
        (
            alert.raised_at,
            alert.severity,
            alert.type,
            alert.count,
            alert.message,
            alert.acknowledged_by or "",
            alert.id,
        )
        for alert in found
    ]
    columns = ("raised", "severity", "type", "times", "message", "acknowledged", "id")
    out.table(columns, rows, "no alert is open" if state is None else "there is none")
    if clear:
        out.note(f"{cleared} cleared")


@alert_commands.command("ack")
@guarded
def acknowledge(
    alert_id: AlertId,
    reason: Reason = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say that you look after an alert: it is told no more."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        alert = client.alerts.acknowledge(alert_id, reason)
    if as_json:
        out.document(alert)
    else:
        out.say(f"acknowledged by {alert.acknowledged_by}: {alert.message}")


@alert_commands.command("clear")
@guarded
def clear_one(
    alert_id: AlertId,
    reason: Reason = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say that an alert is over; whoever was told of it is told so."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        alert = client.alerts.clear(alert_id, reason)
    if as_json:
        out.document(alert)
    else:
        out.say(f"cleared by {alert.cleared_by}: {alert.message}")


@alert_commands.command("rules")
@guarded
def rules(
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the rules: what is watched, and who is told."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = client.alerts.rules()
    if as_json:
        out.document({"rules": found})
        return
    rows = [
        (
            rule.id,
            rule.kind,
            rule.severity or "as raised",
            ", ".join(rule.channels),
            "yes" if rule.enabled else "no",
            rule.source,
        )
        for rule in found
    ]
    out.table(("rule", "kind", "severity", "channels", "enabled", "source"), rows, "no rule")


@alert_commands.command("test-channel")
@guarded
def try_channel(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The channel's name.")],
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Send a test message at once; exit code 1 when it was not taken."""
    from closingbell.cli.desk_access import desk, find_place

    place = find_place(url, token_file, app_target, database)
    # Channels that code declares are the app's own.
    with desk(place, as_json, with_tasks=True) as (client, out):
        test = client.alerts.try_channel(name)
    if as_json:
        out.document(test)
    elif test.sent:
        out.say(f"channel {name} took the message")
    else:
        out.say(f"channel {name} did not take the message: {test.error}")
    if not test.sent:
        raise CheckFailed
