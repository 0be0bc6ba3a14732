"""Summary: a report as a few dozen lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from closingbell.simulation.figure import CURVE_GROUPS, GROUPS, figures_of
from closingbell.simulation.figure_text import figure_text, window_text

if TYPE_CHECKING:
    from closingbell.simulation.report import Report

#: What a terminal shows; the page has all of them.
_SHOWN = (
    "total_return", "cagr", "cagr_calendar", "initial_value", "final_value", "net_flows", "profit",
    "volatility", "sharpe", "sortino", "calmar", "var_95", "cvar_95", "max_drawdown",
    "max_drawdown_peak_at", "max_drawdown_trough_at", "max_drawdown_recovered_at", "emptied_at",
    "round_trips", "win_rate", "profit_factor", "expectancy", "exposure_time", "exposure_average",
    "turnover", "fees", "periods", "periods_per_year",
)  # fmt: skip


def summary_text(report: Report) -> str:
    """Return the figures of every account, how the tasks fared, and what should be known."""
    window = window_text(report.start, report.end, report.timezone)
    parts = [f"{report.name} ({report.id}): {window}, seed {report.seed}", _figures(report)]
    if report.tasks:
        parts.append(_tasks(report))
    said = [*report.notes]
    said += [
        f"{name}: {note}" for name, account in report.accounts.items() for note in account.notes
    ]
    if report.not_done:
        asked = ", ".join(f"{name} ({count})" for name, count in sorted(report.not_done.items()))
        said.append(f"not done in a backtest: {asked}")
    if report.alert_count:
        said.append(f"alerts: {report.alert_count}")
    if said:
        parts.append("\n".join(f"- {sentence}" for sentence in said))
    return "\n\n".join(parts) + "\n"


def _figures(report: Report) -> str:
    columns = []
    for name, account in report.accounts.items():
        columns.append((f"{name}, {account.currency}", account.metrics, account.timezone, GROUPS))
        if account.benchmark is not None and account.benchmark_metrics is not None:
            metrics, zone = account.benchmark_metrics, account.timezone
            columns.append((account.benchmark.name, metrics, zone, CURVE_GROUPS))
    rows: list[list[str]] = [["", *(column[0] for column in columns)]]
    for group in GROUPS:
        lines = []
        for figure in figures_of(group):
            values = [
                getattr(metrics, figure.name) if group in groups else None
                for _, metrics, _, groups in columns
            ]
            if figure.name not in _SHOWN or all(value in (None, 0) for value in values):
                continue
            texts = [
                figure_text(figure, value, column[2])
                for value, column in zip(values, columns, strict=True)
            ]
            lines.append([f"  {figure.label}", *texts])
        if lines:
            rows += [[group.upper()], *lines]
    return aligned(rows)


def _tasks(report: Report) -> str:
    rows = [["TASK", "RUNS", "OK", "FAILED", "SKIPPED", "MOST OFTEN"]]
    for name, count in report.tasks.items():
        reason = max(count.reasons.items(), key=lambda pair: pair[1], default=None)
        rows.append(
            [
                name,
                f"{count.runs:,}",
                f"{count.success:,}",
                f"{count.failed:,}",
                f"{count.skipped + count.skipped_firings:,}",
                "" if reason is None else f"{reason[0]} ({reason[1]:,})",
            ]
        )
    return aligned(rows, left=(0, 5))


def aligned(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Return rows as columns of text, numbers to the right.

    Args:
        rows: the first one is the heading; a row of one cell spans all.
        left: columns that are aligned to the left.
    """
    full = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)] if full else []
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if n in left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=len(row) > 1))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
