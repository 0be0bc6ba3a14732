"""SimulationResult: everything that a simulation leaves behind, before anybody makes a report of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from closingbell.core.book import RoundTrip
from closingbell.core.entry import Entry
from closingbell.core.ledger import Snapshot
from closingbell.core.order import Order
from closingbell.simulation.firing import FiringSpool
from closingbell.trading.terms import AccountTerms


@dataclass(slots=True, kw_only=True)
class AccountResult:
    """What became of one account.

    Attributes:
        terms: what it was.
        entries: its whole journal, in order; the first is the deposit it began with.
        orders: all orders, by (created_at, id).
        snapshots: its equity curve. The first point is the start of the window, before any bar;
            then one for each daily close of its venue, and one at the end of the window where
            prices moved after the last daily close.
        round_trips: positions, or parts of them, that were closed again, in order.
        prices: the last price of each symbol that has one, in the symbol's currency.
    """

    terms: AccountTerms
    entries: Sequence[Entry] = ()
    orders: Sequence[Order] = ()
    snapshots: Sequence[Snapshot] = ()
    round_trips: Sequence[RoundTrip] = ()
    prices: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class TaskCount:
    """How one task fared.

    Attributes:
        runs: runs that came to an end, by any way; the next four add up to it.
        attempts: attempts that were started.
        timed_out: attempts that ran too long.
        skipped_firings: firings that made no run.
        unfinished: runs that the end of the window cut off.
        reasons: why runs and firings ended otherwise than by success, with how often.
        last_error: "Type: message" of the last failed attempt.
        sleep_s: simulated seconds that its runs took in all.
    """

    runs: int = 0
    success: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0
    attempts: int = 0
    timed_out: int = 0
    skipped_firings: int = 0
    unfinished: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    last_error: str | None = None
    sleep_s: float = 0.0


class SimulatedAlert(NamedTuple):
    """An alert that a person would have seen.

    Attributes:
        at: when, in simulated microseconds.
        type: "task_alert" (sent by a task), "task_failure" or "long_execution".
        data: JSON values.
    """

    at: int
    type: str
    severity: str
    message: str
    task: str | None
    run_id: str | None
    data: Mapping[str, Any]


class RunOutput(NamedTuple):
    """What a run printed and logged, and how it ended.

    Attributes:
        at: when it ended, in simulated microseconds.
        error: `code`, `type`, `message`, `traceback`; None for a run that did not fail.
        logs: (stream, text) pieces in order.
    """

    at: int
    task: str
    run_id: str
    attempt: int
    state: str
    error: Mapping[str, Any] | None
    logs: Sequence[tuple[str, str]]


@dataclass(slots=True, kw_only=True)
class EventCounts:
    """How much happened; the measure of speed is `total` in a machine second.

    Attributes:
        market: openings and closings of bars, one for each slice.
        bars: bars in those slices, each counted once.
        firings: firings of schedules, skipped ones included.
        runs: attempts that were started.
        facts: events that the ledger emitted.
        wakeups: sleepers that woke, retries and delayed runs that fell due.
        entries: lines that were written to the journals.
    """

    market: int = 0
    bars: int = 0
    firings: int = 0
    runs: int = 0
    facts: int = 0
    wakeups: int = 0
    entries: int = 0

    @property
    def total(self) -> int:
        """All of them, each once: bars count with their slices, runs with what started them."""
        return self.market + self.firings + self.facts + self.wakeups + self.entries


@dataclass(slots=True, kw_only=True)
class SimulationResult:
    """Everything that a simulation leaves behind.

    All but `machine_s` and `task_machine_s` is the same for the same tasks, data and seed.

    Attributes:
        start, end: the window, in microseconds; `end` is its last instant.
        timezone: the app's.
        parameters: what the backtest was asked for, as JSON values.
        accounts: by name.
        tasks: counts by task name, in the order of registration; every task that took part.
        firings: a line for each firing and run.
        alerts: in order; at most `KEPT_ALERTS`, `alert_count` says how many there were.
        failures: what failed attempts printed, in order, the first `KEPT_FAILURES`.
        output: what other runs printed: the last `KEPT_OUTPUT` runs that printed anything.
        facts: events by type, with how often, those that no task wanted left out.
        not_done: what tasks asked for and a backtest does not do, such as "backup_database",
            with how often.
        notes: sentences that a reader of the report should know.
        events: how much happened.
        machine_s: machine seconds that the simulation took.
        task_machine_s: machine seconds spent in each task's own code.
    """

    start: int
    end: int
    seed: int
    timezone: str
    parameters: Mapping[str, Any]
    accounts: Mapping[str, AccountResult]
    tasks: Mapping[str, TaskCount]
    firings: FiringSpool
    alerts: Sequence[SimulatedAlert] = ()
    alert_count: int = 0
    failures: Sequence[RunOutput] = ()
    output: Sequence[RunOutput] = ()
    facts: Mapping[str, int] = field(default_factory=dict)
    not_done: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    events: EventCounts = field(default_factory=EventCounts)
    machine_s: float = 0.0
    task_machine_s: Mapping[str, float] = field(default_factory=dict)


#: Alerts that are kept.
KEPT_ALERTS = 10_000
#: Failed attempts whose output and error are kept.
KEPT_FAILURES = 200
#: Other runs whose output is kept, the latest.
KEPT_OUTPUT = 50
