"""The door: what is refused, and what a submission becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from closingbell.core.actor import who_asks
from closingbell.core.clock import Clock, to_micros
from closingbell.core.duration import parse_duration
from closingbell.core.error import PayloadNotJson, PayloadTooLarge, SubmitError, TriggerError
from closingbell.core.identity import RunIds
from closingbell.core.run import RunItem, RunTemplate
from closingbell.core.task import TaskDefinition
from closingbell.core.trigger import Trigger
from closingbell.executor.binding import Binding
from closingbell.monitor.tracing import caller_trace
from closingbell.store.codec import storable

_encode = msgspec.json.Encoder().encode
_MICROSECOND = timedelta(microseconds=1)
#: Later than this is a mistake, not a plan.
_LAST_INSTANT = datetime(2200, 1, 1, tzinfo=UTC)


class Options(NamedTuple):
    """What a caller may say about a submission."""

    at: datetime | str | None = None
    delay: float | str | timedelta | None = None
    priority: int | None = None
    tags: Sequence[str] = ()
    key: str | None = None


class Door:
    """Checks submissions, and makes what the store keeps of them."""

    def __init__(self, *, clock: Clock, ids: RunIds, timezone: str, payload_limit: int) -> None:
        self._clock = clock
        self._ids = ids
        self._timezone = timezone
        self._limit = payload_limit
        self._bindings: dict[TaskDefinition, Binding] = {}

    def binding(self, task: TaskDefinition) -> Binding:
        """Return how a task's payload meets its handler."""
        found = self._bindings.get(task)
        if found is None:
            found = self._bindings[task] = Binding(task.name, task.handler, task.masked)
        return found

    def template(
        self,
        task: TaskDefinition,
        options: Options = Options(),  # noqa: B008  (a NamedTuple is immutable)
        *,
        cause: str = "submit",
        event_id: str | None = None,
    ) -> RunTemplate:
        """Return what the runs of one submission share.

        Raises:
            SubmitError: an option is impossible.
        """
        now = self._clock.micros()
        due_at = self._due_at(options, now)
        if options.key is not None:
            check_text("key", options.key, 500)
        return RunTemplate(
            task=task.name,
            executor=task.executor,
            priority=check_priority(options.priority, task.priority),
            state="pending" if due_at <= now and task.approval is None else "scheduled",
            due_at=due_at,
            max_attempts=task.max_attempts,
            timeout_s=task.timeout_s,
            submitted_at=now,
            cause=cause,
            tags=encode_tags(task.tags, options.tags),
            key=options.key,
            event_id=event_id,
            hold=task.hold,
            requested_by=_asker() if cause == "submit" else None,
            trace=caller_trace(),
        )

    def scheduled(
        self,
        task: TaskDefinition,
        *,
        schedule_id: str,
        trigger: Trigger | None,
        fire_at: datetime,
        due_at: datetime,
        until: datetime,
        priority: int | None,
        tags: Sequence[str],
        cause: str = "schedule",
    ) -> RunTemplate:
        """Return the template of a firing's run; what is due by `until` is pending at once."""
        now, due = self._clock.micros(), to_micros(due_at)
        session_date = getattr(trigger, "session_date", None)
        date = session_date(fire_at) if session_date is not None else None
        return RunTemplate(
            task=task.name,
            executor=task.executor,
            priority=check_priority(priority, task.priority),
            state="pending" if due_at <= until and task.approval is None else "scheduled",
            due_at=due,
            max_attempts=task.max_attempts,
            timeout_s=task.timeout_s,
            submitted_at=now,
            cause=cause,
            tags=encode_tags(task.tags, tags),
            schedule_id=schedule_id,
            fire_at=to_micros(fire_at),
            session_date=None if date is None else date.isoformat(),
            hold=task.hold,
        )

    def item(
        self, task: TaskDefinition, payload: Mapping[str, Any] | None, gate: str | None = None
    ) -> RunItem:
        """Return one run's own part.

        Raises:
            PayloadError: the payload does not fit, is too large, or is not JSON.
        """
        return self.items(task, [payload], gate)[0]

    def items(
        self,
        task: TaskDefinition,
        payloads: Sequence[Mapping[str, Any] | None],
        gate: str | None = None,
    ) -> list[RunItem]:
        """Return the runs' own parts, in order; all payloads are checked first."""
        check = self.binding(task).check
        limited = task.lane({}, gate) if task.key is None else None
        texts: list[str] = []
        lanes: list[str | None] = []
        for given in payloads:
            payload: Mapping[str, Any] = {} if given is None else given
            text = encode_payload(task.name, payload, self._limit)
            check(payload)
            texts.append(text)
            lanes.append(limited if task.key is None else task.lane(payload, gate))
        ids = self._ids.take(len(texts))
        return [RunItem(*parts) for parts in zip(ids, texts, lanes, strict=True)]

    def _due_at(self, options: Options, now: int) -> int:
        at, delay = options.at, options.delay
        if at is None and delay is None:
            return now
        if at is not None and delay is not None:
            raise SubmitError("at and delay", f"{at}, {delay}", "one of them")
        if delay is not None:
            if isinstance(delay, (int, float)) and not isinstance(delay, bool) and delay < 0:
                raise SubmitError("delay", delay, "seconds, 0 or more")
            try:
                length = parse_duration(delay, kind="delay")
            except TriggerError as problem:
                raise SubmitError("delay", delay, problem.expected) from problem
            due = now + length // _MICROSECOND
            if due > to_micros(_LAST_INSTANT):
                raise SubmitError("delay", str(delay), "an instant before 2200")
            return due
        instant = self._instant(at)
        if not datetime(1970, 1, 1, tzinfo=UTC) <= instant < _LAST_INSTANT:
            raise SubmitError("at", str(at), "an instant between 1970 and 2200")
        return to_micros(instant)

    def _instant(self, at: object) -> datetime:
        expected = "a datetime, or ISO text such as '2027-03-01T09:30'"
        if isinstance(at, str):
            try:
                at = datetime.fromisoformat(at)
            except ValueError as problem:
                raise SubmitError("at", at, expected) from problem
        if not isinstance(at, datetime):
            raise SubmitError("at", at, expected)
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(self._timezone))
        try:
            return at.astimezone(UTC)
        except (OverflowError, ValueError) as problem:
            raise SubmitError("at", str(at), expected) from problem


