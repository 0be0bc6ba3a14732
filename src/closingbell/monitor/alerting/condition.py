"""Conditions: what a rule finds in the facts. Pure functions of (rule, facts, now)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from closingbell.core.alert import subject_of
from closingbell.core.alert_plan import Finding
from closingbell.core.alert_rule import AlertRule
from closingbell.core.clock import from_micros
from closingbell.monitor.alerting.facts import Facts

#: Before the subject of every alert that a rule raises.
RULE = "rule"
_SECOND = 1_000_000


def find(rule: AlertRule, facts: Facts, now: int) -> list[Finding]:
    """Return what a rule sees; one of a kind that is raised sees nothing by itself."""
    condition = _CONDITIONS.get(rule.kind)
    return [] if condition is None else list(condition(rule, facts, now))


def _found(
    rule: AlertRule,
    what: str,
    note: str,
    message: str,
    *,
    task: str | None = None,
    run_id: str | None = None,
    **data: Any,
) -> Finding:
    subject = subject_of(RULE, rule.id, what)
    return Finding(rule, subject, note, message, task, run_id, {"rule": rule.id, **data})


def _covers(rule: AlertRule, facts: Facts, task: str) -> bool:
    return rule.covers(task, facts.tags.get(task, frozenset()))


def _limit_us(rule: AlertRule) -> int:
    return round((rule.for_s or 0.0) * _SECOND)


def _overdue(rule: AlertRule, facts: Facts, now: int) -> Iterator[Finding]:
    limit = _limit_us(rule)
    late: dict[str, tuple[int, str, int]] = {}
    for one in facts.waiting:
        mine = rule.schedule in (None, one.schedule) and _covers(rule, facts, one.task)
        if mine and now - one.oldest_due_at > limit:
            due_at, run_id, runs = late.get(one.task, (one.oldest_due_at, one.oldest_id, 0))
            first = min((due_at, run_id), (one.oldest_due_at, one.oldest_id))
            late[one.task] = (*first, runs + one.runs)
    for task, (due_at, run_id, runs) in sorted(late.items()):
        more = "" if runs == 1 else f", and {runs - 1} more"
        yield _found(
            rule, f"task:{task}", run_id,
            f"a run of task {task!r} was due at {_at(due_at)} and has not started{more}",
            task=task, run_id=run_id, due_at=_at(due_at), runs=runs,
        )  # fmt: skip
    for firing in facts.late:
        mine = rule.schedule in (None, firing.schedule) and _covers(rule, facts, firing.task)
        if mine and now - firing.fire_at > limit:
            yield _found(
                rule, f"schedule:{firing.schedule}", str(firing.fire_at),
                f"schedule {firing.schedule!r} should have fired at {_at(firing.fire_at)} and has "
                "not",
                task=firing.task, schedule=firing.schedule, due_at=_at(firing.fire_at),
            )  # fmt: skip


def _did_not_run(rule: AlertRule, facts: Facts, _now: int) -> Iterator[Finding]:
    for one in facts.missed.get(rule.id, ()):
        why = "" if one.reason is None else f" (it was skipped: {one.reason})"
        yield _found(
            rule, f"schedule:{one.schedule}", str(one.fire_at),
            f"task {one.task!r} has not succeeded since {_at(one.fire_at)}, when its schedule "
            f"{one.schedule!r} was due{why}",
            task=one.task, run_id=one.run_id, schedule=one.schedule, due_at=_at(one.fire_at),
        )  # fmt: skip


def _queue_age(rule: AlertRule, facts: Facts, now: int) -> Iterator[Finding]:
    waiting = [one for one in facts.waiting if _covers(rule, facts, one.task)]
    oldest = min(waiting, key=lambda one: (one.oldest_due_at, one.oldest_id), default=None)
    if oldest is None or now - oldest.oldest_due_at <= _limit_us(rule):
        return
    age = _length(now - oldest.oldest_due_at)
    yield _found(
        rule, "queue", "queue",
        f"the oldest pending run, of task {oldest.task!r}, has waited for {age}",
        task=oldest.task, run_id=oldest.oldest_id, since=_at(oldest.oldest_due_at),
        runs=sum(one.runs for one in waiting),
    )  # fmt: skip


def _worker_lost(rule: AlertRule, facts: Facts, _now: int) -> Iterator[Finding]:
    for host in sorted({one.host for one in facts.lost}):
        lost = [w for w in facts.lost if w.host == host]
        lost = [w for w in lost if facts.machine_now - w.lost_at > _limit_us(rule)]
        if lost:
            last = max(lost, key=lambda one: (one.lost_at, one.id))
            yield _found(
                rule, f"host:{host}", last.id,
                f"worker {last.id} on {host} was lost at {_at(last.lost_at)}, and none has taken "
                "its place",
                worker=last.id, host=host, lost_at=_at(last.lost_at), workers=len(lost),
            )  # fmt: skip


def _store_nearly_full(rule: AlertRule, facts: Facts, _now: int) -> Iterator[Finding]:
    size = facts.store
    if size is None:
        return
    if rule.fraction is not None and size.free is not None and size.free < rule.fraction:
        yield _found(
            rule, "disk", "disk",
            f"{size.free:.1%} of the store's disk is free, less than {rule.fraction:.1%}",
            free=round(size.free, 4), size_bytes=size.size_bytes,
        )  # fmt: skip
    if rule.size_bytes is not None and size.size_bytes > rule.size_bytes:
        yield _found(
            rule, "size", "size",
            f"the store is {size.size_bytes:,} bytes large, more than {rule.size_bytes:,}",
            size_bytes=size.size_bytes,
        )  # fmt: skip


def _calendar_ending(rule: AlertRule, facts: Facts, _now: int) -> Iterator[Finding]:
    for one in facts.venues:
        if one.days_left <= (rule.days or 0) and rule.venue in (None, one.venue):
            ends = "ended" if one.days_left < 0 else f"ends in {one.days_left} days"
            yield _found(
                rule, f"venue:{one.venue}", one.known_until,
                f"the calendar of {one.venue} {ends}: it is known until {one.known_until}",
                venue=one.venue, known_until=one.known_until, days_left=one.days_left,
            )  # fmt: skip


def _drawdown(rule: AlertRule, facts: Facts, _now: int) -> Iterator[Finding]:
    for one in facts.accounts:
        if rule.account not in (None, one.account) or one.peak <= 0:
            continue
        fallen = (one.peak - one.value) / one.peak
        if fallen > (rule.fraction or 0.0):
            yield _found(
                rule, f"account:{one.account}", f"peak {one.peak}",
                f"account {one.account!r} is {fallen:.1%} below its peak of {one.peak:,}, more "
                f"than {rule.fraction:.1%}",
                account=one.account, drawdown=str(round(fallen, 6)), value=str(one.value),
                peak=str(one.peak),
            )  # fmt: skip


def _failure_rate(rule: AlertRule, facts: Facts, _now: int) -> Iterator[Finding]:
    for one in facts.failures.get(rule.id, ()):
        if one.judged < (rule.count or 1) or not _covers(rule, facts, one.task):
            continue
        if one.failed / one.judged > (rule.fraction or 0.0):
            span = _length(round((rule.window_s or 0.0) * _SECOND))
            yield _found(
                rule, f"task:{one.task}", "rate",
                f"{one.failed} of {one.judged} runs of task {one.task!r} failed in the last {span}",
                task=one.task, failed=one.failed, judged=one.judged,
            )  # fmt: skip


def _approval_waiting(rule: AlertRule, facts: Facts, now: int) -> Iterator[Finding]:
    for one in facts.held:
        if now - one.since > _limit_us(rule) and _covers(rule, facts, one.task):
            more = "" if one.runs == 1 else f", and {one.runs - 1} more"
            yield _found(
                rule, f"task:{one.task}", one.oldest_id,
                f"a run of task {one.task!r} waits for approval since {_at(one.since)}{more}",
                task=one.task, run_id=one.oldest_id, since=_at(one.since), runs=one.runs,
            )  # fmt: skip


def _at(micros: int) -> str:
    return from_micros(micros).isoformat(timespec="seconds").replace("+00:00", "Z")


def _length(micros: int) -> str:
    return str(timedelta(seconds=micros // _SECOND))


_CONDITIONS: dict[str, Callable[[AlertRule, Facts, int], Iterator[Finding]]] = {
    "overdue": _overdue,
    "did_not_run": _did_not_run,
    "queue_age": _queue_age,
    "worker_lost": _worker_lost,
    "store_nearly_full": _store_nearly_full,
    "calendar_ending": _calendar_ending,
    "drawdown": _drawdown,
    "failure_rate": _failure_rate,
    "approval_waiting": _approval_waiting,
}
