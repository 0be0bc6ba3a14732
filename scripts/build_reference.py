"""Write the reference pages whose tables come from the code.

    python scripts/build_reference.py            # write docs/reference/*.md
    python scripts/build_reference.py --check    # exit 1 if a page is not what the code says

Each page is a function that returns its text; a test compares the committed pages with them.
Longer than 400 lines because half of it is the pages' own text.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"

_KINDS = {str: "TEXT", int: "INTEGER", float: "NUMBER", list[str]: "TEXT"}
_MADE = (
    "<!-- Made by scripts/build_reference.py: change the code or that script, not this page. -->\n"
)
#: Public to other files of closingbell, not to users.
_INNER = {
    "declare",
    "declare_schedule",
    "declared_event_triggers",
    "declared_schedules",
    "machinery",
    "take_back",
    "store",
    "request_cancel",
}
#: Classes that users make themselves.
_CONSTRUCTED = {
    "Task", "RetryPolicy", "Rate", "Skip", "Snooze", "Cancel", "SimulatedClock", "ScaledClock",
}  # fmt: skip
#: What the rows of a table are, where the schema's own comment does not say it.
_TABLE_NOTES = {
    "schedules": "What fires: trigger, payload and policies as JSON text, with the next instant. "
    "A task with `after=` has a row here too, named `after:TASK`.",
    "event_triggers": "What starts when an event happens.",
    "events": "Every event that was triggered, and how many runs it started.",
    "workers": "Who worked on this store, and until when its lease lasts.",
    "alert_rules": "What is watched, and who is told: rules that code declares or people made.",
    "alerts": "What a person must see, until somebody clears it.",
    "alembic_version": "The schema's revision.",
}


def attribute_lines(docstring: str) -> dict[str, str]:
    """Return what an `Attributes:` section says, by name."""
    found: dict[str, str] = {}
    inside, name = False, ""
    for line in docstring.splitlines():
        plain = line.strip()
        if plain == "Attributes:":
            inside = True
        elif inside and (match := re.match(r"(\w+): (.*)", plain)):
            name = match[1]
            found[name] = match[2]
        elif inside and plain and name:
            found[name] += " " + plain
        elif inside and not plain:
            inside = False
    return found


def option_lines(docstring: str) -> dict[str, list[tuple[str, str]]]:
    """Return the options that a docstring lists under headings that end with a colon.

    Two options may share a line, as in `start: first; end: last`.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    heading = ""
    for line in docstring.splitlines()[1:]:
        plain = line.strip()
        if not plain:
            continue
        if plain.endswith(":") and " " in plain:
            heading = plain.removesuffix(":")
            groups[heading] = []
            continue
        for part in re.split(r"; (?=\w+: )", plain):
            name, _, text = part.partition(": ")
            groups[heading].append((name, text))
    return groups


def table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    shown = text[:1].upper() + text[1:]
    return shown if shown.endswith((".", "!", "?")) else shown + "."


def _value(value: object) -> str:
    if isinstance(value, float) and value >= 86_400 and value % 86_400 == 0:
        return f"`{value:.0f}` ({value / 86_400:g} days)"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value!r}`"


# --- the pages -----------------------------------------------------------------------


def settings_page() -> str:
    """Every setting, with its default."""
    from closingbell.settings import SETTINGS_FILE, Settings

    said = attribute_lines(Settings.__doc__ or "")
    rows = (
        (
            f"`{field.name}`",
            f"`{field.type}`",
            _value({} if field.default is MISSING else field.default),
            f"`CLOSINGBELL_{field.name.upper()}`",
            sentence(said[field.name]),
        )
        for field in fields(Settings)
    )
    return f"""{_MADE}
# Settings

Settings are one frozen record. A value is taken from the first of these places that has it:

1. an argument of `create_app(...)`, or a flag of the command line (`--database`, `--set NAME=VALUE`);
2. the environment variable `CLOSINGBELL_<NAME>`;
3. the file `{SETTINGS_FILE}` in the working folder (or the one that `create_app(settings_file=...)` names).

Names that end in `_s` are seconds. An unknown name in a call or in the file is refused, with the
nearest known one. A flag leads over what the app's own code says, so that one desk can be started
on another database.

{table(("Setting", "Type", "Default", "Environment", "Means"), rows)}
A `{SETTINGS_FILE}` holds the names at its top level:

```toml
database = "postgresql://desk@db.internal/closingbell"
timezone = "America/New_York"
thread_slots = 32
grace_s = 30
```
"""


def environment_page() -> str:
    """Every environment variable."""
    from closingbell.settings import Settings

    said = attribute_lines(Settings.__doc__ or "")
    rows = [
        ("`CLOSINGBELL_APP`", "The target of commands that need an app, such as `desk:app`."),
        (
            "`CLOSINGBELL_URL`",
            "The service that commands and `Client()` ask, such as `https://desk.example`; "
            "`CLOSINGBELL_TOKEN` is then the token that they show.",
        ),
    ]
    rows += [
        (f"`CLOSINGBELL_{field.name.upper()}`", sentence(said[field.name]))
        for field in fields(Settings)
    ]
    return f"""{_MADE}
# Environment

These variables are read when `create_app` is called or a command starts. Truth is written as `1`,
`true`, `yes` or `on`, and `0`, `false`, `no` or `off`. Other variables that begin with
`CLOSINGBELL_` are ignored. Types and defaults are on the page of the [settings](settings.md).

{table(("Variable", "Means"), rows)}"""


