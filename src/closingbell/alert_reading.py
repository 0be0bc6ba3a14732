"""AlertReading: what the rules of alerts look at, read from the store and from what is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from closingbell.agenda import is_dependency
from closingbell.core.alert_rule import AlertRule
from closingbell.core.clock import Clock, from_micros
from closingbell.core.registry import TaskRegistry
from closingbell.core.schedule import Schedule
from closingbell.monitor.alerting.facts import (
    AccountWorth,
    EndingVenue,
    Facts,
    FailureCount,
    HeldRuns,
    LateSchedule,
    LostWorker,
    MissedRun,
    StoreSize,
    WaitingRuns,
)
from closingbell.monitor.window import read_figures
from closingbell.store.store import Store
from closingbell.triggers import Session, ending_calendars

if TYPE_CHECKING:
    from closingbell.trading.terms import AccountTerms

_SECOND = 1_000_000
#: What changes slowly is read anew after so many machine seconds.
_SLOW_S = 60.0
#: Further ahead than any calendar is known.
_FAR_DAYS = 100_000


class AlertReading:
    """Reads no more than the rules in force need."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        registry: TaskRegistry,
        accounts: Mapping[str, AccountTerms],
        read: Callable[[Mapping[str, Any]], Schedule | None],
    ) -> None:
        """Read from an open store.

        Args:
            store: of the app.
            clock: the desk's time.
            registry: the tasks that are known here.
            accounts: as the app declares them.
            read: turns a stored row into a schedule; None for a task that is unknown here.
        """
        self._store = store
        self._clock = clock
        self._registry = registry
        self._accounts = accounts
        self._read = read
        self._size: StoreSize | None = None
        self._ending: tuple[EndingVenue, ...] = ()
        #: When each of these two was last read.
        self._read_at: dict[str, float] = {}

    def facts(
        self, rules: Sequence[AlertRule], now: int, tags: Mapping[str, frozenset[str]]
    ) -> Facts:
        """Return what some rules look at."""
        by_kind: dict[str, list[AlertRule]] = {}
        for rule in rules:
            by_kind.setdefault(rule.kind, []).append(rule)
        read, store = self._store.alert_facts, self._store
        waiting = [*by_kind.get("overdue", ()), *by_kind.get("queue_age", ())]
        machine_now = store.queue.machine_micros()
        self._look_slowly(by_kind, now)
        return Facts(
            tags=tags,
            machine_now=machine_now,
            waiting=tuple(WaitingRuns(*r) for r in read.waiting(now - _shortest(waiting)))
            if waiting
            else (),
            late=tuple(LateSchedule(*row) for row in read.late(now - _shortest(by_kind["overdue"])))
            if "overdue" in by_kind
            else (),
            missed={
                rule.id: self._missed(rule, now, tags) for rule in by_kind.get("did_not_run", ())
            },
            lost=tuple(LostWorker(*row) for row in read.lost(machine_now))
            if "worker_lost" in by_kind
            else (),
            store=self._size,
            venues=self._ending,
            accounts=self._worths() if "drawdown" in by_kind else (),
            failures={
                rule.id: self._failures(rule, now) for rule in by_kind.get("failure_rate", ())
            },
            held=tuple(HeldRuns(*row) for row in read.held())
            if "approval_waiting" in by_kind
            else (),
        )

    def _missed(
        self, rule: AlertRule, now: int, tags: Mapping[str, frozenset[str]]
    ) -> tuple[MissedRun, ...]:
        before = now - _shortest([rule])
        rows = self._store.alert_facts.missed(before, rule.task, rule.schedule)
        return tuple(
            MissedRun(*row)
            for row in rows
            if rule.covers(row.task, tags.get(row.task, frozenset()))
        )

    def _failures(self, rule: AlertRule, now: int) -> tuple[FailureCount, ...]:
        window = round((rule.window_s or 0.0) * _SECOND)
        figures = read_figures(self._store.performance, now, rule.task, window)
        return tuple(
            FailureCount(task, one.failed, one.failed + one.success)
            for task, one in figures.items()
        )

    def _worths(self) -> tuple[AccountWorth, ...]:
        ledger = self._store.ledger
        last = [ledger.snapshots(account.name, limit=1) for account in ledger.accounts()]
        return tuple(
            AccountWorth(one.account, one.value, one.peak, one.at) for row in last for one in row
        )

    def _look_slowly(self, by_kind: Mapping[str, object], now: int) -> None:
        if "store_nearly_full" in by_kind and self._is_old("store_nearly_full"):
            self._size = StoreSize(*self._store.alert_facts.size())
        if "calendar_ending" in by_kind and self._is_old("calendar_ending"):
            self._ending = tuple(
                EndingVenue(one.venue, one.known_until.isoformat(), one.days_left)
                for one in ending_calendars(from_micros(now), _FAR_DAYS, self._venues())
            )

    def _is_old(self, kind: str) -> bool:
        at = self._clock.monotonic()
        if at - self._read_at.get(kind, float("-inf")) < _SLOW_S:
            return False
        self._read_at[kind] = at
        return True

    def _venues(self) -> tuple[str, ...]:
        """Return the calendars that tasks, stored schedules and accounts use."""
        triggers = [task.trigger for task in self._registry]
        for row in self._store.schedules.list_all():
            schedule = None if is_dependency(row["id"]) else self._read(row)
            triggers += [] if schedule is None else [schedule.trigger]
        used = {v for one in triggers if isinstance(one, Session) for v in one.venues}
        return tuple(sorted(used | {terms.calendar for terms in self._accounts.values()}))


def _shortest(rules: Sequence[AlertRule]) -> int:
    return round(min(rule.for_s or 0.0 for rule in rules) * _SECOND)
