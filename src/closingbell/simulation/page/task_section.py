"""What the page says about tasks: how each fared, the ledger, alerts, failures and output."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from closingbell.simulation.figure_text import instant_text, seconds_text
from closingbell.simulation.firing import FiringLine, read_page
from closingbell.simulation.page.figure_card import share_bar
from closingbell.simulation.page.markup import Content, Markup, joined, tag
from closingbell.simulation.page.table import SHOWN_ROWS, Column, both_ends, data_table
from closingbell.simulation.report import Report
from closingbell.simulation.result import RunOutput, TaskCount

#: Reasons of a task that are shown at once; the rest unfold.
_REASONS = 3


def tasks(report: Report) -> Markup:
    """Return how each task fared."""
    rows = [_task_row(name, count) for name, count in report.tasks.items()]
    columns = (
        Column("Task"),
        Column("Firings", number=True),
        Column("Succeeded", number=True),
        Column("Failed", number=True),
        Column("Skipped", number=True),
        Column("Cancelled", number=True),
        Column("Cut off", number=True),
        Column("Attempts", number=True),
        Column("Timed out", number=True),
        Column("Simulated", number=True),
        Column("Why not"),
    )
    return joined(
        data_table("Tasks", columns, rows, empty="No task took part."),
        _counted("Events", report.facts),
        _counted("Asked for, and not done in a backtest", report.not_done),
    )


def ledger(report: Report) -> Markup:
    """Return the first and the last lines of the task ledger."""
    first, last, left_out = _ends(report)
    columns = (
        Column("Time"),
        Column("Task"),
        Column("Schedule"),
        Column("State"),
        Column("Why"),
        Column("Attempt", number=True),
        Column("Took", number=True),
    )
    rows = [_line(line, report.timezone) for line in (*first, *last)]
    note = (
        f"The first {len(first):,} and the last {len(last):,} of {report.firing_count:,} lines; "
        f"{left_out:,} between them are left out. `closingbell backtest firings {report.id}` has all."
        if left_out
        else f"{report.firing_count:,} lines: every firing and every run, as they ended."
    )
    table = data_table("Task ledger", columns, rows, empty="Nothing fired.")
    return joined(tag("p", note, class_="note"), table)


def alerts(report: Report) -> Markup:
    """Return the alerts that a person would have seen."""
    shown, note = both_ends(report.alerts, "alerts that were kept")
    rows = [
        (
            instant_text(alert.at, report.timezone),
            tag("span", alert.severity, class_=f"badge {_severity(alert.severity)}"),
            alert.message,
            alert.task or "",
            alert.type.replace("_", " "),
        )
        for alert in shown
    ]
    columns = (
        Column("Time"),
        Column("Severity"),
        Column("Message"),
        Column("Task"),
        Column("Kind"),
    )
    more = report.alert_count - len(report.alerts)
    said = [
        text for text in (note, f"{more:,} later ones were not kept." if more > 0 else None) if text
    ]
    table = data_table("Alerts", columns, rows, empty="No alert was raised.")
    return joined(tag("p", " ".join(said), class_="note") if said else None, table)


def failures(report: Report) -> Markup:
    """Return failed attempts with their errors, and what other runs printed."""
    failed = [_output(each, report.timezone) for each in report.failures]
    printed = [_output(each, report.timezone) for each in report.output]
    return joined(
        tag("h3", "Failed attempts"),
        failed or tag("p", "No attempt failed.", class_="empty"),
        [tag("h3", "What the last runs printed"), *printed] if printed else None,
    )


def _task_row(name: str, count: TaskCount) -> tuple[Content, ...]:
    skipped = count.skipped + count.skipped_firings
    whole = count.runs + count.skipped_firings + count.unfinished
    bar = share_bar(
        [
            ("ok", count.success),
            ("bad", count.failed),
            ("left", skipped),
            ("cut", count.cancelled + count.unfinished),
        ]
    )
    return (
        joined(tag("b", name), bar),
        f"{whole:,}",
        f"{count.success:,}",
        tag("span", f"{count.failed:,}", class_="loss" if count.failed else None),
        f"{skipped:,}",
        f"{count.cancelled:,}",
        f"{count.unfinished:,}",
        f"{count.attempts:,}",
        f"{count.timed_out:,}",
        seconds_text(count.sleep_s),
        _reasons(count),
    )


def _reasons(count: TaskCount) -> Content:
    ordered = sorted(count.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    items = [tag("li", f"{reason} ({number:,})") for reason, number in ordered]
    if count.last_error is not None and count.last_error not in count.reasons:
        items.insert(0, tag("li", f"last error: {count.last_error}"))
    if len(items) <= _REASONS:
        return tag("ul", items, class_="plain") if items else ""
    more = f"{len(items) - _REASONS:,} more"
    return joined(
        tag("ul", items[:_REASONS], class_="plain"),
        tag("details", tag("summary", more), tag("ul", items[_REASONS:], class_="plain")),
    )


def _counted(title: str, counts: dict[str, int] | object) -> Markup | None:
    if not isinstance(counts, dict) or not counts:
        return None
    items = [tag("li", tag("b", name), f" {number:,}") for name, number in sorted(counts.items())]
    return tag("p", f"{title}: ", tag("span", tag("ul", items, class_="chips")), class_="counted")


def _ends(report: Report) -> tuple[list[FiringLine], list[FiringLine], int]:
    # Only the outermost blocks are unpacked: there may be millions of lines between them.
    first: list[FiringLine] = []
    tail: deque[bytes] = deque(maxlen=2)
    for page in report.packed_firings():
        if len(first) < SHOWN_ROWS:
            first += islice(read_page(page), SHOWN_ROWS - len(first))
        tail.append(page)
    after = report.firing_count - len(first)
    lines: Iterator[FiringLine] = (line for page in tail for line in read_page(page))
    last = list(deque(lines, maxlen=min(SHOWN_ROWS, max(after, 0)))) if after > 0 else []
    return first, last, after - len(last)


def _line(line: FiringLine, timezone: str) -> tuple[Content, ...]:
    return (
        instant_text(line.at, timezone),
        line.task,
        line.schedule_id or "",
        tag("span", line.state, class_=f"badge {_STATES.get(line.state, 'left')}"),
        line.reason or "",
        str(line.attempt),
        seconds_text(line.duration_s),
    )


_STATES = {"success": "ok", "failed": "bad", "skipped": "left"}


def _severity(severity: str) -> str:
    return {"critical": "bad", "error": "bad", "warning": "warn"}.get(severity, "left")


def _output(output: RunOutput, timezone: str) -> Markup:
    error = output.error or {}
    title = f"{instant_text(output.at, timezone)}  {output.task}, attempt {output.attempt}"
    said = f"{error.get('type', '')}: {error.get('message', '')}" if error else output.state
    text = "".join(piece for _, piece in output.logs)
    return tag(
        "details",
        tag("summary", tag("b", title), f" {said}"),
        tag("pre", text) if text else None,
        tag("pre", str(error["traceback"])) if error.get("traceback") else None,
    )
