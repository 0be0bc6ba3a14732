"""RunFilter: which runs are meant."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

from closingbell.core.error import FilterError, near_name
from closingbell.core.run import RunState

#: What makes a run; see `closingbell.core.run.Run.cause`.
CAUSES = ("submit", "schedule", "event", "after", "retry", "elsewhere")
HOLDS = ("approval",)

_LONGEST = 200
#: Names, tags or words that one filter may list.
_MOST = 20
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
#: What can only be the beginning of an id; see `closingbell.core.identity`.
_ID = re.compile(r"0[0-9a-f]{11,31}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs are meant: those for which all that is said is true.

    Attributes:
        task: its name.
        states: any of these; none given = every state.
        tags: all of these.
        without_tasks, without_tags: none of these.
        schedule, batch, event: the id of what made the run.
        cause: one of `CAUSES`.
        worker: the id of the worker of the latest attempt.
        requested_by: who asked for it at the door.
        session_from, session_to: the trading day, both ends included.
        hold: "approval" = waits for people.
        submitted_since, submitted_until: since an instant, and before one; aware.
        finished_since, finished_until: likewise.
        words: each is found in the task's name, the reason or the message of the error, whatever
            the case of its letters, or begins the run's id.
    """

    task: str | None = None
    states: tuple[RunState, ...] = ()
    tags: tuple[str, ...] = ()
    without_tasks: tuple[str, ...] = ()
    without_tags: tuple[str, ...] = ()
    schedule: str | None = None
    cause: str | None = None
    worker: str | None = None
    batch: str | None = None
    event: str | None = None
    requested_by: str | None = None
    session_from: date | None = None
    session_to: date | None = None
    hold: str | None = None
    submitted_since: datetime | None = None
    submitted_until: datetime | None = None
    finished_since: datetime | None = None
    finished_until: datetime | None = None
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Put lists in their one order, and refuse what cannot be meant.

        Raises:
            FilterError: it says what was expected.
        """
        known = tuple(RunState)
        given = [_state(state) for state in self.states]
        states = tuple(state for state in known if state in given)
        self._put("states", () if states == known else states)
        for name in ("tags", "without_tasks", "without_tags", "words"):
            listed = tuple(dict.fromkeys(getattr(self, name)))
            if len(listed) > _MOST:
                raise FilterError(f"{len(listed)} {name}", f"at most {_MOST}")
            for text in listed:
                _check_text(text)
            self._put(name, listed if name == "words" else tuple(sorted(listed)))
        for name in ("task", "schedule", "worker", "batch", "event", "requested_by"):
            if (text := getattr(self, name)) is not None:
                _check_text(text)
        _check_known(self.cause, CAUSES)
        _check_known(self.hold, HOLDS)
        for name in ("submitted_since", "submitted_until", "finished_since", "finished_until"):
            instant = getattr(self, name)
            if instant is None:
                continue
            if instant.tzinfo is None or not _FIRST <= instant < _LAST:
                raise FilterError(str(instant), "an aware instant between 1970 and 2200")
            self._put(name, instant.astimezone(UTC))

    def _put(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def said(self) -> dict[str, Any]:
        """What is said, by the name of the attribute; empty = every run is meant."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value not in (None, ())}

    @property
    def id_prefixes(self) -> tuple[str, ...]:
        """Those of the words that can only be the beginning of an id, as ids are written."""
        plain = (word.lower().replace("-", "") for word in self.words)
        return tuple(word for word in plain if _ID.fullmatch(word))

    @property
    def texts(self) -> tuple[str, ...]:
        """The other words."""
        return tuple(
            word for word in self.words if not _ID.fullmatch(word.lower().replace("-", ""))
        )


def _state(given: str) -> RunState:
    try:
        return RunState(given)
    except ValueError:
        _check_known(given, tuple(str(state) for state in RunState))
        raise


def _check_known(given: str | None, known: tuple[str, ...]) -> None:
    if given is not None and given not in known:
        near = near_name(given, known)
        hint = f" (did you mean {near!r}?)" if near else ""
        raise FilterError(given, f"one of {', '.join(known)}{hint}")


def _check_text(text: str) -> None:
    if not 1 <= len(text) <= _LONGEST:
        raise FilterError(text, f"1 to {_LONGEST} characters")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise FilterError(text, "text without NUL and without half surrogate pairs")
