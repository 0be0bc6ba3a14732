"""AlertRule: what to look for, who is told, and how often."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from closingbell.core.alert import SEVERITIES
from closingbell.core.alert_kind import FILTERS, KINDS, UNITS, AlertKind
from closingbell.core.error import AlertRuleError, PolicyError, near_name
from closingbell.core.quiet_hours import QuietHours, read_quiet_hours

#: In a rule's channels: every channel that is declared.
EVERY_CHANNEL = "*"
#: Where a rule comes from.
SOURCES = ("code", "api", "default")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}", re.ASCII)
_SHORTEST_REPEAT_S = 60.0
_LONGEST_S = 400 * 86_400.0
_MOST = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """One rule. A threshold is in the unit of its kind; see `closingbell.core.alert_kind`.

    Attributes:
        id: unique; stable, so that a restart changes the rule and makes no second one.
        kind: what it looks for.
        task: only of this task.
        tag: only of tasks with this tag.
        schedule: only of this schedule.
        account: only of this account.
        venue: only of this calendar.
        for_s: how long something may last, in seconds.
        window_s: how far back it looks, in seconds.
        fraction: the part of a whole that is too much, or too little.
        count: how often, or of how many at least.
        size_bytes: the largest size.
        days: how many days ahead.
        severity: of its alerts; None = that of the kind, or as it was raised.
        channels: who is told; "*" = every channel.
        repeat_s: tell again so often while it is open and nobody acknowledged it; None = once.
        quiet_hours: when only what is critical is told; the rest waits for their end.
        escalate_after_s: tell `escalate_to` when nobody has acknowledged it by then.
        escalate_to: channels.
        auto_clear: whether an alert clears when its cause is gone.
        enabled: whether it is in force.
    """

    id: str
    kind: str
    task: str | None = None
    tag: str | None = None
    schedule: str | None = None
    account: str | None = None
    venue: str | None = None
    for_s: float | None = None
    window_s: float | None = None
    fraction: float | None = None
    count: int | None = None
    size_bytes: int | None = None
    days: int | None = None
    severity: str | None = None
    channels: tuple[str, ...] = ()
    repeat_s: float | None = None
    quiet_hours: QuietHours | None = None
    escalate_after_s: float | None = None
    escalate_to: tuple[str, ...] = ()
    auto_clear: bool = False
    enabled: bool = True

    @property
    def about(self) -> AlertKind:
        """Its kind."""
        return KINDS[self.kind]

    @property
    def narrowness(self) -> int:
        """How many things it is limited to."""
        return sum(getattr(self, name) is not None for name in FILTERS)

    def covers(self, task: str | None, tags: Collection[str]) -> bool:
        """Whether it is about a task, by its filters of tasks."""
        if self.task is not None and self.task != task:
            return False
        return self.tag is None or self.tag in tags

    def told(self, channels: tuple[str, ...], known: Sequence[str]) -> tuple[str, ...]:
        """Return the names of some of its channels, each once; `known` is what "*" means."""
        found: dict[str, None] = {}
        for name in channels:
            found.update(dict.fromkeys(known if name == EVERY_CHANNEL else (name,)))
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, as `read_alert_rule` takes them; what is None is left out."""
        values: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, QuietHours):
                value = value.to_dict()
            if value is not None:
                values[one.name] = list(value) if isinstance(value, tuple) else value
        return values


_FIELDS = {one.name for one in fields(AlertRule)}


def read_alert_rule(given: Mapping[str, Any], zone: str = "UTC") -> AlertRule:
    """Read a rule, with the defaults of its kind.

    Args:
        given: fields of `AlertRule`; `kind` at least. Without an id it gets one from what it is
            limited to.
        zone: of quiet hours that name none.

    Raises:
        AlertRuleError: a value is impossible, or the kind does not take it.
    """
    values = {name: value for name, value in given.items() if value is not None}
    rule = _Reading(str(values.get("id", "new")))
    kind = rule.choice("kind", values.get("kind"), KINDS)
    about = KINDS[kind]
    for name in values:
        if name not in _FIELDS:
            near = near_name(name, _FIELDS)
            hint = f"did you mean {near!r}?" if near else "a field of an alert rule"
            raise AlertRuleError(rule.name, str(name), values[name], hint)
    limits: dict[str, Any] = {
        name: rule.word(name, values[name]) for name in FILTERS if name in values
    }
    for name in limits:
        if name not in about.filters:
            takes = "one of " + ", ".join(about.filters) if about.filters else "no filter"
            raise AlertRuleError(rule.name, name, limits[name], f"{takes} for kind {kind}")
    identity = values.get("id") or "-".join((kind, *limits.values())).replace(" ", "-")
    if not isinstance(identity, str) or not _ID.fullmatch(identity):
        raise AlertRuleError(
            rule.name, "id", identity, "up to 100 letters, digits, '-', '_', '.' or ':'"
        )
    rule = _Reading(identity)
    read = AlertRule(
        id=identity,
        kind=kind,
        **limits,
        **rule.thresholds(about, values),
        severity=rule.severity(values.get("severity"), about),
        channels=rule.channels("channels", values.get("channels", ())),
        repeat_s=rule.duration("repeat_s", values.get("repeat_s"), _SHORTEST_REPEAT_S),
        quiet_hours=rule.quiet(values.get("quiet_hours"), zone),
        escalate_after_s=rule.duration("escalate_after_s", values.get("escalate_after_s"), 0.0),
        escalate_to=rule.channels("escalate_to", values.get("escalate_to", ())),
        auto_clear=rule.truth("auto_clear", values, about.ends and not about.is_raised),
        enabled=rule.truth("enabled", values, True),
    )
    if (read.escalate_after_s is None) != (not read.escalate_to):
        raise AlertRuleError(
            read.id, "escalate_to", list(read.escalate_to), "channels with escalate_after_s"
        )
    if read.auto_clear and not about.ends:
        raise AlertRuleError(read.id, "auto_clear", True, f"False: the end of {kind} is not seen")
    return read


