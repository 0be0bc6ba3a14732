"""`alerts` and `alert ...`: what a person must see, who looks after it, and who is told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from closingbell.cli.failure import CheckFailed, guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug
from closingbell.core.alert import Alert, AlertState
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
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the alerts that nobody cleared, or others, newest first."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output

    if clear and state not in (None, Which.OPEN):
        raise SubmitError("--clear", state, "no --state: only what is open can be cleared")
    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    cleared = 0
    with opened(app):
        if state is None:
            found = app.store.alerts.open(kind)
        else:
            wanted = None if state is Which.ALL else AlertState(state.value)
            page = app.store.alerts.page(kind=kind, state=wanted, limit=limit)
            found = [_row(alert) for alert in page]
        if clear:
            cleared = app.store.alerts.clear(app.clock.micros(), kind)
    if as_json:
        out.document({"alerts": found, "cleared": cleared})
        return
    rows = [
        (
            row["raised_at"],
            row["severity"],
            row["type"],
            row["count"],
            row["message"],
            row["acknowledged_by"] or "",
            row["id"],
        )
        for row in found
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
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say that you look after an alert: it is told no more."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        alert = app.store.alerts.acknowledge(alert_id, app.clock.micros(), reason)
    if as_json:
        out.document(_row(alert))
    else:
        out.say(f"acknowledged by {alert.acknowledged_by}: {alert.message}")


@alert_commands.command("clear")
@guarded
def clear_one(
    alert_id: AlertId,
    reason: Reason = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say that an alert is over; whoever was told of it is told so."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        alert = app.store.alerts.clear_one(alert_id, app.clock.micros(), reason)
    if as_json:
        out.document(_row(alert))
    else:
        out.say(f"cleared by {alert.cleared_by}: {alert.message}")


@alert_commands.command("rules")
@guarded
def rules(
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the rules: what is watched, and who is told."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output

    app = app_of_settings(database, app_target)
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        found = app.store.alert_rules.all()
    if as_json:
        out.document({"rules": [stored.to_dict() for stored in found]})
        return
    rows = [
        (
            stored.rule.id,
            stored.rule.kind,
            stored.rule.severity or "as raised",
            ", ".join(stored.rule.channels),
            "yes" if stored.rule.enabled else "no",
            stored.source,
        )
        for stored in found
    ]
    out.table(("rule", "kind", "severity", "channels", "enabled", "source"), rows, "no rule")


@alert_commands.command("test-channel")
@guarded
def try_channel(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The channel's name.")],
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Send a test message at once; exit code 1 when it was not taken."""
    from closingbell.cli.access import app_of_settings, opened
    from closingbell.cli.output import Output

    app = app_of_settings(database, app_target)
    if app_target is not None:
        # Channels that code declares are the app's own.
        from closingbell.cli.target import load_app

        app.channels = load_app(app_target).channels
    out = Output(as_json, app.settings.timezone)
    with opened(app):
        problem = app.machinery.alert_watch.try_channel(name)
    if as_json:
        out.document({"channel": name, "sent": problem is None, "error": problem})
    elif problem is None:
        out.say(f"channel {name} took the message")
    else:
        out.say(f"channel {name} did not take the message: {problem}")
    if problem is not None:
        raise CheckFailed


def _row(alert: Alert) -> dict[str, Any]:
    from closingbell.wire.alert import alert_values

    return alert_values(alert)
