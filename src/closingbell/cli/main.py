"""The entry point: every command, and nothing that takes time to load."""

from __future__ import annotations

from collections.abc import Callable

import typer

# They add their commands to those of a run.
import closingbell.cli.approval
import closingbell.cli.run_many  # noqa: F401
from closingbell.cli.accounts import orders, portfolio, trades
from closingbell.cli.alerts import alert_commands, alerts
from closingbell.cli.audit import audit_commands
from closingbell.cli.backtest import backtest_commands
from closingbell.cli.batch import batch_commands
from closingbell.cli.data import data_commands
from closingbell.cli.db import db_commands
from closingbell.cli.demo import demo
from closingbell.cli.doctor import doctor
from closingbell.cli.facts import events
from closingbell.cli.failure import EXIT_CODES_HELP, guarded
from closingbell.cli.metrics import metrics
from closingbell.cli.option import AsJson, Debug
from closingbell.cli.overview import overview, workers
from closingbell.cli.runs import run_commands, runs
from closingbell.cli.schedule import schedule_commands
from closingbell.cli.serve import serve, worker
from closingbell.cli.submit import event, submit
from closingbell.cli.tasks import tasks
from closingbell.cli.token import sign_in, token_commands
from closingbell.cli.watch import watch

_WORK, _SEE, _KEEP = "Work", "See", "Keep"

commands = typer.Typer(
    name="closingbell",
    help="The scheduler and durable batch processor for trading systems.",
    epilog=EXIT_CODES_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@guarded
def version(as_json: AsJson = False, debug: Debug = False) -> None:
    """Write the versions of closingbell, its schema and its calendars."""
    import platform

    from closingbell import __version__
    from closingbell.cli.output import Output
    from closingbell.store.schema import SCHEMA_REVISION
    from closingbell.triggers import calendar_version

    facts = {
        "closingbell": __version__,
        "schema": SCHEMA_REVISION,
        "calendars": calendar_version(),
        "python": platform.python_version(),
    }
    out = Output(as_json)
    if as_json:
        out.document(facts)
    else:
        for name, value in facts.items():
            out.say(f"{name:<12} {value}")


_plain: dict[str, tuple[Callable[..., None], ...]] = {
    _WORK: (demo, serve, worker, submit, event),
    _SEE: (
        overview,
        runs,
        tasks,
        events,
        alerts,
        workers,
        portfolio,
        orders,
        trades,
        metrics,
        watch,
    ),
    _KEEP: (doctor, sign_in, version),
}
for panel, members in _plain.items():
    for command in members:
        # click passes over what follows an argument with several words otherwise.
        commands.command(rich_help_panel=panel)(command)
commands.add_typer(backtest_commands, name="backtest", rich_help_panel=_WORK, no_args_is_help=True)
commands.add_typer(batch_commands, name="batch", rich_help_panel=_WORK, no_args_is_help=True)
commands.add_typer(run_commands, name="run", rich_help_panel=_SEE, no_args_is_help=True)
commands.add_typer(schedule_commands, name="schedule", rich_help_panel=_SEE, no_args_is_help=True)
commands.add_typer(alert_commands, name="alert", rich_help_panel=_SEE, no_args_is_help=True)
commands.add_typer(audit_commands, name="audit", rich_help_panel=_SEE, no_args_is_help=True)
commands.add_typer(data_commands, name="data", rich_help_panel=_KEEP, no_args_is_help=True)
commands.add_typer(db_commands, name="db", rich_help_panel=_KEEP, no_args_is_help=True)
commands.add_typer(token_commands, name="token", rich_help_panel=_KEEP, no_args_is_help=True)


def main() -> None:
    """Run a command; ends the process with one of the documented exit codes."""
    commands()


if __name__ == "__main__":
    main()
