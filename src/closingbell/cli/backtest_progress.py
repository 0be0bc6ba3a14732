"""The progress of a backtest on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from closingbell.cli.output import Output


@contextmanager
def day_progress(out: Output, end: str | None) -> Iterator[Callable[[int], None]]:
    """Show the simulated day on stderr, where that is a terminal, and a bar where its end is known."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from closingbell.core.clock import from_micros

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    shown = not out.as_json and console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as display:
        work = display.add_task("reading prices", total=None)
        first: list[int] = []

        def told(at: int) -> None:
            if not first:
                first.append(at)
                last = _last_instant(end)
                display.update(work, total=None if last is None else max(last - at, 1))
            display.update(work, completed=at - first[0], description=f"{from_micros(at):%Y-%m-%d}")

        yield told


def _last_instant(end: str | None) -> int | None:
    """Return about where a window ends: what the bar needs; the backtest reads it exactly."""
    from datetime import UTC, datetime

    from closingbell.core.clock import to_micros

    try:
        found = datetime.fromisoformat(end) if end is not None else None
    except ValueError:
        return None
    if found is None:
        return None
    return to_micros(found if found.tzinfo is not None else found.replace(tzinfo=UTC))
