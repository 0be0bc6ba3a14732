"""What the recorded lines say: medians, ranges, and ratios against peers, bare loops and goals."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rows import ROWS, Row

ROW = {row.name: row for row in ROWS}


@dataclass(frozen=True)
class Metric:
    """One column.

    Attributes:
        workload: whose it is.
        field: the number's name in a recorded line.
        title: what a reader sees.
        more_is_better: or less is.
        goals: what was aimed at, by store or by where the worker lives; "" = everywhere.
        ceilings: the bare row that bounds it, by store.
    """

    workload: str
    field: str
    title: str
    more_is_better: bool = False
    goals: Mapping[str, float] = dataclasses.field(default_factory=dict)
    ceilings: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def goal(self, row: Row) -> float | None:
        """What was aimed at for one of our rows."""
        place = "worker" if row.variant[-1:].isdigit() else "embedded"
        for key in (place, row.store, ""):
            if key in self.goals:
                return self.goals[key]
        return None

    def reaches(self, value: float, goal: float) -> bool:
        return value >= goal if self.more_is_better else value <= goal

    def times_better(self, ours: float, theirs: float) -> float | None:
        """How many times as good ours is."""
        above, below = (ours, theirs) if self.more_is_better else (theirs, ours)
        return above / below if below > 0 and above > 0 else None


_BARE = {"sqlite": "raw-sqlite", "pg": "raw-pg"}
_BACKTESTERS = ("backtesting.py", "investing-algorithm-framework")
_LOOP = {"sqlite": "bare-loop"}
_LATE = {"": 1.0}
_LATE_99 = {"": 2.5}

METRICS = (
    Metric(
        "W1", "single_per_s", "one at a time, runs/s", True, {"sqlite": 5e3, "pg": 2.5e3}, _BARE
    ),
    Metric("W1", "bulk_per_s", "in bulk, runs/s", True, {"": 1e5}, _BARE),
    Metric("W2", "runs_per_s", "drained, runs/s", True, {"sqlite": 4e4, "pg": 2.5e4}, _BARE),
    Metric("W2", "with_start_runs_per_s", "with the service's start, runs/s", True),
    Metric("W2", "start_s", "start to first handler, s"),
    Metric("W3", "single_per_s", "one at a time, runs/s", True, {"": 4e3}),
    Metric("W3", "bulk_per_s", "in bulk by 500, runs/s", True),
    Metric("W4", "p50_ms", "p50 ms", goals={"embedded": 1.0, "worker": 5.0}),
    Metric("W4", "p95_ms", "p95 ms"),
    Metric("W4", "p99_ms", "p99 ms", goals={"embedded": 3.0, "worker": 10.0}),
    Metric("W5", "p50_ms", "given instant, p50 ms", goals=_LATE),
    Metric("W5", "p99_ms", "given instant, p99 ms", goals=_LATE_99),
    Metric("W5", "firing_p50_ms", "schedule's firing, p50 ms", goals=_LATE),
    Metric("W5", "firing_p99_ms", "schedule's firing, p99 ms", goals=_LATE_99),
    Metric("W5M", "p50_ms", "given instant, p50 ms", goals=_LATE),
    Metric("W5M", "p99_ms", "given instant, p99 ms", goals=_LATE_99),
    Metric("W5M", "firing_p50_ms", "schedule's firing, p50 ms", goals=_LATE),
    Metric("W5M", "firing_p99_ms", "schedule's firing, p99 ms", goals=_LATE_99),
    Metric("W6", "50ms_overhead_percent", "64 x 50 ms, percent over"),
    Metric("W6", "1ms_overhead_percent", "2,000 x 1 ms, percent over", goals={"": 25.0}),
    Metric("W7", "rss_mib", "RSS MiB"),
    Metric("W7", "pss_mib", "PSS MiB"),
    Metric("W7", "processes", "processes"),
    Metric("W8", "import_ms", "import ms", goals={"": 100.0}),
    Metric("W8", "import_rss_mib", "RSS after it, MiB", goals={"": 35.0}),
    Metric("W8", "ready_s", "start to ready, s", goals={"": 1.0}),
    Metric("W8", "first_result_s", "to the first result, s"),
    Metric("T1", "bars_per_cpu_s", "daily bars per processor second", True, ceilings=_LOOP),
    Metric("T1", "bars_per_s", "daily bars/s, wall", True, ceilings=_LOOP),
    Metric("T1", "seconds_of_it", "whole backtest, s"),
    Metric("T1", "cpu_s", "of it processor, s"),
    Metric("T1", "round_trips", "round trips"),
    Metric("T1", "peak_mib", "peak RSS MiB"),
    Metric("T1M", "bars_per_cpu_s", "one-minute bars per processor second", True, ceilings=_LOOP),
    Metric("T1M", "bars_per_s", "one-minute bars/s, wall", True, ceilings=_LOOP),
    Metric("T1M", "seconds_of_it", "whole backtest, s"),
    Metric("T1M", "cpu_s", "of it processor, s"),
    Metric("T1M", "round_trips", "round trips"),
    Metric("T1M", "peak_mib", "peak RSS MiB"),
    Metric("T2", "whole_s", "a year, s", goals={"": 10.0}),
    Metric("T2", "whole_cpu_s", "of it processor, s"),
    Metric("T2", "events_per_cpu_s", "events per processor second", True, {"": 150e3}),
    Metric("T2", "events_per_s", "events/s, wall", True),
    Metric("T3", "quarter_peak_mb", "a quarter of a year, MiB"),
    Metric("T3", "year_peak_mb", "a year, MiB"),
    Metric("T3", "four_peak_mb", "four years, MiB"),
    Metric("T3", "growth_mb", "four years over one, MiB"),
    Metric("T4", "idle_moments_per_s", "nothing held, moments/s", True),
    Metric("T4", "moments_per_s", "a position held, moments/s", True, {"": 150e3}),
    Metric("T4", "ten_moments_per_s", "ten positions of ten symbols, moments/s", True),
    Metric("T4", "fills_per_s", "an order and its fill, fills/s", True),
    Metric("T5", "read_bars_per_s", "read, bars/s", True),
    Metric("T5", "stored_bars_per_s", "stored, bars/s", True),
    Metric("T5", "bytes_a_bar", "bytes a bar"),
    Metric("T6", "changes_per_s", "changes/s", True),
    Metric("T6", "p50_ms", "p50 ms"),
    Metric("T6", "p99_ms", "p99 ms"),
    Metric("T6", "read_entries_per_s", "journal read, entries/s", True),
    Metric("T7", "backtest_s", "ten years of days, s"),
    Metric("T7", "page_s", "its page, s"),
    Metric("T7", "page_kib", "KiB"),
)

TITLES = {
    "W1": "Submit (no worker)",
    "W2": "Drain no-op runs",
    "W3": "Submit and drain together",
    "W4": "Pickup on an idle system",
    "W5": "Lateness",
    "W5M": "Lateness with 10,000 schedules and a million pending future runs",
    "W6": "Pure Python on two processes, against two bare processes",
    "W7": "Memory of the idle service",
    "W8": "Import and start",
}

TRADING = {
    "T1": "Two averages cross, daily bars",
    "T1M": "Two averages cross, 50,000 one-minute bars",
    "T2": "A year of one-minute bars, twenty tasks",
    "T3": "Memory, from stored bars",
    "T4": "The desk and the in-memory ledger alone",
    "T5": "Bars in Parquet",
    "T6": "The ledger of a store",
    "T7": "Ten years of days, and the report's page",
}


@dataclass(frozen=True)
class Figure:
    """The measurements of one number."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        if len(self.values) == 1:
            return shown(self.median)
        return f"{shown(self.median)} ({shown(min(self.values))} to {shown(max(self.values))})"


