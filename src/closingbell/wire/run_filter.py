"""Which runs are meant, as a request says it: field by field, in one line, or both."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, StringConstraints

from closingbell.core.error import FilterError
from closingbell.core.run import RunState
from closingbell.core.run_filter import CAUSES, HOLDS, RunFilter
from closingbell.core.run_filter_text import read_filter, read_session
from closingbell.wire.instant import Instant, aware
from closingbell.wire.text import Given, Name

#: By the name on the wire, the attribute of `RunFilter`.
_SAME = {
    "task": "task",
    "schedule": "schedule",
    "cause": "cause",
    "worker": "worker",
    "batch": "batch",
    "event": "event",
    "requested_by": "requested_by",
    "hold": "hold",
}
_LISTS = {
    "state": "states",
    "tag": "tags",
    "without_task": "without_tasks",
    "without_tag": "without_tags",
}
_INSTANTS = ("submitted_since", "submitted_until", "finished_since", "finished_until")


def _split(given: Any) -> Any:
    """Take 'failed,cancelled' for two."""
    if isinstance(given, list):
        return [
            part for one in given for part in (one.split(",") if isinstance(one, str) else [one])
        ]
    return given


_Names = Annotated[list[Name], Field(max_length=20)]


class RunFilterGiven(Given):
    """Which runs: those for which all that is said is true; nothing said means every run."""

    task: Name | None = Field(default=None, description="its name")
    state: Annotated[list[RunState], BeforeValidator(_split), Field(max_length=20)] = Field(
        default=[], description="any of these; several, or with commas in between"
    )
    tag: _Names = Field(default=[], description="all of these")
    without_task: _Names = Field(default=[], description="none of these")
    without_tag: _Names = Field(default=[], description="none of these")
    schedule: Name | None = Field(default=None, description="the schedule that fired them")
    cause: Name | None = Field(default=None, description=f"one of {', '.join(CAUSES)}")
    worker: Name | None = Field(default=None, description="the worker of the latest attempt")
    batch: Name | None = Field(default=None, description="the batch that they belong to")
    event: Name | None = Field(default=None, description="the event that started them")
    requested_by: Name | None = Field(default=None, description="who asked for them at the door")
    session_date: Annotated[str, StringConstraints(max_length=30)] | None = Field(
        default=None, description="a trading day, or from..to: 2026-11-02..2026-11-06"
    )
    hold: Name | None = Field(default=None, description=f"waits for people: {', '.join(HOLDS)}")
    submitted_since: Instant | None = None
    submitted_until: Instant | None = Field(default=None, description="before it")
    finished_since: Instant | None = None
    finished_until: Instant | None = Field(default=None, description="before it")
    q: Name | None = Field(
        default=None,
        description="found in the task's name, the reason or the error, or begins the id",
    )
    filter: Annotated[str, StringConstraints(max_length=2_000)] | None = Field(
        default=None,
        description='in one line, beside the fields: task:scan state:failed -tag:eod "out of memory"',
    )

    def read(self, timezone: str) -> RunFilter:
        """Return which runs are meant.

        Args:
            timezone: of instants that name none.

        Raises:
            FilterError: it cannot be meant, or something is said twice.
        """
        said: dict[str, Any] = {}
        for name, attribute in _SAME.items():
            said[attribute] = getattr(self, name)
        for name, attribute in _LISTS.items():
            said[attribute] = tuple(getattr(self, name))
        for name in _INSTANTS:
            given = getattr(self, name)
            said[name] = None if given is None else aware(given, timezone)
        if self.session_date is not None:
            said["session_from"], said["session_to"] = read_session(self.session_date)
        if self.q is not None:
            said["words"] = (self.q,)
        said = RunFilter(**said).said
        in_line = read_filter(self.filter or "", ZoneInfo(timezone)).said
        twice = sorted(said.keys() & in_line.keys())
        if twice:
            raise FilterError(twice[0], "it once: in `filter`, or as a field of its own")
        return RunFilter(**said, **in_line)