def _asker() -> str | None:
    name = who_asks()
    return None if name is None else storable(name)


def encode_payload(task: str, payload: Mapping[str, Any], limit: int) -> str:
    """Return a payload as JSON text of at most `limit` bytes.

    Raises:
        PayloadError: it is too large, or is not JSON.
    """
    if type(payload) is not dict:
        if not isinstance(payload, Mapping):
            raise PayloadNotJson(task, f"it is a {type(payload).__name__}")
        payload = dict(payload)
    try:
        encoded = _encode(payload)
    except (TypeError, ValueError, RecursionError, OverflowError) as problem:
        raise PayloadNotJson(task, str(problem)) from problem
    if len(encoded) > limit:
        raise PayloadTooLarge(task, len(encoded), limit)
    return encoded.decode()


def check_payload(task: TaskDefinition, payload: Mapping[str, Any], limit: int) -> None:
    """Refuse the payload of a schedule, where it is declared and before a store is open.

    Raises:
        PayloadError: it does not fit, is too large, or is not JSON.
    """
    encode_payload(task.name, payload, limit)
    Binding(task.name, task.handler, task.masked).check(payload)


def check_text(option: str, given: object, most: int) -> None:
    """Refuse what is not text of 1 to `most` characters.

    Raises:
        SubmitError: it is not.
    """
    if not isinstance(given, str) or not 1 <= len(given) <= most:
        raise SubmitError(option, given, f"text of 1 to {most} characters")


def check_priority(given: object, default: int) -> int:
    """Return the priority of a run.

    Raises:
        SubmitError: it is not a whole number from 1 to 9.
    """
    if given is None:
        return default
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= 9:
        raise SubmitError("priority", given, "a whole number from 1 (first) to 9 (last)")
    return given


def encode_tags(own: Sequence[str], given: Sequence[str]) -> str:
    """Return the tags of a run as JSON text: the task's, then the submission's."""
    if not own and not given:
        return "[]"
    tags = [given] if isinstance(given, str) else list(given)
    for tag in tags:
        check_text("tag", tag, 200)
    return _encode(list(dict.fromkeys((*own, *tags)))).decode()
