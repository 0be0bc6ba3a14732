"""The ways to what a filter of runs means: which indexes lead there, and what is looked at.

Of each way the condition of every source is that of an index, written as the index needs to
hear it. What the filter says beyond that is asked of the rows that the source leads to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, cast, func, not_, or_
from sqlalchemy.dialects.postgresql import JSON

from closingbell.core.clock import to_micros
from closingbell.core.run import FINAL_STATES, RunState
from closingbell.core.run_filter import RunFilter
from closingbell.store.schema import literal, literals, runs

Condition = ColumnElement[bool]

#: An id is made with its run's submission, by the same clock; it may say later after a backward
#: step, in which ids keep counting.
_BEFORE_MS, _AFTER_MS = 60_000, 3_600_000
#: Ids that callers made begin with anything; ours begin with 0 until the year 2527.
_NOT_OURS = "1"
#: Sorts after every text.
_END = "\U0010ffff"

_RARE = (RunState.FAILED, RunState.CANCELLED, RunState.SKIPPED)
#: By what a filter says, the columns that its conditions read.
_READ: dict[str, tuple[Any, ...]] = {
    "task": (runs.c.task,),
    "states": (runs.c.state,),
    "tags": (runs.c.tags,),
    "without_tasks": (runs.c.task,),
    "without_tags": (runs.c.tags,),
    "schedule": (runs.c.schedule_id,),
    "cause": (runs.c.cause,),
    "worker": (runs.c.worker_id,),
    "batch": (runs.c.batch_id,),
    "event": (runs.c.event_id,),
    "requested_by": (runs.c.requested_by,),
    "session_from": (runs.c.session_date,),
    "session_to": (runs.c.session_date,),
    "hold": (runs.c.hold, runs.c.state),
    "submitted_since": (runs.c.submitted_at,),
    "submitted_until": (runs.c.submitted_at,),
    "finished_since": (runs.c.finished_at,),
    "finished_until": (runs.c.finished_at,),
    "words": (runs.c.task, runs.c.reason, runs.c.error),
}


class Source(NamedTuple):
    """Runs that one index leads to.

    Attributes:
        where: the condition of a partial index.
        lead: the columns of the index before the id, with their values. They are compared
            together with the id, which no other index can do: left to itself, PostgreSQL
            walks the primary key in the hope of an early match.
        ordered: whether ids are in order in it; else all of it must be looked at.
    """

    where: tuple[Condition, ...] = ()
    lead: tuple[tuple[Any, str], ...] = ()
    ordered: bool = True


class Way(NamedTuple):
    """Sources that together hold everything that a filter means.

    Attributes:
        said: what of the filter needs not be asked any more, by attribute.
    """

    sources: tuple[Source, ...]
    said: frozenset[str]


def ways_of(wanted: RunFilter) -> Iterator[Way]:
    """Yield the ways to what a filter means, the most promising first; all lead there."""
    if wanted.hold is not None:
        held = (runs.c.state == literal("scheduled"), runs.c.hold.is_not(None))
        yield Way((Source(held),), frozenset({"hold"}))
    if wanted.batch is not None:
        there = (runs.c.batch_id.is_not(None),)
        mine = (runs.c.batch_id, wanted.batch)
        states = wanted.states or tuple(RunState)
        batch = tuple(Source(there, (mine, (runs.c.state, str(state)))) for state in states)
        yield Way(batch, frozenset({"batch", "states"}))
    for name, column, value in (
        ("event", runs.c.event_id, wanted.event),
        ("schedule", runs.c.schedule_id, wanted.schedule),
    ):
        if value is not None:
            yield Way((Source((column.is_not(None),), ((column, value),)),), frozenset({name}))
    if wanted.states and RunState.SUCCESS not in wanted.states:
        sources = tuple(source for state in wanted.states for source in _of_state(state))
        yield Way(sources, frozenset({"states"}))
    if wanted.task is not None and wanted.states and FINAL_STATES.issuperset(wanted.states):
        ended = (runs.c.task == wanted.task, runs.c.finished_at.is_not(None))
        few = tuple(
            Source((*ended, runs.c.state == literal(state)), ordered=False)
            for state in wanted.states
        )
        yield Way(few, frozenset({"task", "states"}))
    if wanted.task is not None:
        yield Way((Source(lead=((runs.c.task, wanted.task),)),), frozenset({"task"}))
    yield Way((Source(),), frozenset())


def _of_state(state: RunState) -> Iterator[Source]:
    if state in _RARE:
        rare = runs.c.state.in_(literals(_RARE))
        yield Source((rare,), ((runs.c.state, str(state)),))
        return
    mine = runs.c.state == literal(state)
    if state is RunState.RUNNING:
        yield Source((mine,), ordered=False)
    elif state is RunState.PENDING:
        yield Source((mine, runs.c.lane.is_(None)), ordered=False)
        yield Source((mine, runs.c.lane.is_not(None)), ordered=False)
    else:
        yield Source((mine, runs.c.hold.is_(None)), ordered=False)
        yield Source((mine, runs.c.hold.is_not(None)))


def id_ranges(wanted: RunFilter) -> list[tuple[str, str]]:
    """Return the ranges of ids, first included and last not, in which all must be that is meant.

    Ids tell when they were made. One that a caller made is looked for wherever it does not
    look like ours.
    """
    low, high = "", _END
    for prefix in wanted.id_prefixes:
        low, high = max(low, prefix), min(high, prefix + _END)
    if wanted.submitted_since is not None:
        low = max(low, _id_at(wanted.submitted_since, -_BEFORE_MS))
    ends = [end for end in (wanted.submitted_until, wanted.finished_until) if end is not None]
    if not ends:
        ranges = [(low, high)]
    else:
        ours = min(high, _id_at(min(ends), _AFTER_MS))
        ranges = [(max(low, _NOT_OURS), high), (low, ours)]
    return [(first, last) for first, last in ranges if first < last]


def _id_at(instant: Any, offset_ms: int) -> str:
    return f"{max(0, to_micros(instant) // 1000 + offset_ms):012x}"


def columns_of(wanted: RunFilter, source: Source) -> list[Any]:
    """Return the columns that the conditions of a filter, and a source's order, read."""
    lead = [column for column, _ in source.lead]
    read = [column for name in wanted.said for column in _READ[name]]
    return list(dict.fromkeys([runs.c.id, *lead, *read]))


