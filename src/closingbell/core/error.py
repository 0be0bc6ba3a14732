"""Every error of closingbell, in one tree.

Longer than 400 lines because the whole tree is read, and kept true, in one place.

Each class has a stable `code` (used by the API, the command line and stored
runs), keeps what it knows in attributes, says in its message what was
expected, what was found and what to do next, and survives pickling, so that
it can cross a process boundary unchanged.

    ClosingbellError
    ├── DefinitionError            what the user declared cannot work
    │   ├── DuplicateTask · TaskDefinitionError · CyclicDependency
    │   ├── TriggerError · CalendarError · TimezoneError
    │   ├── PolicyError · SettingError · ConditionError · TargetError
    ├── LookupFailed               a name or id that is not there
    │   ├── UnknownTask · UnknownRun · UnknownSchedule
    ├── PayloadError               what was submitted does not fit
    │   ├── PayloadMismatch · PayloadTooLarge · PayloadNotJson · SubmitError
    ├── StateError                 the request does not fit the present state
    │   ├── InvalidTransition · RunNotFinished · AppNotRunning
    ├── StoreError                 the database (`retryable` says if waiting helps)
    │   ├── StoreUnavailable · StoreReadOnly · StoreFull · SchemaMismatch
    └── ExecutionError             what happened to an attempt
        ├── TaskFailed · AttemptTimeout · WorkerLost · RunCancelled
        ├── HandlerNotFound · ResultNotSerialisable
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar


def _restore(cls: type[ClosingbellError], message: str, state: dict[str, Any]) -> ClosingbellError:
    # RunNotFinished is a RuntimeError and a TimeoutError: only the latter's __new__ can make one.
    error = OSError.__new__(cls) if issubclass(cls, OSError) else cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


def near_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` most likely meant, or None."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


class ClosingbellError(Exception):
    """Base of every error that closingbell raises on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), str(self), dict(self.__dict__))

    @property
    def fields(self) -> dict[str, Any]:
        """What the error knows, by attribute name; JSON-ready where the values are."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}


# --- definitions ---------------------------------------------------------------


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


class TargetError(DefinitionError):
    """The `module:app` that a command was given does not lead to an app."""

    code = "invalid_target"

    def __init__(self, target: str, problem: str) -> None:
        super().__init__(f"target {target!r}: {problem}")
        self.target = target
        self.problem = problem


# --- look-ups --------------------------------------------------------------------


class LookupFailed(ClosingbellError, LookupError):
    """A name or an id that is not there."""

    code = "not_found"


class UnknownTask(LookupFailed):
    """No task of that name is registered."""

    code = "unknown_task"

    def __init__(self, task: str, known: Iterable[str] = ()) -> None:
        self.task = task
        self.near = near_name(task, known)
        hint = (
            f"did you mean {self.near!r}?"
            if self.near
            else "register it with app.add_task() or @app.task"
        )
        super().__init__(f"unknown task {task!r}: {hint}")


class UnknownRun(LookupFailed):
    """No run has that id (or it was pruned)."""

    code = "unknown_run"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"unknown run {run_id!r}: it was never submitted here, or it was pruned")
        self.run_id = run_id


class UnknownSchedule(LookupFailed):
    """No schedule has that id."""

    code = "unknown_schedule"

    def __init__(self, schedule_id: str, known: Iterable[str] = ()) -> None:
        self.schedule_id = schedule_id
        self.near = near_name(schedule_id, known)
        hint = f"did you mean {self.near!r}?" if self.near else "list them with `schedule list`"
        super().__init__(f"unknown schedule {schedule_id!r}: {hint}")


# --- what was submitted ------------------------------------------------------------


class PayloadError(ClosingbellError, ValueError):
    """A submission that is refused at the door; nothing was stored."""

    code = "invalid_payload"


class PayloadMismatch(PayloadError):
    """The payload does not fit the handler's signature.

    Attributes:
        task: the task's name.
        problems: one sentence for each field that does not fit.
    """

    code = "payload_mismatch"

    def __init__(self, task: str, problems: Iterable[str]) -> None:
        self.task = task
        self.problems = list(problems)
        super().__init__(f"payload does not fit task {task!r}: {'; '.join(self.problems)}")


class PayloadTooLarge(PayloadError):
    """The payload, as JSON, is larger than the limit."""

    code = "payload_too_large"

    def __init__(self, task: str, size: int, limit: int) -> None:
        super().__init__(
            f"payload of task {task!r} is {size} bytes of JSON: the limit is {limit}; "
            "store the data elsewhere and pass a reference, or raise payload_limit_bytes"
        )
        self.task = task
        self.size = size
        self.limit = limit


class PayloadNotJson(PayloadError):
    """The payload cannot be written as JSON."""

    code = "payload_not_json"

    def __init__(self, task: str, problem: str) -> None:
        super().__init__(
            f"payload of task {task!r} cannot be written as JSON: {problem}; "
            "expected a mapping of strings to JSON values"
        )
        self.task = task
        self.problem = problem


class SubmitError(PayloadError):
    """An option of a submission is impossible (priority, delay, time, tags, key)."""

    code = "invalid_submission"

    def __init__(self, option: str, given: object, expected: str) -> None:
        super().__init__(f"invalid {option} {given!r}: expected {expected}")
        self.option = option
        self.given = given if isinstance(given, (str, int, float)) else repr(given)
        self.expected = expected


# --- states --------------------------------------------------------------------------


class StateError(ClosingbellError, RuntimeError):
    """The request does not fit the present state."""

    code = "conflict"


class InvalidTransition(StateError):
    """A run cannot go from its state to the one asked for."""

    code = "invalid_transition"

    def __init__(self, run_id: str, state: str, wanted: str) -> None:
        super().__init__(f"run {run_id} is {state}: it cannot become {wanted}")
        self.run_id = run_id
        self.state = state
        self.wanted = wanted


class RunNotFinished(StateError, TimeoutError):
    """A result was asked for before the run ended."""

    code = "run_not_finished"

    def __init__(self, run_id: str, state: str, waited_s: float) -> None:
        super().__init__(
            f"run {run_id} is still {state} after {waited_s:g} s: wait longer, or ask .explain()"
        )
        self.run_id = run_id
        self.state = state
        self.waited_s = waited_s


class AppNotRunning(StateError):
    """The call needs a started app."""

    code = "app_not_running"

    def __init__(self, wanted: str) -> None:
        super().__init__(f"{wanted} needs a running app: call app.start() or use app.running()")
        self.wanted = wanted


# --- the store ------------------------------------------------------------------------


class StoreError(ClosingbellError):
    """The database refused or failed; `retryable` says whether waiting may help."""

    code = "store_error"
    retryable: ClassVar[bool] = False

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class StoreUnavailable(StoreError):
    """The database is gone, locked or restarting."""

    code = "store_unavailable"
    retryable = True


class StoreReadOnly(StoreError):
    """The database cannot be written."""

    code = "store_read_only"
    retryable = True


class StoreFull(StoreError):
    """The disk or the database is full."""

    code = "store_full"
    retryable = True


class SchemaMismatch(StoreError):
    """The database was written by another version of closingbell."""

    code = "schema_mismatch"

    def __init__(self, found: str | None, expected: str, advice: str) -> None:
        super().__init__(
            f"the store has schema {found or 'none'} and this version needs {expected}: {advice}"
        )
        self.found = found
        self.expected = expected


# --- attempts ---------------------------------------------------------------------------


class ExecutionError(ClosingbellError):
    """What became of an attempt."""

    code = "execution_error"


class TaskFailed(ExecutionError):
    """The run ended as failed; raised where its result was asked for.

    Attributes:
        run_id: the run.
        error: the stored error: `code`, `type`, `message`, `traceback`.
    """

    code = "task_failed"

    def __init__(self, run_id: str, task: str, error: dict[str, Any]) -> None:
        super().__init__(
            f"run {run_id} of task {task!r} failed: "
            f"{error.get('type', 'Error')}: {error.get('message', '')}"
        )
        self.run_id = run_id
        self.task = task
        self.error = error


class RunCancelled(ExecutionError):
    """The run was cancelled or skipped; raised where its result was asked for."""

    code = "run_cancelled"

    def __init__(self, run_id: str, state: str, reason: str | None) -> None:
        super().__init__(f"run {run_id} was {state}: {reason or 'no reason given'}")
        self.run_id = run_id
        self.state = state
        self.reason = reason


class AttemptTimeout(ExecutionError, TimeoutError):
    """An attempt ran longer than its task allows."""

    code = "attempt_timeout"

    def __init__(self, task: str, timeout: timedelta, stopped: bool) -> None:
        how = "it was stopped" if stopped else "its thread cannot be stopped and runs on"
        super().__init__(
            f"task {task!r} exceeded its timeout of {timeout.total_seconds():g} s; {how}"
        )
        self.task = task
        self.timeout_s = timeout.total_seconds()
        self.stopped = stopped


class WorkerLost(ExecutionError):
    """The worker that ran an attempt is gone."""

    code = "worker_lost"

    def __init__(self, worker_id: str, last_seen_at: datetime | None, detail: str = "") -> None:
        seen = f", last seen {last_seen_at.isoformat()}" if last_seen_at else ""
        super().__init__(f"worker {worker_id} was lost{seen}{': ' + detail if detail else ''}")
        self.worker_id = worker_id
        self.last_seen_at = last_seen_at
        self.detail = detail


class HandlerNotFound(ExecutionError):
    """The task's function cannot be imported where it should run."""

    code = "handler_not_found"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            f"handler {path!r} cannot be imported: {problem}; "
            "a process task must be a module-level function of an importable module"
        )
        self.path = path
        self.problem = problem


class ResultNotSerialisable(ExecutionError):
    """The task returned something that cannot be written as JSON."""

    code = "result_not_serialisable"

    def __init__(self, task: str, problem: str) -> None:
        super().__init__(
            f"the result of task {task!r} cannot be written as JSON: {problem}; "
            "return JSON values, a dataclass, or None"
        )
        self.task = task
        self.problem = problem