def options_page() -> str:
    """Every option of a task and of a schedule."""
    from closingbell.task import ScheduleOptions, TaskOptions

    kinds = {
        name: getattr(kind, "__forward_arg__", str(kind))
        for name, kind in {**ScheduleOptions.__annotations__, **TaskOptions.__annotations__}.items()
    }

    def rows(lines: list[tuple[str, str]]) -> Iterator[tuple[str, ...]]:
        for name, text in lines:
            yield f"`{name}`", f"`{kinds[name]}`", sentence(text)

    parts = []
    for docstring in (ScheduleOptions.__doc__, TaskOptions.__doc__):
        for heading, lines in option_lines(docstring or "").items():
            parts.append(f"## {heading}\n\n{table(('Option', 'Type', 'Means'), rows(lines))}")
    return f"""{_MADE}
# Task options

The same options go to `Task(name, ...)`, `@app.task(...)` and, after its own parameters, to
`app.registry.register_task(...)`. Those of the first two tables also go to `app.schedule(task, ...)`.
All may be left out: `Task()` is a task that runs when it is submitted.

A `Duration` is seconds as a number, a `timedelta`, or text such as `"90s"`, `"5m"`, `"1h30m"`, `"2d"`.
The text of `interval`, `time`, `day`, `cron`, `session` and `blackout` is on the page of the
[triggers](triggers.md). An option that is not known, or two that contradict each other, are refused
where they are given.

{chr(10).join(parts)}
## Defaults that are worth knowing

| What | Default |
|---|---|
| `executor` | `"async"` for `async def`, `"thread"` for everything else |
| `retries` | 3, with `RetryPolicy()`: a wait of up to 1 s, 2 s, 4 s (drawn at random below that bound), at most 10 minutes |
| `catch_up` | `"latest"`: of the firings that were missed, the newest runs |
| `catch_up_window` | 7 days |
| `grace` | 60 seconds |
| `overlap` | `"skip"`: a firing is skipped while an earlier run of its schedule has not ended |
| `retention` | the setting `retention_s` |
"""


def errors_page() -> str:
    """Every error with its code, as a tree."""
    from closingbell.cli.failure import exit_code_of
    from closingbell.core.error import ClosingbellError, StoreError

    def tree(
        cls: type[ClosingbellError], depth: int
    ) -> Iterator[tuple[int, type[ClosingbellError]]]:
        yield depth, cls
        for child in cls.__subclasses__():
            yield from tree(child, depth + 1)

    def rows() -> Iterator[tuple[str, ...]]:
        for depth, cls in tree(ClosingbellError, 0):
            # Made without arguments, only to be matched by its class.
            blank = OSError.__new__(cls) if issubclass(cls, OSError) else cls.__new__(cls)
            code = exit_code_of(blank)
            first = (cls.__doc__ or "").splitlines()[0]
            again = issubclass(cls, StoreError) and cls.retryable
            note = " Waiting may help." if again else ""
            yield (
                f"`{cls.code}`",
                f"{'· ' * depth}`{cls.__name__}`",
                sentence(first) + note,
                str(int(code)),
            )

    return f"""{_MADE}
# Errors

Every error that closingbell raises on purpose is a `ClosingbellError`, in `closingbell.core.error`.
Its `code` never changes, its message says what was expected, what was found and what to do next, and
what it knows is in its attributes (all of them: `error.fields`). Errors survive pickling. The dots
show which class an error is derived from: catch the family or the one.

The last column is the exit code of the command line when a command ends in that error.

{table(("Code", "Class", "When", "Exit"), rows())}
## What a failed run stores

A run's `error` is a mapping of JSON values: `code`, `type`, `message`, `traceback` (its end, at most
8,000 characters) and `bases` (the names of the exception's base classes). For an exception of your own
`code` is `"raised"`. `RetryPolicy(give_up_on=...)` compares names with `type` and `bases`.
"""