def shown(value: float) -> str:
    """A number with three figures or so."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:,.{digits}f}"


class Record:
    """The lines of one or more runs."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.machine: dict[str, Any] = {}
        self.versions: dict[str, str] = {}
        self.failures: list[dict[str, Any]] = []
        self.load = 0.0
        self._values: dict[tuple[str, str, str], list[float]] = {}
        for path in paths:
            for text in path.read_text().splitlines():
                self._add(json.loads(text))

    def _add(self, line: dict[str, Any]) -> None:
        if "machine" in line:
            self.machine |= line["machine"]
        elif "error" in line:
            self.failures.append(line)
        elif "row" in line:
            self.versions |= line.get("versions", {})
            self.load = max(self.load, line.get("load_before", 0.0))
            for name, value in line.items():
                if isinstance(value, (int, float)) and name != "pass":
                    key = (line["row"], line["workload"], name)
                    self._values.setdefault(key, []).append(float(value))

    def figure(self, row: str, workload: str, name: str) -> Figure | None:
        """The measurements of one number, or None."""
        values = self._values.get((row, workload, name))
        return None if values is None else Figure(tuple(values))

    def rows(self, workload: str) -> list[Row]:
        """The rows that were measured, in their order."""
        return [row for row in ROWS if any(k[:2] == (row.name, workload) for k in self._values)]

    def metrics(self, workload: str) -> list[Metric]:
        """The columns that anybody has."""
        rows = self.rows(workload)
        return [
            metric
            for metric in METRICS
            if metric.workload == workload
            and any(self.figure(row.name, workload, metric.field) for row in rows)
        ]

    def best_peer(self, metric: Metric, store: str | None = None) -> tuple[Row, Figure] | None:
        """The best peer of a column, among all or among those on one store."""
        found = [
            (row, figure)
            for row in self.rows(metric.workload)
            if not row.is_ours and not row.is_raw and store in (None, row.store)
            if (figure := self.figure(row.name, metric.workload, metric.field)) is not None
        ]
        sign = 1 if metric.more_is_better else -1
        return max(found, key=lambda each: sign * each[1].median, default=None)

    def ceiling(self, metric: Metric, store: str) -> Figure | None:
        """What a bare loop gives on that store."""
        name = metric.ceilings.get(store)
        if name is None:
            return None
        found = [
            figure
            for row in (name, f"{name}-asyncpg")
            if (figure := self.figure(row, metric.workload, metric.field)) is not None
        ]
        return max(found, key=lambda figure: figure.median, default=None)


