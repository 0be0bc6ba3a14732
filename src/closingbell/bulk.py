"""One act on all runs that a filter means, in this process: the store first, then who waits for it."""

from __future__ import annotations

import threading

from closingbell.core.bulk import TOLD, BulkAct, BulkOutcome, Refused, narrowed
from closingbell.core.run_filter import RunFilter
from closingbell.core.run_filter_text import filter_text
from closingbell.machinery import Machinery
from closingbell.store.run_bulk import Again

#: Between two transactions whoever else wants to write has so long to begin.
_BREATH_S = 0.001
_NAMES = {BulkAct.CANCEL: "runs.cancelled", BulkAct.RETRY: "runs.retried"}


def act_on_all(
    machinery: Machinery,
    act: BulkAct,
    wanted: RunFilter,
    *,
    reason: str | None = None,
    most: int = 10_000,
    dry_run: bool = False,
) -> BulkOutcome:
    """Cancel, or retry, all runs that a filter means; one record in the audit ledger.

    Each few hundred runs are a transaction of their own, so that the engine goes on meanwhile.
    A run that has moved on by then is refused, and told.

    Args:
        machinery: of the app.
        act: what to do.
        wanted: with which runs; see `closingbell.core.bulk.narrowed`.
        reason: why; stored with cancelled runs and in the audit ledger.
        most: not with more than so many, the newest first.
        dry_run: count them, and leave them as they are.

    Raises:
        FilterError: it says nothing, or nothing that the act can be done to.
    """
    meant = narrowed(wanted, act)
    store = machinery.store
    run_ids, more = store.run_bulk.meant(meant, most)
    outcome = BulkOutcome(len(run_ids), 0, (), 0, more)
    if dry_run or not run_ids:
        return outcome
    store.run_bulk.note(_NAMES[act], machinery.new_id(), run_ids, filter_text(meant), reason)
    why = reason or "cancelled with others"
    chunks = (
        store.run_bulk.cancel(run_ids, why, machinery.clock.micros())
        if act is BulkAct.CANCEL
        else store.run_bulk.retry(run_ids, _again(machinery), machinery.clock.micros())
    )
    pause = threading.Event()
    for chunk in chunks:
        if act is BulkAct.CANCEL:
            machinery.tell_cancelled(chunk.done, chunk.asked, why)
        else:
            store.queue.exchange()
        outcome = outcome._replace(
            done=outcome.done + len(chunk.done) + len(chunk.asked),
            refused=_told(outcome, chunk.refused),
            refused_count=outcome.refused_count + len(chunk.refused),
        )
        pause.wait(_BREATH_S)
    return outcome


def _told(outcome: BulkOutcome, refused: list[Refused]) -> tuple[Refused, ...]:
    return (*outcome.refused, *refused)[:TOLD]


def _again(machinery: Machinery) -> dict[str, Again]:
    set_by_hand = machinery.store.policies.all()
    return {
        task.name: Again(set_by_hand.get(task.name, task.retry).retries + 1, task.hold)
        for task in machinery.registry
    }