def command_line_page() -> str:
    """Every command with its arguments and options."""
    import typer.main

    from closingbell.cli.failure import ExitCode
    from closingbell.cli.main import commands

    parts = [
        f"\n## `closingbell {' '.join(path)}`\n\n{_command(path, command)}"
        for path, command in walk_commands(typer.main.get_command(commands))
    ]
    said = _enum_comments("src/closingbell/cli/failure.py", "ExitCode")
    codes = table(
        ("Exit code", "Means"),
        ((str(int(code)), said.get(code.name, "Done.")) for code in ExitCode),
    )
    return f"""{_MADE}
# Command line

Results go to stdout, everything else to stderr, so that `closingbell runs --json | jq` works while a
person still sees notes. Every command takes `--json` (one JSON document; `serve` and `run logs` write
one a line; times are ISO in UTC, durations seconds), `--debug` (tracebacks and debug logs) and `-h`.

A **target** is `module:name` or `path/desk.py:name`; the name may be left out when it is `app`. It may
also come from `--app` or `CLOSINGBELL_APP`. Commands that only look at the store, or act on what is
stored, work without an app: on `--database`, else on the database of the app that `--app` or
`CLOSINGBELL_APP` names, else on `CLOSINGBELL_DATABASE`, else on that of `closingbell.toml`, else on
`closingbell.db` in the working folder.

A **payload** is a JSON object, `key=value` pairs (a value that reads as JSON is JSON, anything else is
text), `@file.json`, or `-` for stdin. A **run id** may be shortened to letters that no other id begins
with.

{codes}{"".join(parts)}"""


