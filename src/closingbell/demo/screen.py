"""What the demo shows: live progress on stderr, and the summary for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from closingbell.demo.desk import VENUE, ZONE

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from closingbell.app import App
    from closingbell.core.run import Run
    from closingbell.demo.runner import Demo

#: The task that runs every half hour would push all others out of the lines.
_FREQUENT = "margin_watch"
_LINES = 9
_STYLES = {"success": "green", "failed": "red", "skipped": "yellow", "running": "cyan"}
_STATES = ("scheduled", "pending", "running", "success", "failed", "skipped", "cancelled")
_ZONE = ZoneInfo(ZONE)


class Screen:
    """Shows a demo while it plays: redrawn on a terminal, a line for each ended run elsewhere."""

    def __init__(self, demo: Demo) -> None:
        """Show `demo`; used as a context manager around its play."""
        from rich.console import Console

        self._demo = demo
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._told: set[str] = set()
        self._lines: list[Run] = []

    def __enter__(self) -> Screen:
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self._console, refresh_per_second=10, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def watch(self, app: App) -> None:
        """Show how the desk stands now."""
        latest = app.list_runs(limit=80)
        for run in reversed(latest):
            if run.state.is_final and run.id not in self._told:
                self._told.add(run.id)
                if run.task != _FREQUENT or run.state != "success":
                    self._lines.append(run)
                    if self._live is None:
                        self._console.print(
                            _line(run), markup=False, highlight=False, soft_wrap=True
                        )
        if self._live is not None:
            self._live.update(self._frame(app, [r for r in latest if r.state == "running"]))

    def _frame(self, app: App, running: Sequence[Run]) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        from closingbell.triggers import get_calendar

        now = app.clock.now()
        whole = (self._demo.end - self._demo.start).total_seconds()
        done = min((now - self._demo.start).total_seconds(), whole)
        market = "open" if get_calendar(VENUE).is_open(now) else "closed"
        head = Text.assemble(
            (now.astimezone(_ZONE).strftime("%a %d %b %Y  %H:%M %Z"), "bold"),
            f"   x{self._demo.speed:,.0f}   {VENUE} is ",
            (market, "green" if market == "open" else "yellow"),
        )
        counts = app.store.runs.counts()
        states = Table(box=None, pad_edge=False)
        for state in _STATES:
            states.add_column(state, justify="right", style=_STYLES.get(state, ""))
        states.add_row(*(str(counts[state]) for state in _STATES))
        names = ", ".join(run.task for run in running if run.task != _FREQUENT) or "-"
        lines = [
            Text(_line(run), style=_STYLES.get(run.state, ""), no_wrap=True, overflow="ellipsis")
            for run in self._lines[-_LINES:]
        ]
        bar = ProgressBar(total=whole, completed=done, width=60)
        return Group(head, bar, Text(), states, Text(f"running now: {names}"), Text(), *lines)


def _line(run: Run) -> str:
    at = run.finished_at or run.due_at
    said = run.reason or ""
    if run.state == "failed" and run.error is not None:
        said = f"{run.error.get('type')}: {run.error.get('message')}"
    elif run.state == "success" and isinstance(run.result, dict):
        said = " ".join(f"{k}={v}" for k, v in run.result.items() if _is_short(v, k))
    tries = f" attempt {run.attempt}" if run.attempt > 1 else ""
    when = at.astimezone(_ZONE).strftime("%a %H:%M")
    return f"{when}  {run.task:<18} {run.state:<9}{tries} {said}".rstrip()


def _is_short(value: object, name: str) -> bool:
    """Whether a result's field fits into a line and says something there."""
    if name == "late_ms" or isinstance(value, (dict, list)):
        return False
    return len(str(value)) <= 30 and "\n" not in str(value)


