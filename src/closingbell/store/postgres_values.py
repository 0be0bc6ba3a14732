"""The arguments of the queue's statements on PostgreSQL: one array for each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closingbell.core.clock import Clock
from closingbell.core.port import Claimer, Want
from closingbell.core.run import RunItem, RunTemplate, Settlement
from closingbell.store.front import Front
from closingbell.store.postgres_link import number_array, text_array


def insert_values(template: RunTemplate, items: Sequence[RunItem]) -> tuple[Any, ...]:
    """Return the values of INSERT_MANY."""
    return (
        *template,
        text_array([item.id for item in items]),
        text_array([item.payload for item in items]),
        text_array([item.lane for item in items]),
    )


def claim_values(claimer: Claimer, want: Want | None, clock: Clock, front: Front) -> dict[str, Any]:
    """Return the values by which a claimer claims."""
    free: Mapping[str, int] = {} if want is None else want.free
    begins = [front.begins(executor) for executor in free]
    return {
        "worker": claimer.worker_id,
        "now": clock.micros(),
        "executors": text_array(list(free)),
        "free": number_array(list(free.values())),
        "priorities": number_array([priority for priority, _, _ in begins]),
        "dues": number_array([due_at for _, due_at, _ in begins]),
        "after": text_array([run_id for _, _, run_id in begins]),
        "unknown": "{}" if want is None else text_array(list(want.unknown)),
    }


def success_values(ended: list[Settlement]) -> dict[str, str]:
    """Return the values that settle plain successes."""
    return {
        "ids": text_array([s.id for s in ended]),
        "fences": number_array([s.fence for s in ended]),
        "finished": number_array([s.finished_at for s in ended]),
        "results": text_array([s.result for s in ended]),
        "started": number_array([s.started_at for s in ended]),
    }


def settlement_values(ended: list[Settlement]) -> dict[str, str]:
    """Return the values that settle anything else, with its logs and alerts."""
    # In one order, so that two rescuers of the same runs wait for each other in a line.
    ended = sorted(ended, key=lambda s: s.id)
    logs = [(s.id, n, *piece) for s in ended for n, piece in enumerate(s.logs)]
    alerts = [
        (s.id, f"{s.id}:{s.fence}:{s.alert.type}", *s.alert) for s in ended if s.alert is not None
    ]
    return {
        "r_ids": text_array([s.id for s in ended]),
        "r_fences": number_array([s.fence for s in ended]),
        "r_states": text_array([s.state for s in ended]),
        "r_outcomes": text_array([s.outcome for s in ended]),
        "r_attempts": number_array([s.attempt for s in ended]),
        "r_finished": number_array([s.finished_at for s in ended]),
        "r_due": number_array([s.due_at for s in ended]),
        "r_results": text_array([s.result for s in ended]),
        "r_errors": text_array([s.error for s in ended]),
        "r_reasons": text_array([s.reason for s in ended]),
        "r_lost": number_array([s.lost for s in ended]),
        "r_ledger": number_array([int(s.ledger or s.outcome == "given_back") for s in ended]),
        "r_started": number_array([s.started_at for s in ended]),
        "l_ids": text_array([row[0] for row in logs]),
        "l_numbers": number_array([row[1] for row in logs]),
        "l_streams": text_array([row[2] for row in logs]),
        "l_texts": text_array([row[3] for row in logs]),
        "a_runs": text_array([row[0] for row in alerts]),
        "a_ids": text_array([row[1] for row in alerts]),
        "a_types": text_array([row[2] for row in alerts]),
        "a_messages": text_array([row[3] for row in alerts]),
        "a_data": text_array([row[4] for row in alerts]),
        "a_severities": text_array([row[5] for row in alerts]),
    }
