"""AlertKind: what alerts are about, what their thresholds are measured in, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: What a rule may measure, by field: the name of its unit, and whether it is a whole number.
UNITS: dict[str, tuple[str, bool]] = {
    "for_s": ("seconds", False),
    "window_s": ("seconds", False),
    "fraction": ("a fraction, 0 to 1", False),
    "count": ("a whole number", True),
    "size_bytes": ("bytes", True),
    "days": ("days", True),
}
#: What a rule may be limited to.
FILTERS = ("task", "tag", "schedule", "account", "venue")
_OF_TASKS = ("task", "tag")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertKind:
    """One kind of cause.

    Attributes:
        name: as rules and alerts name it.
        meaning: one sentence: when there is such an alert.
        advice: what a person does about it.
        severity: how urgent it is when the rule does not say; None = as it was raised.
        thresholds: by field, what a rule compares with when it does not say; None = nothing.
        needed: the threshold that every rule must give, where no default would be right.
        filters: what a rule of the kind may be limited to.
        is_raised: whether the engine or a task raises it as it happens; else a rule looks.
        ends: whether its end can be seen, so that it clears by itself; by default it then does,
            unless the kind is raised.
    """

    name: str
    meaning: str
    advice: str
    severity: str | None = None
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    needed: str | None = None
    filters: tuple[str, ...] = ()
    is_raised: bool = False
    ends: bool = True


_RAISED = {"count": 1.0}

#: Every kind, by name.
KINDS: dict[str, AlertKind] = {
    kind.name: kind
    for kind in (
        AlertKind(
            name="task_failure",
            meaning="A run failed for good. It counts the failures of its task.",
            advice="Read the run's error, mend its cause, and retry the run.",
            thresholds=_RAISED,
            filters=_OF_TASKS,
            is_raised=True,
        ),
        AlertKind(
            name="long_execution",
            meaning="A run that succeeded took longer than the setting `long_execution_s`.",
            advice="See whether the task has more to do than before, or waits for something.",
            thresholds=_RAISED,
            filters=_OF_TASKS,
            is_raised=True,
            ends=False,
        ),
        AlertKind(
            name="poison_run",
            meaning="A run lost its worker so often that it was parked (setting `poison_after`).",
            advice="Find out why it kills its worker (memory?) before you retry it.",
            thresholds=_RAISED,
            filters=_OF_TASKS,
            is_raised=True,
        ),
        AlertKind(
            name="task_alert",
            meaning="A task called `send_alert`; the severity is the task's.",
            advice="Do what the task's message asks for.",
            thresholds=_RAISED,
            filters=_OF_TASKS,
            is_raised=True,
            ends=False,
        ),
        AlertKind(
            name="desk_failure",
            meaning="The desk could not do its work, such as reading a broker's answer.",
            advice="Read the message; the desk tries again by itself.",
            thresholds=_RAISED,
            is_raised=True,
            ends=False,
        ),
        AlertKind(
            name="event_refused",
            meaning="A trading event could not start a task, as its payload does not fit.",
            advice="Mend the task's signature or its event trigger.",
            thresholds=_RAISED,
            filters=_OF_TASKS,
            is_raised=True,
            ends=False,
        ),
        AlertKind(
            name="notification_failed",
            meaning="A channel did not take a message, for a day or for good.",
            advice="Mend the channel, and try it with `closingbell alert test-channel`.",
            thresholds=_RAISED,
            is_raised=True,
            ends=False,
        ),
        AlertKind(
            name="archive_failed",
            meaning="What is old could not be archived (setting `archive`), and so nothing is "
            "pruned. It is cleared as soon as the archive works again.",
            advice="Make the folder or the object store reachable and writable, with room.",
            thresholds=_RAISED,
            is_raised=True,
            # The archive sees its end itself; a rule has no say in it.
            ends=False,
        ),
        AlertKind(
            name="overdue",
            meaning="A run has not started, or a schedule has not fired, `for_s` after it was due.",
            advice="See whether workers and a scheduler are alive, and have free slots.",
            severity="ERROR",
            thresholds={"for_s": 300.0},
            filters=("task", "tag", "schedule"),
        ),
        AlertKind(
            name="did_not_run",
            meaning="A task has not succeeded within `for_s` of the instant of its schedule.",
            advice="See what became of the schedule's last firings and of their runs.",
            severity="ERROR",
            thresholds={"for_s": None},
            needed="for_s",
            filters=("task", "tag", "schedule"),
        ),
        AlertKind(
            name="queue_age",
            meaning="The oldest pending run has waited longer than `for_s`.",
            advice="Add workers or slots, or see which runs hold them.",
            severity="WARNING",
            thresholds={"for_s": None},
            needed="for_s",
            filters=_OF_TASKS,
        ),
        AlertKind(
            name="worker_lost",
            meaning="A worker's lease ended without a goodbye, and for `for_s` no worker has "
            "started on its host.",
            advice="Start it again, and read its host's log (out of memory?).",
            severity="ERROR",
            thresholds={"for_s": 60.0},
        ),
        AlertKind(
            name="store_nearly_full",
            meaning="Of the disk of a SQLite store less than `fraction` is free, or the database, "
            "of either kind, is larger than `size_bytes`.",
            advice="Free space, shorten the retention, or move the store.",
            severity="CRITICAL",
            thresholds={"fraction": 0.05, "size_bytes": None},
        ),
        AlertKind(
            name="calendar_ending",
            meaning="A calendar in use ends within `days`; later sessions are unknown.",
            advice="Install a newer closingbell, or add the days to your calendar file.",
            severity="WARNING",
            thresholds={"days": 45.0},
            filters=("venue",),
        ),
        AlertKind(
            name="drawdown",
            meaning="An account is more than `fraction` below its peak.",
            advice="Look at the account's positions before the next orders go out.",
            severity="CRITICAL",
            thresholds={"fraction": None},
            needed="fraction",
            filters=("account",),
        ),
        AlertKind(
            name="failure_rate",
            meaning="Of a task's runs in the last `window_s` more than `fraction` failed, of "
            "`count` runs at least.",
            advice="See what the failed runs have in common.",
            severity="ERROR",
            thresholds={"fraction": None, "window_s": 3_600.0, "count": 5.0},
            needed="fraction",
            filters=_OF_TASKS,
        ),
        AlertKind(
            name="approval_waiting",
            meaning="A run has waited for a person's approval longer than `for_s`.",
            advice="Approve it or reject it.",
            severity="WARNING",
            thresholds={"for_s": 3_600.0},
            filters=_OF_TASKS,
        ),
    )
}