def walk_commands(group: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command of a click group with its words."""

    def walk(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        members: Mapping[str, Any] | None = getattr(command, "commands", None)
        if members is None:
            yield words, command
            return
        for name, member in members.items():
            if name == getattr(command, "plain", None):
                yield from walk(words, member)
            elif not member.hidden:
                yield from walk((*words, name), member)

    yield from walk((), group)


def _command(path: tuple[str, ...], command: Any) -> str:
    import inspect

    text = inspect.cleandoc(command.help or "")
    usage = ["closingbell", *path]
    rows: list[tuple[str, ...]] = []
    for parameter in command.params:
        if parameter.name in ("as_json", "debug", "help"):
            continue
        if parameter.param_type_name == "argument":
            word = parameter.metavar or parameter.name.upper()
            usage.append(word)
            rows.append((f"`{word}`", "", parameter.help or ""))
            continue
        flags = ", ".join(f"`{flag}`" for flag in sorted(parameter.opts, key=len, reverse=True))
        kind = parameter.type_descriptor.annotation
        takes = "" if parameter.is_flag else f"`{parameter.metavar or _KINDS[kind]}`"
        default = parameter.default
        shown = isinstance(default, (int, float, str)) and not parameter.is_flag
        note = f" Default: `{default}`." if shown else ""
        rows.append((flags, takes, (parameter.help or _plain_help(parameter)) + note))
    body = f"```text\n{' '.join(usage)}{' [OPTIONS]' if rows else ''}\n```\n\n{text}\n"
    if rows:
        body += "\n" + table(("Argument or option", "Takes", "Means"), rows)
    return body


def _plain_help(parameter: Any) -> str:
    known = {"limit": "At most so many.", "count": "How many."}
    return known.get(parameter.name, "")


def store_page() -> str:
    """Every table with its columns, and the words that the columns hold."""
    from sqlalchemy import UniqueConstraint

    from closingbell.core.run import TRANSITIONS
    from closingbell.store.append_only import GUARDS
    from closingbell.store.schema import SCHEMA_REVISION, metadata

    notes = {**_table_comments(), **_TABLE_NOTES}
    parts = []
    for name, shape in sorted(metadata.tables.items()):
        rows = (
            (
                f"`{column.name}`",
                "decimal TEXT" if column.info.get("amount") else str(column.type),
                "primary key" if column.primary_key else "" if column.nullable else "not null",
            )
            for column in shape.columns
        )
        checks = sorted(
            f"- `{constraint.sqltext}`"
            for constraint in shape.constraints
            if hasattr(constraint, "sqltext")
            # What decimal text looks like is said once, on top.
            and not str(constraint.name).endswith("_is_decimal")
        )
        kept = sorted({f"- {guard.message}" for guard in GUARDS if guard.table == name})
        unique = [
            f"- `{', '.join(column.name for column in index.columns)}` is unique where given"
            for index in shape.indexes
            if index.unique
        ]
        unique += [
            f"- `{', '.join(column.name for column in constraint.columns)}` is unique"
            for constraint in shape.constraints
            if isinstance(constraint, UniqueConstraint)
        ]
        promised = "\n".join([*checks, *unique, *kept])
        held = f"\nHeld by the database:\n\n{promised}\n" if promised else ""
        parts.append(f"## `{name}`\n\n{notes[name]}\n\n{table(('Column', 'Type', ''), rows)}{held}")
    states = table(
        ("State", "May become"),
        (
            (f"`{state}`", ", ".join(f"`{after}`" for after in sorted(following)))
            for state, following in TRANSITIONS.items()
        ),
    )
    return f"""{_MADE}
# The store

One schema for SQLite and PostgreSQL, revision `{SCHEMA_REVISION}`. Reading it with your own SQL is fine;
write through closingbell only. Between revisions columns may change: the Python calls, the command line
and `--json` are what stays.

- Columns that end in `_at` are microseconds since 1970-01-01 UTC; those that end in `_s` are seconds.
- JSON travels as text.
- Amounts are decimal text such as `12.50` or `-0.00000001`, without an exponent: both databases keep every
  digit. In PostgreSQL `amount::numeric` calculates with them exactly; in SQLite `CAST(amount AS REAL)` is
  as exact as a floating-point number is.
- `runs.id` is a UUID version 7 as 32 hexadecimal digits: ids sort by the time they were made.

## Words in the columns

{states}
- `runs.outcome` and `attempts.outcome`: `returned`, `raised`, `timed_out`, `lost`, `cancelled`,
  `skipped`, `snoozed`, `given_back`.
- `runs.cause`: `submit`, `schedule`, `event`, `after`, `retry` (somebody let an ended run run again),
  `elsewhere` (a result that was reported by `app.monitor.track_task_execution`).
- `alerts.type`: `task_failure`, `long_execution`, `task_alert` for what a task sends itself, `desk_failure` when market
  data or a broker's news cannot pass the desk, `event_refused` when a fact does not fit a task that it should
  start, `archive_failed` while what is old cannot be archived.
- `workers.state`: `alive`, `stopped`, `dead`.
- `run_logs.stream`: `stdout`, `stderr`, `log`.
- `desk_orders.state` and `desk_order_history.state`: `new` (stored; perhaps sent, perhaps not), `open`, and then `filled`,
  `cancelled`, `expired` or `rejected` for good.
- `desk_entries.kind`: `fill`, `cash` (a deposit or withdrawal), `dividend`, `split`, `charge` (interest, funding).
  The cash of an account is the sum of `amount - fee`.

{chr(10).join(parts)}"""


def venues_page() -> str:
    """Every venue of the frozen table."""
    from closingbell.scheduler.calendar_book import CalendarBook

    book = CalendarBook()
    aliases: dict[str, list[str]] = {}
    for alias, venue in book._names.items():
        if alias != venue.upper():
            aliases.setdefault(venue, []).append(alias)

    def rows() -> Iterator[tuple[str, ...]]:
        for venue in book.venues:
            calendar = book.calendar(venue)
            yield (
                f"`{venue}`",
                ", ".join(f"`{alias}`" for alias in sorted(aliases.get(venue, ()))),
                calendar.timezone,
                str(calendar.known_from),
                str(calendar.known_until),
            )

    return f"""{_MADE}
# Venues

Calendar table `{book.version}`. Names are ISO 10383 market codes where there is one; aliases work
everywhere, in any case. After the last known day nothing fires: a day that nobody knows never counts as
open. Your own closures, half days and venues: [how to](../howto/own_calendar.md).

{table(("Venue", "Also", "Time zone", "Known from", "Known until"), rows())}"""


def metrics_page() -> str:
    """Every metric of a backtest, with its convention."""
    from closingbell.simulation.figure import GROUPS, Unit, figures_of

    units = {
        Unit.FRACTION: "fraction",
        Unit.RATIO: "number",
        Unit.MONEY: "amount",
        Unit.INSTANT: "microseconds",
        Unit.DAYS: "days",
        Unit.COUNT: "count",
    }
    parts = [
        f"## {group}\n\n"
        + table(
            ("Name", "Shown as", "Is a", "Convention"),
            (
                (f"`{figure.name}`", figure.label, units[figure.unit], figure.convention)
                for figure in figures_of(group)
            ),
        )
        for group in GROUPS
    ]
    return f"""{_MADE}
# Metrics

`report.metrics` has these attributes; `closingbell backtest show ID --json` has them as JSON. A
fraction is a fraction: 0.1 is ten percent. Amounts are in the account's currency. An instant is in
microseconds since 1970-01-01 UTC.

- **None means that a figure has no meaning**: no trades, a single point, nothing that varies, an account
  that owes money. It is never NaN and never infinite.
- **Returns are daily and time-weighted.** The equity curve has a point at the start and one at each daily
  close. A period's return is (value - flows) / value before - 1: what is deposited or withdrawn counts
  from the period's end on, and is no gain or loss.
- **A curve ends when nothing is left**, by losses (the last return is then -1 or less) or by a withdrawal;
  `emptied_at` says when. Points before the first money are left out.
- **A year** is 252 returns for venues with sessions and 365 for those that never close; for
  `cagr_calendar` it is 365.25 days. A window shorter than a year is extrapolated.
- **The risk-free rate** is 0 unless one is given.
- **Fees are in**: values are net of them, and so is the gain of a round trip.
- **Trades in another currency** than the account's are in the equity curve at their marks. They are left
  out of the figures of trades, fees and turnover, and the report says so.
- **Figures are floats** that are summed exactly (`math.fsum`) from decimal amounts: the same curve gives the
  same bits on one platform. They equal those of `empyrical-reloaded` to 1e-9, which a test holds them
  to on real prices and on invented ones.

{chr(10).join(parts)}"""


def python_page() -> str:
    """Every name that users call, with its signature and the first line of its docstring."""
    import closingbell
    from closingbell import centre
    from closingbell.aio import AsyncApp
    from closingbell.app import App, create_app
    from closingbell.client import Client
    from closingbell.core.clock import ScaledClock, SimulatedClock
    from closingbell.core.context import Context
    from closingbell.core.limit import Rate
    from closingbell.core.outcome import Cancel, Skip, Snooze
    from closingbell.core.retry import RetryPolicy
    from closingbell.core.run import Attempt, Run
    from closingbell.handle import RunHandle
    from closingbell.schedule_handle import ScheduleHandle
    from closingbell.task import Task

    groups: dict[str, tuple[type, ...]] = {
        "Declare": (Task, RetryPolicy, Rate),
        "Submit, wait, ask": (RunHandle, Run, Attempt, ScheduleHandle),
        "Inside a task": (Context, Skip, Snooze, Cancel),
        "Clocks for tests and rehearsals (`closingbell.core.clock`)": (SimulatedClock, ScaledClock),
        "The scheduler-centre document's classes (`closingbell.centre`)": (
            centre.TaskRegistry,
            centre.TaskScheduler,
            centre.TaskExecutor,
            centre.RetryController,
            centre.TaskMonitor,
            centre.AlertManager,
            centre.PerformanceTracker,
        ),
    }
    names = ", ".join(f"`{name}`" for name in sorted(closingbell.__all__))
    calls = table(
        ("Call", "Does"),
        ((f"`create_app{_signature(create_app)}`", _first(create_app)), *_members(App)),
    )
    parts = [
        f"## {heading}\n\n" + "\n".join(_class_section(cls) for cls in classes)
        for heading, classes in groups.items()
    ]
    return f"""{_MADE}
# Python

`from closingbell import ...` has {names}.

Triggers are in `closingbell.triggers`, errors in `closingbell.core.error`. Every name has a docstring with
units and errors: `help(app.submit)`. Classes without a call in their heading are made by the app. What a
task's `algorithm` offers has a page of its own: [the algorithm](algorithm.md).

## The app

{calls}
The faces of the scheduler-centre document are `app.registry`, `app.scheduler`, `app.executor`,
`app.retry_controller` and `app.monitor`.

### `app.aio`

The same for async code: {", ".join(f"`{name}`" for name, _ in _public(AsyncApp))}.

{chr(10).join(parts)}
## A service elsewhere (`closingbell.client`)

How to use it: [the Python client](../howto/use_the_client.md). `AsyncClient` has the same calls for async code, and `aclose`.

### `Client{_signature(Client)}`

{sentence(_first(Client))}

{table(("Name", "Does"), [row for row in _members(Client) if not row[0].startswith("`__")])}
{chr(10).join(_noun_section(name, noun) for name, noun in _client_nouns())}"""


def _client_nouns() -> list[tuple[str, type]]:
    """Return the nouns of the client by the name that it has for them."""
    from closingbell.client import Client

    with Client("http://127.0.0.1", token="") as client:
        return [(name, type(noun)) for name, noun in vars(client).items() if name[0] != "_"]


def _noun_section(name: str, noun: type) -> str:
    return f"### `client.{name}`\n\n{sentence(_first(noun))}\n\n{table(('Call', 'Does'), _members(noun))}"


def algorithm_page() -> str:
    """Every call of the algorithm with its defaults, and what it returns."""
    from closingbell.trading.algorithm import Algorithm
    from closingbell.trading.context_names import ContextNames
    from closingbell.trading.journal_calls import EquityMark, JournalCalls
    from closingbell.trading.market_bar import MarketBar, MarketData
    from closingbell.trading.market_calls import MarketCalls
    from closingbell.trading.order_calls import OrderCalls
    from closingbell.trading.placed_order import PlacedOrder
    from closingbell.trading.portfolio import Portfolio, Position
    from closingbell.trading.target_calls import TargetCalls
    from closingbell.trading.trade import Trade

    groups: dict[str, type] = {
        "The run, the account, the market, the database": Algorithm,
        "Orders": OrderCalls,
        "Targets": TargetCalls,
        "The books": JournalCalls,
        "Behind the market data": MarketCalls,
        "Names that the other framework's users know": ContextNames,
    }
    shown = (Portfolio, Position, Trade, PlacedOrder, MarketBar, MarketData, EquityMark)
    calls = "\n".join(f"## {heading}\n\n{_call_table(cls)}" for heading, cls in groups.items())
    classes = "\n".join(_class_section(cls) for cls in shown)
    return f"""{_MADE}
# The algorithm

A handler with a parameter `algorithm` receives it, a Task's `run` as its first argument. The calls mean the
same live, on paper and in a backtest; `algorithm.mode` says which it is.

- **Amounts** are `Money`: exact decimals that add, divide and compare with floats and ints.
- **Datetimes** are naive, in the app's zone (`create_app(timezone=...)`). Aware ones are accepted, and so
  are dates and ISO text.
- **Symbols** may leave the quote currency out: "BTC" and "BTC/EUR" name the same where only one fits.
- **Percentages** are fractions: 0.5 is a half, and anything above 1 is refused.
- **A retry** gets the orders that the run placed before, and places none twice.

How orders trade is on the page of [orders](../howto/place_orders.md), what an account is on that of
[accounts](../howto/accounts.md).

{calls}
## What the calls return

{classes}"""


def _call_table(cls: type) -> str:
    rows = []
    for name, member in _public(cls):
        if name not in vars(cls):
            continue
        call = name if isinstance(member, property) else f"{name}{_signature(member)}"
        rows.append((f"`{call}`", _meaning(member)))
    return table(("Call", "Means"), rows)


def _meaning(member: Any) -> str:
    """Return what a docstring says, its arguments in line, without its errors."""
    import inspect

    parts: dict[str, list[str]] = {"": []}
    heading = ""
    for line in (inspect.getdoc(member) or "").splitlines():
        if line in ("Args:", "Returns:", "Raises:"):
            heading = line[:-1]
        parts.setdefault(heading, []).append(line.strip())
    said = " ".join(filter(None, parts[""]))
    if "Args" in parts:
        text = "\n".join(parts["Args"][1:])
        found = re.split(r"(?:^|\n)(\w+): ", text)[1:]
        pairs = zip(found[::2], found[1::2], strict=True)
        said += " " + " ".join(f"`{n}`: {sentence(' '.join(t.split()))}" for n, t in pairs)
    if "Returns" in parts:
        said += " Returns: " + sentence(" ".join(filter(None, parts["Returns"][1:])))
    return said


def _class_section(cls: type) -> str:
    said = attribute_lines(cls.__doc__ or "")
    listed = [(f"`{name}`", sentence(text)) for name, text in said.items()]
    listed += [row for row in _members(cls) if row[0].strip("`") not in said]
    body = "\n" + table(("Name", "Is or does"), listed) if listed else ""
    plain = [f"`{f.name}`" for f in fields(cls) if f.name not in said] if is_dataclass(cls) else []
    also = f"\nAlso: {', '.join(plain)}.\n" if plain and said else ""
    call = _signature(cls) if cls.__name__ in _CONSTRUCTED else ""
    return f"### `{cls.__name__}{call}`\n\n{sentence(_first(cls))}\n{body}{also}"


def _members(cls: type) -> list[tuple[str, str]]:
    rows = []
    for name, member in _public(cls):
        shown = name if isinstance(member, property) else f"{name}{_signature(member)}"
        rows.append((f"`{shown}`", sentence(_first(member))))
    return rows


def _public(cls: type) -> list[tuple[str, Any]]:
    """Return what a class declares for its callers, in the order of the source."""
    ours = [base for base in cls.__mro__ if base.__module__.startswith("closingbell")]
    found: dict[str, Any] = {}
    for base in ours:
        for name, member in vars(base).items():
            described = (getattr(member, "__doc__", None) or "").strip()
            callable_or_property = isinstance(member, (property, staticmethod, classmethod)) or (
                callable(member) and not isinstance(member, type)
            )
            if not name.startswith("_") and callable_or_property and described:
                found.setdefault(name, member)
    return [pair for pair in found.items() if pair[0] not in _INNER]


class _Shown:
    """A default that is written as its text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _signature(function: Any) -> str:
    import inspect
    from datetime import timedelta

    inner = getattr(function, "__func__", function)
    if isinstance(function, type):
        inner = function.__init__  # type: ignore[misc]
    kept = []
    for name, parameter in inspect.signature(inner).parameters.items():
        if name in ("self", "cls"):
            continue
        shown = parameter.replace(annotation=inspect.Parameter.empty)
        if isinstance(parameter.default, timedelta):
            shown = shown.replace(default=_Shown(f"{parameter.default.total_seconds():g} s"))
        kept.append(shown)
    return str(inspect.Signature(kept))


def _first(thing: Any) -> str:
    import inspect

    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


_SCHEMA_FILES = sorted((ROOT / "src/closingbell/store").glob("*schema.py"))


def _table_comments() -> dict[str, str]:
    """Return the `#:` comments above the tables of the schema, by table."""
    found: dict[str, str] = {}
    waiting: list[str] = []
    begun = False
    for line in (line for file in _SCHEMA_FILES for line in file.read_text().splitlines()):
        if line.startswith("#:"):
            waiting.append(line.removeprefix("#:").strip())
        elif re.match(r"\w+ = Table\(", line):
            begun = True
        elif begun and (match := re.match(r'    "(\w+)",', line)):
            if waiting:
                found[match[1]] = " ".join(waiting)
            waiting, begun = [], False
        elif not line.startswith("#"):
            waiting = []
    return found


def _enum_comments(path: str, name: str) -> dict[str, str]:
    """Return the `#:` comments above an enum's members."""
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = text.splitlines()
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for member in node.body:
                above = lines[member.lineno - 2].strip()
                if isinstance(member, ast.Assign) and above.startswith("#:"):
                    target = member.targets[0]
                    assert isinstance(target, ast.Name)
                    found[target.id] = above.removeprefix("#:").strip()
    return found


def roles_page() -> str:
    """Every route of the API, with the least role that it asks for."""
    from tempfile import TemporaryDirectory

    from closingbell import create_app
    from closingbell.api.application import create_api
    from closingbell.api.security.authentication import is_public
    from closingbell.api.security.role_table import route_roles
    from closingbell.core.role import Role

    with TemporaryDirectory() as folder:
        api = create_api(create_app(Path(folder) / "unopened.db"))
        routes = sorted(route_roles(api), key=lambda one: (one.path, one.method))
    everybody = [f"`{one.method} {one.path}`" for one in routes if is_public(one.path)]

    def rows() -> Iterator[tuple[str, ...]]:
        for route in routes:
            if is_public(route.path):
                continue
            needed = route.role or Role.VIEWER
            may = ("yes" if role.includes(needed) else "" for role in Role)
            path = re.sub(r":path\}", "}", route.path)
            yield (f"`{route.method} {path}`", route.summary or "", *may)

    return f"""{_MADE}
# Roles

{sentence(" ".join((Role.__doc__ or "").split()))}

A test asks every route as nobody and as each role (`tests/acceptance/test_roles.py`). How somebody shows
who they are: [security](../concepts/security.md).

Everybody may ask for health and for what it takes to sign in: {", ".join(everybody)}; and may
show a token to `POST /api/v1/session`.

{table(("Route", "Does", *(role.value for role in Role)), rows())}"""


def api_page() -> str:
    """Every route of the API with what it takes and answers, from its own document."""
    from tempfile import TemporaryDirectory

    from closingbell import create_app
    from closingbell.api.application import create_api
    from closingbell.api.security.authentication import is_public
    from closingbell.api.security.role_table import route_roles

    with TemporaryDirectory() as folder:
        api = create_api(create_app(Path(folder) / "unopened.db"))
        document = api.openapi()
        roles = {
            (re.sub(r":path\}", "}", one.path), one.method): one.role for one in route_roles(api)
        }
    sections: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            role = roles.get((path, method.upper()))
            who = "everybody" if is_public(path) else str(role or "viewer")
            tag = (operation.get("tags") or ["other"])[0]
            sections.setdefault(tag, []).append(_route(method.upper(), path, operation, who))
    routes = "\n".join(
        f"## {tag.capitalize()}\n\n" + "\n".join(sections[tag]) for tag in sorted(sections)
    )
    models = document["components"]["schemas"]
    told = "\n".join(_model(name, models[name]) for name in sorted(models))
    return f"""{_MADE}
# The API

The service describes itself at `/openapi.json`; this page is made from that document. How to sign in
and call it: [call the API](../howto/call_the_api.md). Who may do what: [roles](roles.md). What every
refusal looks like: `Problem`, with one of the [error codes](errors.md).

Every route but the public ones may answer 401, 403 and 503; what else it may refuse with is told
beside it. A `POST` takes the header `Idempotency-Key`.

{routes}
## Models

Requests take no field but these. A star marks a field that must be given.

{told}"""


def _route(method: str, path: str, operation: Mapping[str, Any], who: str) -> str:
    lines = [f"### `{method} {path}`\n", sentence(operation.get("summary", "")) + f" For: {who}."]
    rows = [
        (
            f"`{one['name']}`" + ("*" if one.get("required") else ""),
            one["in"],
            _type_of(one.get("schema", {})),
            one.get("description") or one.get("schema", {}).get("description", ""),
        )
        for one in operation.get("parameters", ())
    ]
    if rows:
        lines.append("\n" + table(("Parameter", "In", "Type", "Meaning"), rows).rstrip())
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        kinds = " or ".join(_type_of(one.get("schema", {})) for one in body.values())
        lines.append(f"\nTakes: {kinds}.")
    answers = []
    refusals = []
    for status, answer in operation["responses"].items():
        if int(status) >= 400:
            refusals.append(status)
            continue
        content = answer.get("content", {})
        kinds = " or ".join(
            _type_of(one.get("schema", {})) if "json" in kind else f"`{kind}`"
            for kind, one in content.items()
        )
        answers.append(f"{status}{f' {kinds}' if kinds else ''}")
    lines.append(
        f"\nAnswers: {', '.join(answers)}. May refuse: {', '.join(refusals) or 'nothing'}."
    )
    return "\n".join(lines) + "\n"


def _model(name: str, schema: Mapping[str, Any]) -> str:
    about = " ".join(str(schema.get("description", "")).split("\n\n")[0].split())
    needed = schema.get("required", ())
    rows = [
        (
            f"`{field}`" + ("*" if field in needed else ""),
            _type_of(one),
            f"`{one['default']}`" if one.get("default") not in (None, "") else "",
            " ".join(str(one.get("description", "")).split()),
        )
        for field, one in schema.get("properties", {}).items()
    ]
    text = f"### `{name}`\n\n" + (f"{sentence(about)}\n\n" if about else "")
    if rows:
        return text + table(("Field", "Type", "Default", "Meaning"), rows)
    return text + f"{_type_of(schema)}\n"


def _type_of(schema: Mapping[str, Any]) -> str:
    """Return a JSON Schema in a few words."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    branches = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if branches:
        return " or ".join(dict.fromkeys(map(_type_of, branches)))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    extra = schema.get("additionalProperties")
    if kind == "object" and isinstance(extra, dict) and extra:
        return f"object of {_type_of(extra)}"
    bounds = [
        f"{word} {schema[key]:g}"
        for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"))
        if key in schema
    ]
    text = {"date-time": "instant", "date": "date"}.get(schema.get("format", ""), str(kind))
    return f"{text} ({' '.join(bounds)})" if bounds else text


def alert_rules_page() -> str:
    """Every kind of alert with its thresholds, and every field of a rule."""
    from closingbell.core.alert_kind import KINDS, UNITS, AlertKind
    from closingbell.core.alert_rule import AlertRule

    def thresholds(kind: AlertKind) -> str:
        words = [
            f"`{name}`: "
            + ("must be given" if name == kind.needed else "none" if at is None else f"{at:g}")
            for name, at in kind.thresholds.items()
        ]
        return ", ".join(words) or "none"

    kinds = (
        (
            f"`{kind.name}`",
            kind.meaning,
            thresholds(kind),
            ", ".join(f"`{name}`" for name in kind.filters) or "none",
            (kind.severity or "as raised"),
            kind.advice,
        )
        for kind in KINDS.values()
    )
    said = attribute_lines(AlertRule.__doc__ or "")
    rows = ((f"`{one.name}`", sentence(said[one.name])) for one in fields(AlertRule))
    units = ((f"`{name}`", unit) for name, (unit, _) in UNITS.items())
    return f"""{_MADE}
# Alert rules

What rules look for, and what their thresholds are measured in. How to use them:
[be told when something is wrong](../howto/alerts_and_notifications.md).

## Kinds

A threshold without a default is not compared unless a rule gives it. Durations are seconds of the app's clock.

{table(("Kind", "When", "Thresholds and their defaults", "Filters", "Severity", "What to do"), kinds)}
## Units

{table(("Field", "Unit"), units)}
## Fields of a rule

{table(("Field", "Meaning"), rows)}"""


PAGES: dict[str, Callable[[], str]] = {
    "python.md": python_page,
    "algorithm.md": algorithm_page,
    "settings.md": settings_page,
    "environment.md": environment_page,
    "task_options.md": options_page,
    "errors.md": errors_page,
    "command_line.md": command_line_page,
    "store.md": store_page,
    "venues.md": venues_page,
    "metrics.md": metrics_page,
    "alert_rules.md": alert_rules_page,
    "roles.md": roles_page,
    "api.md": api_page,
}


def stale_pages() -> list[str]:
    """Return the names of committed pages that are not what the code says."""
    return [
        name
        for name, make in PAGES.items()
        if not (REFERENCE / name).is_file()
        or (REFERENCE / name).read_text(encoding="utf-8") != make()
    ]


def main(words: list[str]) -> int:
    """Write the pages, or check them."""
    if words == ["--check"]:
        stale = stale_pages()
        for name in stale:
            print(f"docs/reference/{name} is not what the code says: run {Path(__file__).name}")
        return 1 if stale else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make(), encoding="utf-8")
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