def conditions(wanted: RunFilter, columns: Any, dialect: str) -> list[Condition]:
    """Return all that a filter says, as conditions on the columns of a query."""
    found: list[Condition] = [
        columns[name] == value
        for name, value in (
            ("task", wanted.task),
            ("schedule_id", wanted.schedule),
            ("cause", wanted.cause),
            ("worker_id", wanted.worker),
            ("batch_id", wanted.batch),
            ("event_id", wanted.event),
            ("requested_by", wanted.requested_by),
        )
        if value is not None
    ]
    if wanted.states:
        found.append(columns.state.in_([str(state) for state in wanted.states]))
    if wanted.hold is not None:
        found.append(and_(columns.hold == wanted.hold, columns.state == "scheduled"))
    if wanted.session_from is not None:
        found.append(columns.session_date >= wanted.session_from.isoformat())
    if wanted.session_to is not None:
        found.append(columns.session_date <= wanted.session_to.isoformat())
    for name, since, until in (
        ("submitted_at", wanted.submitted_since, wanted.submitted_until),
        ("finished_at", wanted.finished_since, wanted.finished_until),
    ):
        if since is not None:
            found.append(columns[name] >= to_micros(since))
        if until is not None:
            found.append(columns[name] < to_micros(until))
    if wanted.without_tasks:
        found.append(columns.task.not_in(wanted.without_tasks))
    found += [_has_tag(columns.tags, tag, dialect) for tag in wanted.tags]
    found += [not_(_has_tag(columns.tags, tag, dialect)) for tag in wanted.without_tags]
    for word in wanted.texts:
        message = error_field(columns.error, "message", dialect)
        found.append(
            or_(
                columns.task.icontains(word, autoescape=True),
                columns.reason.icontains(word, autoescape=True),
                message.icontains(word, autoescape=True),
                columns.id.startswith(word, autoescape=True),
            )
        )
    return found


def _has_tag(tags: Any, tag: str, dialect: str) -> Condition:
    # A quote inside a tag follows a backslash: a comma before one is between two tags.
    needle = "," + json.dumps(tag, ensure_ascii=False)
    find = func.instr if dialect == "sqlite" else func.strpos
    return find("," + func.substr(tags, 2), needle) > 0


def error_field(error: Any, name: str, dialect: str) -> Any:
    """Return a text of a stored error, as an SQL expression."""
    # PostgreSQL has no text with NUL, and SQLite's ends there.
    text = func.replace(error, r"\u0000", r"\ufffd")
    if dialect == "sqlite":
        return func.json_extract(text, f"$.{name}")
    return cast(text, JSON)[name].astext