class _Reading:
    """Reads the values of one rule."""

    def __init__(self, name: str) -> None:
        self.name = name

    def choice(self, field: str, given: Any, known: Collection[str]) -> str:
        if isinstance(given, str) and given in known:
            return given
        near = near_name(given, known) if isinstance(given, str) else None
        hint = f"; did you mean {near!r}?" if near else ""
        raise AlertRuleError(self.name, field, given, "one of " + ", ".join(known) + hint)

    def word(self, field: str, given: Any) -> str:
        if not isinstance(given, str) or not 0 < len(given) <= 200 or not given.isprintable():
            raise AlertRuleError(self.name, field, given, "a name, up to 200 characters")
        return given

    def severity(self, given: Any, about: AlertKind) -> str | None:
        if given is None:
            return about.severity
        return self.choice("severity", str(given).upper(), SEVERITIES)

    def channels(self, field: str, given: Any) -> tuple[str, ...]:
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise AlertRuleError(self.name, field, given, "a list of channel names")
        return tuple(dict.fromkeys(self.word(field, name) for name in given))

    def truth(self, field: str, values: Mapping[str, Any], default: bool) -> bool:
        given = values.get(field, default)
        if not isinstance(given, bool):
            raise AlertRuleError(self.name, field, given, "True or False")
        return given

    def duration(self, field: str, given: Any, least: float) -> float | None:
        if given is None:
            return None
        return self.number(field, given, f"seconds, {least:g} or more", least, _LONGEST_S)

    def number(self, field: str, given: Any, expected: str, least: float, most: float) -> float:
        is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
        if not is_number or not least <= given <= most:
            raise AlertRuleError(self.name, field, given, expected)
        return float(given)

    def quiet(self, given: Any, zone: str) -> QuietHours | None:
        if given is None:
            return None
        try:
            return read_quiet_hours(given, zone)
        except PolicyError as problem:
            raise AlertRuleError(
                self.name, "quiet_hours", problem.given, problem.expected
            ) from problem

    def thresholds(self, about: AlertKind, values: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field, (unit, whole) in UNITS.items():
            given = values.get(field)
            if field not in about.thresholds:
                if given is not None:
                    takes = ", ".join(about.thresholds) or "no threshold"
                    raise AlertRuleError(self.name, field, given, f"{takes} for {about.name}")
                continue
            if given is None:
                given = about.thresholds[field]
            if given is not None:
                found[field] = self._threshold(field, given, unit, whole)
        if about.needed is not None and about.needed not in found:
            unit = UNITS[about.needed][0]
            raise AlertRuleError(self.name, about.needed, None, f"{unit}, for {about.name}")
        return found

    def _threshold(self, field: str, given: Any, unit: str, whole: bool) -> float | int:
        least = 1.0 if whole else 0.0
        most = {"fraction": 1.0, "for_s": _LONGEST_S, "window_s": _LONGEST_S}.get(field, _MOST)
        expected = f"{unit}, {least:g} or more" if field != "fraction" else unit
        number = self.number(field, given, expected, least, most)
        if whole and number != int(number):
            raise AlertRuleError(self.name, field, given, expected)
        return int(number) if whole else number


def default_rules() -> tuple[AlertRule, ...]:
    """Return the rules that every store has until somebody changes or disables them."""
    kinds = [
        kind for kind in KINDS.values() if all(v is not None for v in kind.thresholds.values())
    ]
    kinds.append(KINDS["store_nearly_full"])
    made = (read_alert_rule({"id": f"default-{kind.name}", "kind": kind.name}) for kind in kinds)
    chosen = [replace(rule, channels=(EVERY_CHANNEL,)) for rule in made]
    return tuple(sorted(chosen, key=lambda rule: rule.id))
