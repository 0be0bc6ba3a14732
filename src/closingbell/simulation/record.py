"""Record: what a simulation notes of its tasks while it goes on."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from closingbell.core.run import AlertNote, Settlement
from closingbell.simulation.firing import FiringSpool
from closingbell.simulation.result import (
    KEPT_ALERTS,
    KEPT_FAILURES,
    KEPT_OUTPUT,
    EventCounts,
    RunOutput,
    SimulatedAlert,
    TaskCount,
)

if TYPE_CHECKING:
    from closingbell.simulation.attempt import Attempt
    from closingbell.simulation.run import SimulatedRun

_RUN = re.compile(r"\brun [0-9a-f]{32}\b")
#: Different reasons that are counted for one task; further ones are counted as one.
_REASONS = 50
_NOTES = 100
_decode = msgspec.json.decode


class Record:
    """The task ledger, counts, alerts and output.

    Attributes:
        events: how much happened.
        spool: the task ledger.
        facts: events of the ledger, by type.
        not_done: what tasks asked for and a backtest does not do.
    """

    def __init__(self, seed: int) -> None:
        self.events = EventCounts()
        self.spool = FiringSpool(seed)
        self.alerts: list[SimulatedAlert] = []
        self.alert_count = 0
        self.failures: list[RunOutput] = []
        self.output: deque[RunOutput] = deque(maxlen=KEPT_OUTPUT)
        self.facts: dict[str, int] = {}
        self.not_done: dict[str, int] = {}
        self.notes: list[str] = []

    def skipped(self, at: int, task: str, schedule_id: str, reason: str, count: TaskCount) -> None:
        """Note a firing that made no run."""
        count.skipped_firings += 1
        _add_reason(count, reason)
        self.spool.add((at, task, schedule_id, -1, "skipped", reason, 0, 0))

    def ended(self, run: SimulatedRun, state: str, reason: str | None, at: int) -> None:
        """Note the end of a run."""
        count = run.state.count
        if state in ("scheduled", "pending", "running"):
            count.unfinished += 1
        else:
            count.runs += 1
            setattr(count, state, getattr(count, state) + 1)
        took = 0 if run.began_at is None else at - run.began_at
        count.sleep_s += took / 1_000_000
        why = reason or (run.state.last_error if state == "failed" else None)
        if state != "success":
            _add_reason(count, why or state)
        self.spool.add(
            (run.at, run.state.name, run.schedule_id, run.number, state, why, run.attempt, took)
        )

    def kept(
        self,
        attempt: Attempt,
        settlement: Settlement | None,
        logs: tuple[tuple[str, str], ...],
        at: int,
    ) -> None:
        """Keep what an attempt printed, and why it failed."""
        error = None if settlement is None or settlement.error is None else settlement.error
        claim = attempt.claim
        state = "success" if settlement is None else settlement.state
        if error is None and not logs:
            return
        output = RunOutput(
            at,
            claim.task,
            claim.id,
            claim.attempt,
            state,
            None if error is None else _decode(error),
            logs,
        )
        if error is None:
            self.output.append(output)
        elif len(self.failures) < KEPT_FAILURES:
            self.failures.append(output)

    def alert(
        self,
        at: int,
        kind: str,
        severity: str,
        message: str,
        attempt: Attempt | None,
        data: Mapping[str, Any],
    ) -> None:
        """Note an alert."""
        self.alert_count += 1
        if len(self.alerts) < KEPT_ALERTS:
            claim = None if attempt is None else attempt.claim
            self.alerts.append(
                SimulatedAlert(
                    at,
                    kind,
                    severity,
                    message,
                    None if claim is None else claim.task,
                    None if claim is None else claim.id,
                    data,
                )
            )

    def settlement_alert(self, at: int, note: AlertNote, attempt: Attempt) -> None:
        """Note an alert that a settlement raised."""
        self.alert(at, note.type, note.severity, note.message, attempt, _decode(note.data))

    def refuse(self, what: str) -> None:
        """Count something that a backtest does not do."""
        self.not_done[what] = self.not_done.get(what, 0) + 1

    def note(self, sentence: str) -> None:
        """Note a sentence for the reader of the report, once."""
        if sentence not in self.notes and len(self.notes) < _NOTES:
            self.notes.append(sentence)


def merged(pieces: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return output with neighbouring pieces of one stream joined."""
    joined: list[tuple[str, str]] = []
    for stream, text in pieces:
        if joined and joined[-1][0] == stream:
            joined[-1] = (stream, joined[-1][1] + text)
        else:
            joined.append((stream, text))
    return tuple(joined)


def _add_reason(count: TaskCount, reason: str) -> None:
    reason = _RUN.sub("an earlier run", reason)
    if reason not in count.reasons and len(count.reasons) >= _REASONS:
        reason = "other reasons"
    count.reasons[reason] = count.reasons.get(reason, 0) + 1
