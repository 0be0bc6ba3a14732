"""Errors of declarations: what the user declared cannot work."""

from __future__ import annotations

from collections.abc import Iterable

from closingbell.core.error.root import ClosingbellError


class DefinitionError(ClosingbellError, ValueError):
    """A declaration that cannot work; raised where it is given."""

    code = "definition_error"


class TaskDefinitionError(DefinitionError):
    """A task's options are wrong or contradict each other."""

    code = "task_definition"

    def __init__(self, task: str, problem: str) -> None:
        super().__init__(f"task {task!r}: {problem}")
        self.task = task
        self.problem = problem


class DuplicateTask(DefinitionError):
    """Two tasks claim one name."""

    code = "duplicate_task"

    def __init__(self, task: str) -> None:
        super().__init__(
            f"a task named {task!r} is already registered: task names are unique; "
            "give this one another name or unregister the first"
        )
        self.task = task


class CyclicDependency(DefinitionError):
    """`after=` leads back to where it started."""

    code = "cyclic_dependency"

    def __init__(self, path: Iterable[str]) -> None:
        self.path = list(path)
        super().__init__(
            f"after= forms a cycle: {' -> '.join(self.path)}; remove one of these dependencies"
        )


class TriggerError(DefinitionError):
    """An interval, time, cron expression, date or session rule cannot be read.

    Attributes:
        kind: which rule ("interval", "cron", "session", ...).
        given: what the user wrote.
        expected: what would have been right.
    """

    code = "invalid_trigger"

    def __init__(self, kind: str, given: object, expected: str) -> None:
        super().__init__(f"invalid {kind} {given!r}: expected {expected}")
        self.kind = kind
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class CalendarError(DefinitionError):
    """A trading venue is unknown, or its calendar cannot answer."""

    code = "invalid_calendar"

    def __init__(self, venue: str, problem: str) -> None:
        super().__init__(f"calendar {venue!r}: {problem}")
        self.venue = venue
        self.problem = problem


class TimezoneError(DefinitionError):
    """A time zone name that the tz database does not know."""

    code = "invalid_timezone"

    def __init__(self, given: object, near: str | None = None) -> None:
        hint = f"; did you mean {near!r}?" if near else ""
        super().__init__(
            f"unknown time zone {given!r}: expected an IANA name such as 'Europe/London'{hint}"
        )
        self.given = str(given)
        self.near = near


class PolicyError(DefinitionError):
    """A schedule or retry policy has an impossible value."""

    code = "invalid_policy"

    def __init__(self, policy: str, given: object, expected: str) -> None:
        super().__init__(f"invalid {policy} {given!r}: expected {expected}")
        self.policy = policy
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class SettingError(DefinitionError):
    """A setting has an impossible value or an unknown name."""

    code = "invalid_setting"

    def __init__(self, setting: str, given: object, expected: str) -> None:
        super().__init__(f"setting {setting!r} is {given!r}: expected {expected}")
        self.setting = setting
        self.given = str(given)
        self.expected = expected


class ConditionError(DefinitionError):
    """A `where=` condition on event data cannot be read."""

    code = "invalid_condition"

    def __init__(self, given: str, problem: str) -> None:
        super().__init__(f"invalid condition {given!r}: {problem}")
        self.given = given
        self.problem = problem


class FilterError(DefinitionError):
    """A filter of runs that cannot be read, or cannot be meant.

    Attributes:
        given: the part in question.
        expected: what would have been right.
        place: where it begins in the line, from 1; None when it did not come in a line.
    """

    code = "invalid_filter"

    def __init__(self, given: str, expected: str, place: int | None = None) -> None:
        where = "" if place is None else f" at character {place}"
        super().__init__(f"invalid filter{where}: {given!r}: expected {expected}")
        self.given = given
        self.expected = expected
        self.place = place


class AccountError(DefinitionError):
    """An account is declared with a term that is impossible, or twice."""

    code = "invalid_account"

    def __init__(self, account: str, term: str, given: object, expected: str) -> None:
        super().__init__(f"account {account!r}: {term} is {given!r}: expected {expected}")
        self.account = account
        self.term = term
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class AlertRuleError(DefinitionError):
    """A rule of alerts has an impossible value."""

    code = "invalid_alert_rule"

    def __init__(self, rule: str, field: str, given: object, expected: str) -> None:
        super().__init__(f"alert rule {rule!r}: {field} is {given!r}: expected {expected}")
        self.rule = rule
        self.field = field
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


class ChannelError(DefinitionError):
    """A channel is declared with an impossible option; what was given may be a secret."""

    code = "invalid_channel"

    def __init__(self, channel: str, option: str, expected: str) -> None:
        super().__init__(f"channel {channel!r}: invalid {option}: expected {expected}")
        self.channel = channel
        self.option = option
        self.expected = expected


class TargetError(DefinitionError):
    """The `module:app` that a command was given does not lead to an app."""

    code = "invalid_target"

    def __init__(self, target: str, problem: str) -> None:
        super().__init__(f"target {target!r}: {problem}")
        self.target = target
        self.problem = problem
