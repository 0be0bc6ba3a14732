"""Output: data on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, TextIO
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from rich.progress import Progress

_COLOURS = {
    "success": "green", "ran": "green", "ok": "green", "alive": "green",
    "failed": "red", "fail": "red", "dead": "red", "lost": "red",
    "running": "cyan", "pending": "cyan",
    "skipped": "yellow", "cancelled": "yellow", "warn": "yellow", "scheduled": "blue",
}  # fmt: skip


class Output:
    """Where one command writes.

    Args:
        as_json: documents instead of tables.
        timezone: the zone in which people are told times; JSON is in UTC.
    """

    def __init__(self, as_json: bool, timezone: str = "UTC") -> None:
        self.as_json = as_json
        self.timezone = timezone
        self._zone = ZoneInfo(timezone)
        self._data: TextIO | None = None

    @contextmanager
    def tasks_aside(self) -> Iterator[None]:
        """Send to stderr what tasks print meanwhile, in this process and in children."""
        real = sys.stdout
        real.flush()
        try:
            number = real.fileno()
        except OSError:
            # Somebody stands in for stdout, and no child inherits that.
            self._data, sys.stdout = real, sys.stderr
            try:
                yield
            finally:
                sys.stdout = real
            return
        kept = os.dup(number)
        os.dup2(sys.stderr.fileno(), number)
        with os.fdopen(os.dup(kept), "w", encoding=real.encoding) as self._data:
            sys.stdout = sys.stderr
            try:
                yield
            finally:
                self._data.flush()
                os.dup2(kept, number)
                os.close(kept)
                sys.stdout = real
                self._data = None

    def document(self, value: Any) -> None:
        """Write one JSON document."""
        self._write(value, indent=2)

    def line(self, value: Any) -> None:
        """Write one JSON document on one line, at once."""
        self._write(value, indent=None)
        (self._data or sys.stdout).flush()

    def say(self, text: str) -> None:
        """Write a line of data."""
        print(text)

    def say_at_once(self, text: str) -> None:
        """Write a line of data that somebody waits for."""
        print(text, flush=True)

    def note(self, text: str) -> None:
        """Tell a person something that is no data."""
        print(text, file=sys.stderr, flush=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> None:
        """Write a table: coloured on a terminal, plain and never cut off elsewhere.

        Args:
            columns: the headings.
            rows: values; times are told in the zone.
            empty: what a person is told when there are no rows.
        """
        if not rows:
            self.note(empty)
            return
        shown = [[self.cell(value) for value in row] for row in rows]
        if not sys.stdout.isatty():
            widths = [max(map(len, column)) for column in zip(columns, *shown, strict=True)]
            for row in [[name.upper() for name in columns], *shown]:
                padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                print("  ".join(padded).rstrip())
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, header_style="bold", pad_edge=False)
        for name in columns:
            table.add_column(name, overflow="fold")
        for row in shown:
            table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
        Console().print(table)

    def cell(self, value: Any) -> str:
        """Return a value as a person reads it."""
        match value:
            case None:
                return "-"
            case Enum():
                return str(value.value)
            case bool():
                return "yes" if value else "no"
            case datetime():
                return value.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S %Z")
            case timedelta():
                return spoken_length(value)
            case list() | tuple() | set() | frozenset():
                return ", ".join(map(str, value))
            case dict():
                return compact_json(value)
            case _:
                return " ".join(str(value).split())

    def length(self, seconds: float | None) -> timedelta | None:
        """Return a duration, as `cell` tells it."""
        return None if seconds is None else timedelta(seconds=seconds)

    def progress(self) -> Progress:
        """Return a progress display on stderr that stays silent where that is no terminal."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        console = Console(stderr=True)
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def _write(self, value: Any, indent: int | None) -> None:
        import json

        text = json.dumps(value, indent=indent, default=json_value, ensure_ascii=False)
        print(text, file=self._data or sys.stdout)


def json_value(value: Any) -> Any:
    """Return a value that JSON lacks as one that it has: times in UTC, durations in seconds."""
    from datetime import UTC
    from decimal import Decimal

    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Enum():
            return value.value
        case Decimal():
            return str(value)
        case Mapping():
            return dict(value)
        case _ if hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
        case set() | frozenset():
            return sorted(value)
        case _:
            return str(value)


def compact_json(value: Any) -> str:
    """Return a JSON value on one line."""
    import json

    return json.dumps(value, default=json_value, ensure_ascii=False, separators=(", ", ": "))


def spoken_length(length: timedelta) -> str:
    """Return a duration as a person reads it: '12 ms', '3.4 s', '1:02:03'."""
    seconds = length.total_seconds()
    if abs(seconds) < 1:
        return f"{seconds * 1000:.1f} ms" if abs(seconds) < 0.01 else f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))