def show_summary(summary: dict[str, Any], console: Console) -> None:
    """Write a summary for people."""
    from rich.table import Table

    console.rule("what the store says")
    table = Table(title="runs", title_justify="left", box=None, pad_edge=False)
    table.add_column("task")
    for state in ("success", "failed", "skipped", "cancelled"):
        table.add_column(state, justify="right", style=_STYLES.get(state, ""))
    for task, states in summary["runs"].items():
        cells = [str(states.get(s, "")) for s in ("success", "failed", "skipped", "cancelled")]
        table.add_row(task, *cells)
    console.print(table)
    attempts = ", ".join(f"{n} {how.replace('_', ' ')}" for how, n in summary["attempts"].items())
    _section(console, "attempts", [attempts])
    _section(
        console,
        "retried, with the waits before each further attempt",
        [
            f"{one['task']}: {one['attempts']} attempts, then {one['state']}; waited "
            f"{', '.join(_minutes(s) for s in one['waits_s'])}; {one['errors'][-1]}"
            for one in summary["retried"]
        ],
    )
    _section(
        console,
        "killed",
        [f"{one['task']} ({one['session_date']}): {one['error']}" for one in summary["killed"]],
    )
    _section(
        console,
        "skipped, and why",
        [f"{one['count']:>4}  {one['task']}: {one['reason']}" for one in summary["skips"]],
    )
    _section(
        console,
        "not fired, and why",
        [f"{one['date']}  {one['schedule_id']}: {one['reason']}" for one in summary["not_fired"]],
    )
    _section(
        console,
        "early closes",
        [
            f"{_local(one['fire_at'])}  {one['schedule_id']} {one['outcome']}: {one['note']}"
            for one in summary["early_closes"]
        ],
    )
    events = summary["events"]
    _section(
        console,
        "events",
        [
            f"{events['happened']} facts of the desk, {events['matched']} were waited for and "
            f"started {events['runs_started']} runs"
        ],
    )
    _section(
        console,
        "alerts",
        [
            f"{_local(one['raised_at'])}  {one['severity']}: {one['message']}"
            for one in summary["alerts"]
        ],
    )
    _section(
        console,
        "settled",
        [
            f"{one['day']}  value {_money(one['value'])}  "
            f"{'books balance' if one['balances'] else 'BOOKS DO NOT BALANCE'}"
            for one in summary["statements"]
        ],
    )
    late = summary["lateness_ms"]
    if late["firings"]:
        _section(
            console,
            "lateness, real milliseconds from a firing's instant to its handler's first line",
            [
                f"p50 {late['p50']:.2f}   p99 {late['p99']:.2f}   most {late['max']:.2f}   "
                f"({late['firings']} firings, on a clock {summary['speed']:,.0f} times as fast)"
            ],
        )
    _show_portfolio(summary, console)


def _show_portfolio(summary: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    portfolio = summary["portfolio"]
    console.print()
    table = Table(
        title=f"the portfolio, {portfolio['currency']}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for head in ("symbol", "quantity", "bought at", "price", "value", "unrealised"):
        table.add_column(head, justify="left" if head == "symbol" else "right")
    for one in portfolio["positions"]:
        numbers = (one["quantity"], one["average_price"], one["price"], one["value"])
        gain = float(one["unrealized"])
        table.add_row(one["symbol"], *(_money(n) for n in numbers), f"{gain:+,.2f}")
    table.add_row("cash", "", "", "", _money(portfolio["cash"]), "")
    gained = float(portfolio["value"]) - float(portfolio["initial"])
    table.add_row("all", "", "", "", _money(portfolio["value"]), f"{gained:+,.2f}", style="bold")
    console.print(table)


def _section(console: Console, title: str, lines: Sequence[str]) -> None:
    from rich.text import Text

    console.print()
    console.print(Text(title, style="bold"))
    for line in lines or ["none"]:
        console.print(Text(f"  {line}"), soft_wrap=True)


def _local(instant: str) -> str:
    return datetime.fromisoformat(instant).astimezone(_ZONE).strftime("%a %d %b %H:%M")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min"


def _money(text: str) -> str:
    return f"{float(text):,.2f}"
