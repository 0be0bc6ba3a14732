"""Task: what users declare, as a class or as a decorated function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from closingbell.core.duration import parse_duration
from closingbell.core.error import TaskDefinitionError
from closingbell.core.limit import Rate
from closingbell.core.retry import RetryPolicy
from closingbell.core.schedule import Blackout, SchedulePolicy
from closingbell.core.task import EXECUTORS, TaskDefinition
from closingbell.core.trigger import Trigger
from closingbell.option import (
    Duration,
    read_account,
    read_approval,
    read_bytes,
    read_key,
    read_mapping,
    read_masked,
    read_number,
    read_once_per_breach,
    read_positive,
    read_whole,
    read_words,
)

if TYPE_CHECKING:
    from closingbell.core.condition import Condition


class ScheduleOptions(TypedDict, total=False):
    """When something runs by itself, and how its firings become runs.

    At most one of these says when:
        interval: "5m", "1h30m", "daily", "weekly", "monthly", or a timedelta; None = none.
        time: the time of day for "daily", "weekly" and "monthly"; alone it means daily.
        day: the day for "weekly" ("MON") or "monthly" (1 to 31, or "last").
        cron: five fields, such as "0 9 * * MON".
        session: a rule of a venue's trading session, such as "XNYS close-15m".
        at: once, at an instant.
    And beside it:
        timezone: the zone of time, cron and at; default the app's.
        catch_up: "latest", "all" or "skip" firings that were missed.
        catch_up_window: missed firings older than this are skipped.
        grace: a firing noticed within this time is not missed.
        overlap: "skip", "buffer_one", "buffer_all", "cancel_other" or "allow".
        jitter: delay each firing by up to this much.
        start: no firing before it; end: no firing after it.
        blackout: windows without firings, such as "22:00-23:00".
    """

    interval: str | timedelta | None
    time: str
    day: str | int
    cron: str
    session: str
    at: str | datetime
    timezone: str
    catch_up: str
    catch_up_window: Duration
    grace: Duration
    overlap: str
    jitter: Duration
    start: str | datetime
    end: str | datetime
    blackout: Any


class TaskOptions(ScheduleOptions, total=False):
    """Every option of a task, beside those of its schedule; all may be left out.

    What starts it:
        trigger: any trigger of `closingbell.triggers`, instead of interval, cron, ...
        on_event: event types.
        where: a condition on the event's data, such as "change < -0.05".
        after: tasks whose success starts it, once all have succeeded anew.
        within: how fresh those successes must be (default 24 hours).
    How it runs:
        timeout: an attempt that runs longer is stopped (default 300 seconds).
        retries: how many attempts may follow the first (default 3), or a RetryPolicy.
        priority: 1 runs first, 9 last (default 5).
        tags: labels.
        executor: "async", "thread" or "process".
        max_concurrent: at most so many at once, over all workers.
        rate: at most so many starts in a while, such as "1200/1m@binance".
        key: a template over the payload, such as "{account}", for limits per key.
        cpu: cores that a run needs; memory: bytes ("512MB") that it needs.
        payload: what scheduled runs are given.
        retention: finished runs older than this are pruned.
        description: one line for people.
    What people see and decide:
        approval: "two-person": a run waits until two persons agree, the one who asked counted.
        masked: payload fields, dotted within objects, that nothing shows.
    What it trades:
        account: the account of its algorithm (default "main").
        once_per_breach: its sale of one percentage of a symbol acts once in a drawdown of the account, from a peak to the next (default for tasks with the word "risk" in their name or tags).
    """

    trigger: Trigger
    on_event: str | Sequence[str]
    where: str
    after: Any
    within: Duration
    timeout: Duration
    retries: int | RetryPolicy
    priority: int
    tags: Sequence[str]
    executor: str
    max_concurrent: int
    rate: str | Rate
    key: str
    cpu: float
    memory: int | str
    payload: Mapping[str, Any]
    retention: Duration
    description: str
    approval: str | None
    masked: Sequence[str]
    account: str
    once_per_breach: bool


#: All options, those of the schedule first.
OPTION_NAMES = (*ScheduleOptions.__annotations__, *TaskOptions.__annotations__)


_TRIGGER_WORDS = ("interval", "time", "day", "cron", "session", "at")
_POLICY_WORDS = (
    "catch_up", "catch_up_window", "grace", "overlap", "jitter", "start", "end", "blackout",
)  # fmt: skip


class Task:
    """Something that runs by itself or on demand; subclass it and write `run`.

    The engine keeps its own record of the options: attributes of yours, whatever
    their names, are never read by it.
    """

    _closingbell: tuple[str | None, TaskOptions]

    def __new__(cls, *args: Any, **kwargs: Any) -> Task:
        """Make a task that works although its `__init__` calls no other."""
        task = super().__new__(cls)
        task._closingbell = (None, {})
        return task

    def __init__(self, name: str | None = None, **options: Unpack[TaskOptions]) -> None:
        """Declare a task.

        Args:
            name: unique in its app; default the name of the class.
            options: see `TaskOptions`.

        Raises:
            DefinitionError: an option cannot be read, or two contradict each other.
        """
        self._closingbell = (name, options)
        if name is not None:
            self.name = name
        # Refuses bad options where they are given; the app's zone is known later.
        define(self.run, task_name(self), options, "UTC")

    def run(self, algorithm: Any) -> Any:
        """Do the work; override it.

        Args:
            algorithm: the trading object; further parameters come from the payload.
        """
        raise TaskDefinitionError(task_name(self), "it has no run(self, algorithm) method")


def task_name(task: Task) -> str:
    """Return the name under which a task is registered."""
    return task._closingbell[0] or type(task).__name__


def define_task(task: Task, timezone: str) -> TaskDefinition:
    """Return the definition of a Task object, in an app of that zone."""
    if type(task).run is Task.run:
        raise TaskDefinitionError(task_name(task), "it has no run(self, algorithm) method")
    name, options = task_name(task), task._closingbell[1]
    if "description" not in options:
        options = {**options, "description": _first_line(type(task).__doc__)}
    return define(task.run, name, options, timezone)


def define(
    handler: Callable[..., Any], name: str, options: TaskOptions, timezone: str
) -> TaskDefinition:
    """Return the definition of a handler.

    Args:
        handler: what is called.
        name: the task's name.
        options: see `TaskOptions`.
        timezone: the zone of times that name none.

    Raises:
        DefinitionError: an option cannot be read, or two contradict each other.
    """
    if not 1 <= len(_text(name).strip()) <= 200:
        raise TaskDefinitionError(str(name)[:50], "expected a name of 1 to 200 characters")
    unknown = set(options) - set(OPTION_NAMES)
    if unknown:
        from closingbell.core.error import near_name

        word = sorted(unknown)[0]
        near = near_name(word, OPTION_NAMES)
        hint = f"did you mean {near!r}?" if near else "see closingbell.TaskOptions"
        raise TaskDefinitionError(name, f"unknown option {word!r}: {hint}")
    if not callable(handler):
        raise TaskDefinitionError(name, f"expected a function, found {handler!r}")
    executor = options.get("executor")
    if executor is None:
        executor = "async" if inspect.iscoroutinefunction(handler) else "thread"
    if executor not in EXECUTORS:
        raise TaskDefinitionError(
            name, f"unknown executor {executor!r}: expected one of {', '.join(EXECUTORS)}"
        )
    retries = options.get("retries", 3)
    masked = read_masked(name, options.get("masked", ()))
    tags = read_words(name, "tags", options.get("tags", ()))
    return TaskDefinition(
        name=name,
        handler=handler,
        description=options.get("description") or _first_line(handler.__doc__),
        timeout_s=read_positive(name, "timeout", options.get("timeout", 300)).total_seconds(),
        retry=retries if isinstance(retries, RetryPolicy) else RetryPolicy(retries=retries),
        priority=read_whole(name, "priority", options.get("priority", 5), 1, 9),
        tags=list(tags),
        executor=executor,
        import_path=_import_path(name, handler) if executor == "process" else None,
        trigger=read_trigger(options, timezone),
        policy=read_policy(options, timezone),
        on_event=read_words(name, "on_event", options.get("on_event", ())),
        where=_condition(name, options),
        after=_after(name, options.get("after", ())),
        within=read_positive(name, "within", options.get("within", "24h")),
        max_concurrent=(
            None
            if options.get("max_concurrent") is None
            else read_whole(name, "max_concurrent", options["max_concurrent"], 1, 1_000_000)
        ),
        rate=None if options.get("rate") is None else Rate.parse(options["rate"]),
        key=read_key(name, options.get("key"), masked),
        cpu=read_number(name, "cpu", options.get("cpu", 0.0)),
        memory=read_bytes(name, options.get("memory", 0)),
        payload=read_mapping(name, options.get("payload", {})),
        retention=(
            None
            if options.get("retention") is None
            else read_positive(name, "retention", options["retention"])
        ),
        approval=read_approval(name, options.get("approval")),
        masked=masked,
        account=read_account(name, options.get("account", "main")),
        once_per_breach=read_once_per_breach(name, tags, options.get("once_per_breach")),
    )


def read_trigger(options: Mapping[str, Any], timezone: str) -> Trigger | None:
    """Return the trigger that options name, or None for on demand.

    Raises:
        TriggerError: it cannot be read, or two contradict each other.
    """
    from closingbell.core.error import TriggerError

    trigger = options.get("trigger")
    given = {word: options[word] for word in _TRIGGER_WORDS if options.get(word) is not None}
    if trigger is not None:
        if given:
            raise TriggerError("trigger", trigger, f"no other trigger beside it, found {given}")
        if not isinstance(trigger, Trigger):
            raise TriggerError("trigger", trigger, "one of closingbell.triggers")
        return trigger
    if not given:
        return None
    from closingbell.triggers import parse_trigger

    return parse_trigger(**given, timezone=options.get("timezone") or timezone)


def read_policy(options: Mapping[str, Any], timezone: str) -> SchedulePolicy:
    """Return the schedule policy that options name.

    Raises:
        DefinitionError: an option cannot be read.
    """
    given = {word: options[word] for word in _POLICY_WORDS if options.get(word) is not None}
    if not given:
        return SchedulePolicy()
    values: dict[str, Any] = {}
    for word in ("catch_up_window", "grace", "jitter"):
        if word in given:
            values[word] = parse_duration(given[word], kind=word)
    zone = options.get("timezone") or timezone
    for word in ("start", "end"):
        if word in given:
            values[word] = _instant(given[word], zone)
    if "blackout" in given:
        values["blackouts"] = _blackouts(given["blackout"], zone)
    # The policy itself refuses an unknown word.
    values.update({w: given[w] for w in ("catch_up", "overlap") if w in given})
    return SchedulePolicy(**values)


def _instant(given: Any, timezone: str) -> datetime:
    from closingbell.triggers import At

    return At(given, timezone=timezone).at


def _blackouts(given: Any, timezone: str) -> tuple[Blackout, ...]:
    from closingbell.triggers import Blackout as Window

    windows = given if isinstance(given, (list, tuple)) else [given]
    return tuple(Window(w, timezone=timezone) if isinstance(w, str) else w for w in windows)


def _import_path(name: str, handler: Callable[..., Any]) -> str | None:
    from closingbell.executor.child import IN_CHILD
    from closingbell.executor.import_path import import_path_of

    if IN_CHILD:
        # The parent has checked it; here the script is a module of another name.
        return None
    path = import_path_of(handler)
    if "algorithm" in inspect.signature(handler).parameters:
        raise TaskDefinitionError(
            name,
            "the algorithm holds this process's live objects and cannot go to another one: "
            "use executor='thread', or pass what the task needs in its payload",
        )
    return path


def _condition(name: str, options: TaskOptions) -> Condition | None:
    text = options.get("where")
    if text is None:
        return None
    if not options.get("on_event"):
        raise TaskDefinitionError(name, "where= is a condition on an event: it needs on_event=")
    from closingbell.core.condition import read_condition

    return read_condition(text)


def _after(name: str, given: Any) -> tuple[str, ...]:
    items = given if isinstance(given, (list, tuple, set, frozenset)) else [given]
    names: list[str] = []
    for item in items:
        if isinstance(item, Task):
            names.append(task_name(item))
        elif isinstance(item, str):
            names.append(item)
        elif hasattr(item, "closingbell_task"):
            names.append(str(item.closingbell_task))
        else:
            raise TaskDefinitionError(name, f"after= expects tasks or their names, found {item!r}")
    if name in names:
        from closingbell.core.error import CyclicDependency

        raise CyclicDependency([name, name])
    return tuple(dict.fromkeys(names))


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _first_line(text: str | None) -> str:
    return (inspect.cleandoc(text).splitlines() or [""])[0] if text else ""
