"""The plan: which alerts are raised, counted and cleared, and who is told when.

A pure function of what stands and what was found. Each action names the state that it was planned
from, so that of two watchers one changes something and the other nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from closingbell.core.alert import Alert, AlertState, alert_id, subject_of
from closingbell.core.alert_kind import KINDS
from closingbell.core.alert_plan import Count, Finding, Plan, Step
from closingbell.core.alert_rule import AlertRule
from closingbell.core.clock import from_micros, to_micros
from closingbell.core.notification import Notification, Occasion, notification_id
from closingbell.monitor.alerting.condition import RULE
from closingbell.monitor.alerting.message import compose

_SECOND = 1_000_000
_DEFAULT = "default-"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store holds.

    Attributes:
        watched: open alerts that rules raised, and those whose end is looked for.
        due: alerts that are to be routed, or whose next step is due, or that were cleared and
            whose end is to be told.
        told: by the id of a cleared alert, the channels that were told of it.
        dismissed: subject and note of what a person cleared not long ago.
        recovered: tasks with the instant of their last success, where somebody asks.
    """

    watched: Sequence[Alert] = ()
    due: Sequence[Alert] = ()
    told: Mapping[str, Sequence[str]] = field(default_factory=dict)
    dismissed: frozenset[tuple[str, str]] = frozenset()
    recovered: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Telling:
    """How people are told: the channels that are declared, tags of tasks, and for links a root."""

    channels: tuple[str, ...] = ()
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    public_url: str | None = None


def plan(
    standing: Standing,
    findings: Sequence[Finding] | None,
    rules: Iterable[AlertRule],
    now: int,
    telling: Telling,
    lingering: frozenset[str] = frozenset(),
) -> Plan:
    """Return what to do.

    Args:
        standing: what the store holds.
        findings: what the rules see; None = nobody has looked, so nothing is raised or cleared.
        rules: those in force.
        now: the desk's time.
        telling: how people are told.
        lingering: subjects that are not seen any more, but not yet for long enough.
    """
    by_id = {rule.id: rule for rule in rules if rule.enabled}
    steps = tuple(_step(alert, standing, by_id, now, telling) for alert in standing.due)
    if findings is None:
        return Plan(steps=steps)
    found = [*findings, *_counted(standing.watched, by_id, telling)]
    open_now = {alert.subject: alert for alert in standing.watched}
    counts: list[Count] = []
    raises: dict[str, Step] = {}
    for finding in found:
        alert = open_now.get(finding.subject)
        if alert is None:
            if (finding.subject, finding.note) not in standing.dismissed:
                raises.setdefault(finding.subject, _raise(finding, now, telling))
        elif alert.note != finding.note:
            counts.append(Count(alert.id, alert.note, finding))
    seen = {finding.subject for finding in found} | lingering
    clears = tuple(a for a in standing.watched if _is_over(a, seen, by_id, standing.recovered))
    # What is over now is told to be over by the next look, and nothing else.
    over = {alert.id for alert in clears}
    steps = tuple(step for step in steps if step.alert.id not in over)
    return Plan(clears, tuple(counts), tuple(raises.values()), steps)


def rule_of(alert: Alert, rules: Iterable[AlertRule], tags: frozenset[str]) -> AlertRule | None:
    """Return the rule that an alert follows: the one that raised it, else the narrowest."""
    if _is_of_rule(alert):
        return next((rule for rule in rules if rule.id == alert.rule_id), None)
    mine = [
        rule
        for rule in rules
        if rule.kind == alert.type
        and (rule.count or 1) == 1
        and rule.enabled
        and rule.covers(alert.task, tags)
    ]
    return min(mine, key=lambda r: (-r.narrowness, r.id.startswith(_DEFAULT), r.id), default=None)


def moved(severity: str, rule: AlertRule, at: int) -> int:
    """Return when a message that is due at `at` may go out: quiet hours hold back most."""
    if severity == "CRITICAL" or rule.quiet_hours is None:
        return at
    return to_micros(rule.quiet_hours.until(from_micros(at)))


# --- causes ------------------------------------------------------------------------------


def _is_of_rule(alert: Alert) -> bool:
    return alert.subject.startswith(RULE + ":")


def _counted(
    watched: Sequence[Alert], rules: Mapping[str, AlertRule], telling: Telling
) -> Iterable[Finding]:
    """Yield what rules find that want an alert to have happened several times."""
    for rule in rules.values():
        needed = rule.count or 1
        if not rule.about.is_raised or needed == 1:
            continue
        for alert in watched:
            tags = telling.tags.get(alert.task or "", frozenset())
            if (
                alert.type == rule.kind
                and not _is_of_rule(alert)
                and alert.count >= needed
                and rule.covers(alert.task, tags)
            ):
                subject = subject_of(RULE, rule.id, alert.subject)
                message = f"{alert.count} times: {alert.message}"
                yield Finding(
                    rule, subject, alert.id, message, alert.task, alert.run_id,
                    {"rule": rule.id, "of": alert.id},
                )  # fmt: skip


