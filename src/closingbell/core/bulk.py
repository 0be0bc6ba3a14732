"""Bulk acts: one act on all runs that a filter means. Pure: which runs it may touch, and what is told."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from closingbell.core.error import FilterError
from closingbell.core.run import ACTIVE_STATES, RunState
from closingbell.core.run_filter import RunFilter

#: Runs that one bulk act may touch.
MOST = 1_000_000
#: Of refused runs so many are told one by one; the others are counted.
TOLD = 100


class BulkAct(StrEnum):
    """What is done to all of them."""

    CANCEL = "cancel"
    RETRY = "retry"


#: What a run's state must be for the act; and what is meant where the filter names no state.
_POSSIBLE = {
    BulkAct.CANCEL: ACTIVE_STATES,
    BulkAct.RETRY: frozenset(RunState) - {RunState.PENDING, RunState.RUNNING},
}
_MEANT = {
    BulkAct.CANCEL: ACTIVE_STATES,
    BulkAct.RETRY: frozenset({RunState.FAILED}),
}


class Refused(NamedTuple):
    """A run that was left as it is.

    Attributes:
        code: of the error that says why.
        detail: one sentence.
    """

    id: str
    code: str
    detail: str


class BulkOutcome(NamedTuple):
    """What became of a bulk act.

    Attributes:
        matched: how many runs the filter means, up to the act's limit.
        done: on how many the act was done; of a dry run none.
        refused: runs that were left as they are, the first of them.
        refused_count: how many were.
        more: whether the filter means more runs than the limit.
    """

    matched: int
    done: int
    refused: tuple[Refused, ...]
    refused_count: int
    more: bool


def narrowed(wanted: RunFilter, act: BulkAct) -> RunFilter:
    """Return the filter of the runs that an act is for.

    A filter without states means, of a cancellation, all runs that have not ended, and of a
    retry those that failed.

    Raises:
        FilterError: the filter says nothing, or names only states in which the act is impossible.
    """
    if not wanted.said:
        raise FilterError("", f"a filter that says which runs to {act}; 'state:...' at least")
    states = set(wanted.states) & _POSSIBLE[act] if wanted.states else _MEANT[act]
    if not states:
        possible = ", ".join(state for state in RunState if state in _POSSIBLE[act])
        raise FilterError(", ".join(wanted.states), f"states to {act}: {possible}")
    return replace(wanted, states=tuple(states))
