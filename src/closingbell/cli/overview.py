"""`overview` and `workers`: how the desk stands, and who works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile

if TYPE_CHECKING:
    from closingbell.cli.output import Output
    from closingbell.wire.figure import Overview
    from closingbell.wire.worker import Slots


@guarded
def overview(
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show how the desk stands in one look: what runs, is late, failed, and comes next."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = client.figures.overview()
    if as_json:
        out.document(found)
    else:
        _tell(found, out)


def _tell(found: Overview, out: Output) -> None:
    counts, day = found.counts, found.day
    more = "" if counts.complete else " at least"
    rate = "-" if day.failure_rate is None else f"{day.failure_rate:.1%}"
    alerts = ", ".join(f"{count} {severity}" for severity, count in found.open_alerts.items())
    facts: list[tuple[str, Any]] = [
        ("at", found.at),
        ("running", counts.running),
        ("pending", f"{counts.pending}{more}"),
        ("scheduled", f"{counts.scheduled}{more}"),
        ("held", counts.held),
        ("late", f"{found.late_runs} runs, {found.late_schedules} schedules"),
        ("waits", out.length(found.oldest_pending_age_s)),
        ("workers", f"{found.workers.alive} alive, {_slots(found.workers.slots) or 'no slots'}"),
        ("last 24 h", f"{day.count} runs, {day.failed} failed ({rate})"),
        ("alerts", alerts or "none"),
    ]
    for name, value in facts:
        out.say(f"{name:<10} {out.cell(value)}")
    for venue in found.venues:
        state = "open" if venue.is_open else "closed"
        out.say(f"{venue.venue:<10} {state}" + (f": {venue.note}" if venue.note else ""))
    if found.next_firings:
        out.say("")
        rows = [
            (one.fire_at, one.task, one.schedule_id, one.explanation) for one in found.next_firings
        ]
        out.table(("next", "task", "schedule", "why"), rows, "")


@guarded
def workers(
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the processes that take runs, or took them lately, and what they have in hand."""
    from closingbell.cli.desk_access import desk, find_place

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, out):
        found = client.figures.workers()
    if as_json:
        out.document({"workers": found})
        return
    rows = [
        (
            one.id,
            one.host,
            one.pid,
            one.state,
            one.started_at,
            one.seen_at,
            one.running_count,
            _slots(one.slots),
        )
        for one in found
    ]
    columns = ("id", "host", "pid", "state", "started", "seen", "running", "slots in use")
    out.table(columns, rows, "no worker is known")


def _slots(slots: dict[str, Slots]) -> str:
    return ", ".join(f"{kind} {one.used}/{one.slots}" for kind, one in slots.items() if one.slots)