def _raise(finding: Finding, now: int, telling: Telling) -> Step:
    rule = finding.rule
    alert = Alert(
        id=alert_id(finding.subject, now),
        type=rule.kind,
        severity=rule.severity or "WARNING",
        subject=finding.subject,
        rule_id=rule.id,
        task=finding.task,
        run_id=finding.run_id,
        message=finding.message,
        data=finding.data,
        count=1,
        note=finding.note,
        raised_at=now,
        last_at=now,
    )
    return _routed(alert, rule, now, telling)


def _is_over(
    alert: Alert,
    seen: Iterable[str],
    rules: Mapping[str, AlertRule],
    recovered: Mapping[str, int],
) -> bool:
    rule = rules.get(alert.rule_id or "")
    if _is_of_rule(alert):
        # A rule that is gone, or not in force, watches nothing any more.
        return rule is None or (alert.subject not in seen and (rule.auto_clear or _rests(rule)))
    if rule is None or not rule.auto_clear or alert.task is None:
        return False
    return recovered.get(alert.task, alert.last_at) > alert.last_at


def _rests(rule: AlertRule) -> bool:
    # An alert of a rule that counts others ends with what it counted.
    return KINDS[rule.kind].is_raised


# --- who is told ---------------------------------------------------------------------------


def _step(
    alert: Alert, standing: Standing, rules: Mapping[str, AlertRule], now: int, telling: Telling
) -> Step:
    tags = telling.tags.get(alert.task or "", frozenset())
    rule = rule_of(alert, rules.values(), tags)
    if alert.state is AlertState.CLEARED:
        return _ended(alert, rule, standing.told.get(alert.id, ()), now, telling)
    if alert.routed_at is None:
        return _routed(alert, rule, now, telling)
    nothing = Step(alert, alert.next_step_at, False, alert.rule_id, alert.severity, None, ())
    if rule is None or alert.acknowledged_at is not None or alert.next_step_at is None:
        return nothing
    since, made = alert.next_step_at, list[Notification]()
    escalates_at = _escalates_at(alert, rule)
    if escalates_at is not None and since <= escalates_at <= now:
        made += _notices(alert, rule, Occasion.ESCALATED, 0, rule.escalate_to, now, telling)
    if rule.repeat_s is not None:
        every = round(rule.repeat_s * _SECOND)
        ordinal = (now - alert.raised_at) // every
        if ordinal >= 1 and alert.raised_at + ordinal * every >= since:
            made += _notices(alert, rule, Occasion.REPEATED, ordinal, rule.channels, now, telling)
    return nothing._replace(next_step_at=_next_step(alert, rule, now), notifications=tuple(made))


def _routed(alert: Alert, rule: AlertRule | None, now: int, telling: Telling) -> Step:
    if rule is None:
        return Step(alert, None, True, None, alert.severity, None, ())
    alert = replace(alert, rule_id=rule.id, severity=rule.severity or alert.severity)
    if alert.acknowledged_at is not None:
        return Step(alert, None, True, rule.id, alert.severity, None, ())
    made = _notices(alert, rule, Occasion.RAISED, 0, rule.channels, now, telling)
    return Step(
        alert, None, True, rule.id, alert.severity, _next_step(alert, rule, now), tuple(made)
    )


def _ended(
    alert: Alert, rule: AlertRule | None, told: Sequence[str], now: int, telling: Telling
) -> Step:
    made: list[Notification] = []
    if rule is not None:
        made = _notices(alert, rule, Occasion.CLEARED, 0, tuple(told), now, telling)
    return Step(alert, alert.next_step_at, False, alert.rule_id, alert.severity, None, tuple(made))


def _escalates_at(alert: Alert, rule: AlertRule) -> int | None:
    if rule.escalate_after_s is None:
        return None
    return alert.raised_at + round(rule.escalate_after_s * _SECOND)


def _next_step(alert: Alert, rule: AlertRule, now: int) -> int | None:
    """Return when an alert that nobody acknowledges is told again."""
    ahead = [at for at in (_escalates_at(alert, rule),) if at is not None and at > now]
    if rule.repeat_s is not None:
        every = round(rule.repeat_s * _SECOND)
        # What quiet hours hold back stands for every repeat until they end.
        after = moved(alert.severity, rule, now)
        ahead.append(alert.raised_at + ((after - alert.raised_at) // every + 1) * every)
    return min(ahead, default=None)


def _notices(
    alert: Alert,
    rule: AlertRule,
    occasion: Occasion,
    ordinal: int,
    channels: tuple[str, ...],
    now: int,
    telling: Telling,
) -> list[Notification]:
    body = compose(alert, occasion, telling.public_url)
    # Of a channel that fails nobody is told by that channel.
    failing = alert.data.get("channel") if alert.type == "notification_failed" else None
    return [
        Notification(
            id=notification_id(alert.id, occasion, ordinal, channel),
            alert_id=alert.id,
            channel=channel,
            occasion=str(occasion),
            body=body,
            state="pending",
            attempts=0,
            fence=0,
            next_at=moved(alert.severity, rule, now),
            created_at=now,
            sent_at=None,
            error=None,
        )
        for channel in rule.told(channels, telling.channels)
        if channel != failing
    ]