@dataclass(frozen=True)
class Standing:
    """One of our numbers beside the goal, the best peers and the bare loop."""

    row: Row
    metric: Metric
    figure: Figure
    goal: float | None
    best: tuple[Row, Figure] | None
    best_on_store: tuple[Row, Figure] | None
    ceiling: Figure | None

    @property
    def reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.metric.reaches(self.figure.median, self.goal)

    def against(self, best: tuple[Row, Figure] | None) -> str:
        """The peer, its figure, and how many times as good ours is."""
        if best is None:
            return "–"
        row, figure = best
        times = self.metric.times_better(self.figure.median, figure.median)
        ratio = "" if times is None else f", {shown(times)}x"
        return f"{row.name} {shown(figure.median)}{ratio}"

    @property
    def of_ceiling(self) -> str:
        if self.ceiling is None:
            return "–"
        fraction = self.figure.median / self.ceiling.median
        percent = f"{fraction:.0%}" if fraction > 0.01 else f"{fraction:.2%}"
        return f"{shown(self.ceiling.median)}, {percent} of it"


def standings(record: Record) -> Iterator[Standing]:
    """Each of our numbers that has a goal, a peer or a ceiling to stand against."""
    for metric in METRICS:
        for row in record.rows(metric.workload):
            figure = record.figure(row.name, metric.workload, metric.field)
            if not row.is_ours or figure is None:
                continue
            standing = Standing(
                row,
                metric,
                figure,
                metric.goal(row),
                record.best_peer(metric),
                record.best_peer(metric, row.store),
                record.ceiling(metric, row.store),
            )
            if standing.goal is not None or standing.ceiling is not None:
                yield standing


def workload_table(record: Record, workload: str) -> list[list[str]]:
    """The head, then a line for each row."""
    metrics = record.metrics(workload)
    table = [["", *(metric.title for metric in metrics)]]
    for row in record.rows(workload):
        figures = [record.figure(row.name, workload, metric.field) for metric in metrics]
        table.append([row.name, *("–" if figure is None else str(figure) for figure in figures)])
    return table


def trading_table(record: Record) -> list[list[str]]:
    """Our trading figures beside goals, peers and the bare loop."""
    words = {True: "yes", False: "no", None: ""}
    table = [["", "median", "goal", "reached", *_BACKTESTERS, "bare loop"]]
    for each in standings(record):
        metric = each.metric
        if metric.workload not in TRADING:
            continue
        peers = [
            (ROW[name], record.figure(name, metric.workload, metric.field)) for name in _BACKTESTERS
        ]
        table.append(
            [
                f"{metric.workload} {each.row.name}: {metric.title}",
                shown(each.figure.median),
                "–" if each.goal is None else shown(each.goal),
                words[each.reached],
                *(
                    each.against((row, f) if f else None).removeprefix(row.name).strip()
                    for row, f in peers
                ),
                each.of_ceiling,
            ]
        )
    return table


def standing_table(record: Record) -> list[list[str]]:
    """Our numbers beside goals, peers and bare loops."""
    words = {True: "yes", False: "no", None: ""}
    table = [["", "median", "goal", "reached", "best peer", "best on this store", "bare loop"]]
    for each in standings(record):
        if each.metric.workload not in TITLES:
            continue
        table.append(
            [
                f"{each.metric.workload} {each.row.name}: {each.metric.title}",
                shown(each.figure.median),
                "–" if each.goal is None else shown(each.goal),
                words[each.reached],
                each.against(each.best),
                each.against(each.best_on_store),
                each.of_ceiling,
            ]
        )
    return table


def print_tables(paths: Sequence[Path], workloads: Sequence[str] = tuple(TITLES)) -> None:
    """Show what was measured, for a terminal."""
    record = Record(paths)
    for workload in workloads:
        if record.rows(workload):
            print(f"\n{workload} {(TITLES | TRADING)[workload]}")
            _print(workload_table(record, workload))
    print("\nAgainst the goals, the best peers and the bare loops")
    _print(trading_table(record) if workloads[0] in TRADING else standing_table(record))
    for failure in record.failures:
        print(f"failed: {failure['row']} {failure['workload']}: {failure['error']}")


def _print(table: list[list[str]]) -> None:
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        first = line[0].ljust(widths[0])
        print(
            "  ".join(
                [first, *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))]
            )
        )
