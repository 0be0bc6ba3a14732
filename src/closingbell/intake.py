"""Intake: submissions and events on their way into the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from closingbell.core.actor import Actor, current_actor, who_asks
from closingbell.core.batch import Batch
from closingbell.core.clock import Clock, to_micros
from closingbell.core.error import ClosingbellError, PayloadNotJson, SubmitError, UnknownBatch
from closingbell.core.identity import RunIds
from closingbell.core.ledger import Fact
from closingbell.core.registry import TaskRegistry
from closingbell.core.run import RunItem, RunTemplate
from closingbell.core.task import TaskDefinition
from closingbell.event import started_by
from closingbell.runtime import error_json
from closingbell.store.audit import Act
from closingbell.store.insert import insert_each_on, is_stored
from closingbell.store.store import Store
from closingbell.submission import Door, Options, check_text
from closingbell.trading.fact import MARKET_DATA_UPDATE

_log = logging.getLogger("closingbell")


class Taken(NamedTuple):
    """A run that was asked for.

    Attributes:
        id: of the run; with a key that is taken that of the earlier run.
        template: what was asked for.
        is_new: whether this made the run.
    """

    id: str
    template: RunTemplate
    is_new: bool


class Prepared(NamedTuple):
    """A run that was asked for and checked, and is not stored yet.

    Attributes:
        template: what was asked for.
        item: its own part.
        actor: who asks.
    """

    template: RunTemplate
    item: RunItem
    actor: Actor

    @property
    def is_plain(self) -> bool:
        """Whether it can be stored in one go with others: it has no key, and waits for nobody."""
        return self.template.key is None and self.template.hold is None


class Intake:
    """Stores what callers submit."""

    def __init__(
        self,
        *,
        store: Store,
        registry: TaskRegistry,
        door: Door,
        clock: Clock,
        ids: RunIds,
        due: Callable[[int], None],
    ) -> None:
        """Take in for an open store.

        Args:
            store: where it is kept.
            registry: the tasks that are known here.
            door: checks what is submitted.
            clock: the desk's time.
            ids: makes ids of events.
            due: told when something falls due later.
        """
        self._store = store
        self._registry = registry
        self._door = door
        self._clock = clock
        self._ids = ids
        self._due = due
        self._refused: dict[tuple[str, str], str] = {}

    def submit(
        self,
        task: TaskDefinition,
        payload: Mapping[str, Any] | None,
        options: Options,
        connection: Any,
        run_id: str | None = None,
    ) -> str:
        """Store one run; see `App.submit`; return its id. A `run_id` that is taken makes no second run."""
        return self.take(task, payload, options, connection, run_id).id

    def take(
        self,
        task: TaskDefinition,
        payload: Mapping[str, Any] | None,
        options: Options,
        connection: Any = None,
        run_id: str | None = None,
    ) -> Taken:
        """Store one run as `submit`; return what was stored."""
        template = self._door.template(task, options)
        item = self._door.item(task, payload)
        if run_id is not None:
            check_text("task_id", run_id, 200)
            if run_id in self._store.runs.states([run_id]):
                return Taken(run_id, template, False)
            item = item._replace(id=run_id)
        stored = self._put([item], template, connection)[0]
        return Taken(stored, template, stored == item.id)

    def prepare(
        self, task: TaskDefinition, payload: Mapping[str, Any] | None, options: Options
    ) -> Prepared:
        """Check one run of whoever acts now; the store is not asked.

        Raises:
            PayloadError: the payload or an option is refused.
        """
        template = self._door.template(task, options)
        return Prepared(template, self._door.item(task, payload), current_actor())

    def put_all(self, prepared: Sequence[Prepared]) -> list[Taken]:
        """Store plain runs of people at a door, in one transaction, with a record of each."""
        with self._store.database.writing(news=True) as connection:
            there = insert_each_on(connection, [(one.template, one.item) for one in prepared])
            self._store.audit.append_all_on(
                connection,
                [
                    Act("run.submitted", "run", one.item.id, _told(one.template), one.actor)
                    for one in prepared
                    if one.item.id not in there
                ],
            )
        if any(one.template.state == "pending" for one in prepared):
            self._store.queue.exchange()
        waiting = [o.template.due_at for o in prepared if o.template.state == "scheduled"]
        if waiting:
            self._due(min(waiting))
        return [Taken(one.item.id, one.template, True) for one in prepared]

    def submit_many(
        self,
        task: TaskDefinition,
        payloads: Sequence[Mapping[str, Any] | None],
        options: Options,
        connection: Any,
    ) -> list[str]:
        """Store many runs; see `App.submit_many`."""
        if not payloads:
            return []
        template = self._door.template(task, options)
        return self._put(self._door.items(task, payloads), template, connection)

    def submit_batch(
        self,
        task: TaskDefinition,
        payloads: Sequence[Mapping[str, Any] | None],
        name: str,
        options: Options = Options(),  # noqa: B008  (a NamedTuple is immutable)
    ) -> Batch:
        """Store many runs as a batch, in one transaction: all of them or none.

        Args:
            task: which task.
            payloads: one for each run; all are checked before the first is stored.
            name: for people, 1 to 200 characters; it need not be unique.
            options: of all runs; a key cannot be among them.

        Raises:
            PayloadError: a payload, the name or an option is refused, or there is no payload.
        """
        check_text("name", name, 200)
        if not payloads:
            raise SubmitError("payloads", "[]", "one for each run, and at least one")
        if options.key is not None:
            raise SubmitError("key", options.key, "none: the runs of a batch have none")
        batch_id = self._ids.next()
        template = self._door.template(task, options)._replace(batch_id=batch_id)
        items = self._door.items(task, payloads)
        with suppress(UnknownBatch):
            # A request that is sent again asks for the id that it asked for first.
            return self._store.batches.get(batch_id)
        with self._store.database.writing(news=True) as connection:
            batch = self._store.batches.make_on(
                connection,
                batch_id,
                task.name,
                name,
                len(items),
                template.requested_by,
                template.submitted_at,
            )
            self._store.queue.submit(template, items, connection)
            if who_asks() is not None:
                told = {"task": task.name, "name": batch.name, "size": batch.size}
                self._store.audit.append_on(
                    connection, "batch.submitted", "batch", batch_id, after=told
                )
        if template.state == "pending":
            self._store.queue.exchange()
        elif template.hold is None:
            self._due(template.due_at)
        return batch

    def _put(self, items: list[RunItem], template: RunTemplate, connection: Any) -> list[str]:
        if connection is not None:
            connection = _core_connection(connection, self._store)
        if who_asks() is None:
            ids = self._store.queue.submit(template, items, connection)
        elif connection is not None:
            ids = self._put_by_hand(items, template, connection)
        else:
            with self._store.database.writing(news=True) as own:
                ids = self._put_by_hand(items, template, own)
            if template.state == "pending":
                self._store.queue.exchange()
        if template.state == "scheduled" and template.hold is None:
            self._due(template.due_at)
        return ids

    def _put_by_hand(
        self, items: list[RunItem], template: RunTemplate, connection: Any
    ) -> list[str]:
        """Store what somebody at a door asks for, with the record of it; what code does has none."""
        # A request that is sent again asks for the id that it asked for first.
        was_there = is_stored(connection, items[0].id)
        ids = self._store.queue.submit(template, items, connection)
        if was_there or ids[0] != items[0].id:
            return ids
        told = _told(template)
        if len(ids) > 1:
            told["runs"] = len(ids)
        self._store.audit.append_on(connection, "run.submitted", "run", ids[0], after=told)
        return ids

    def trigger_event(self, event_type: str, data: dict[str, Any], connection: Any) -> list[str]:
        """Store an event with the runs that it starts; see `App.trigger_event`."""
        text = _event_text(event_type, data)
        event_id = self._ids.next()
        submissions = started_by(
            self._store.events.triggers(event_type), data, event_id, self._registry, self._door
        )
        if connection is not None:
            connection = _core_connection(connection, self._store)
        ids = self._store.events.record(
            event_id, event_type, text, submissions, self._clock.micros(), connection, by_hand=True
        )
        if ids and connection is None:
            self._store.queue.exchange()
        return ids

    def post_event(
        self, event_type: str, data: dict[str, Any], event_id: str | None = None
    ) -> tuple[str, list[str]]:
        """Store an event with the runs that it starts, once for one id.

        Returns:
            The event's id, and the ids of its runs; those of the first time, if it was stored
            before.

        Raises:
            PayloadError: the data is refused, or does not fit a task that it starts.
            AlreadyExists: another event has that id.
        """
        text = _event_text(event_type, data)
        chosen = event_id or self._ids.next()
        submissions = started_by(
            self._store.events.triggers(event_type), data, chosen, self._registry, self._door
        )
        ids, fresh = self._store.event_book.record_once(
            chosen, event_type, text, submissions, self._clock.micros()
        )
        if ids and fresh:
            self._store.queue.exchange()
        return chosen, ids

    def announce(self, connection: Any, facts: Sequence[Fact]) -> bool:
        """Store the desk's facts as events, with the runs that they start; see `Announcer.emit`.

        A run is due when its fact happened. A task that cannot be given a fact's data is left
        out, and said so: what is true must become true whoever listens.

        Returns:
            Whether there is something to do after the commit: runs, or new market data.
        """
        started = any(fact.type == MARKET_DATA_UPDATE for fact in facts)
        # Once for each type: the other writers wait meanwhile.
        triggers = {kind: self._store.events.triggers(kind) for kind in {f.type for f in facts}}
        for fact in facts:
            event_id = self._ids.next()
            happened_at = _instant(fact.data.get("at"), self._clock)
            submissions = started_by(
                triggers[fact.type],
                fact.data,
                event_id,
                self._registry,
                self._door,
                at=happened_at,
                refused=partial(self._refuse, fact.type),
            )
            text, at = error_json(dict(fact.data)), to_micros(happened_at)
            self._store.events.record(event_id, fact.type, text, submissions, at, connection)
            started = started or bool(submissions)
        return started or bool(self._refused)

    def _refuse(self, event_type: str, task: str, problem: ClosingbellError) -> None:
        _log.error("event %r does not start task %r: %s", event_type, task, problem)
        self._refused[task, event_type] = str(problem)

    def take_refusals(self) -> dict[tuple[str, str], str]:
        """Return why facts did not start tasks, by task and type of event, since the last call."""
        taken, self._refused = self._refused, {}
        return taken

    def listens(self, event_type: str) -> bool:
        """Whether anything is started by events of a type."""
        return bool(self._store.events.triggers(event_type))


def _told(template: RunTemplate) -> dict[str, Any]:
    """Return a submission as the audit ledger shows it."""
    told: dict[str, Any] = {
        "task": template.task,
        "state": template.state,
        "due_at": template.due_at,
        "priority": template.priority,
    }
    if template.key is not None:
        told["key"] = template.key
    return told


def _event_text(event_type: str, data: dict[str, Any]) -> str:
    check_text("event type", event_type, 200)
    try:
        return error_json(data)
    except (TypeError, ValueError, RecursionError) as problem:
        raise PayloadNotJson(f"event {event_type}", str(problem)) from problem


def _instant(text: Any, clock: Clock) -> datetime:
    """Return when a fact happened; now, where it does not say or says what is still to come."""
    now = clock.now()
    if not isinstance(text, str):
        return now
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return now
    return min(instant, now) if instant.tzinfo is not None else now


def _core_connection(connection: Any, store: Store) -> Any:
    """Return the Core connection of a caller's connection or ORM session to the same store."""
    core = connection.connection() if hasattr(connection, "get_bind") else connection
    name = getattr(getattr(core, "dialect", None), "name", None)
    if name != store.dialect or not store.is_same(core):
        raise SubmitError(
            "connection",
            repr(connection),
            f"a SQLAlchemy connection or session to this app's {store.dialect} database",
        )
    return core
