"""A filter in one line, as it is typed: `task:risk_scan state:failed,cancelled "out of memory"`.

    field:value     what is wanted; the fields are in `FIELDS`
    -field:value    what is not wanted: a task, a state or a tag
    words           found in the task's name, the reason or the error, or they begin the id

A value with blanks, quotes, commas or a colon at a word's start is put in double quotes, in
which a backslash stands before a quote or a backslash. Tags are listed one by one, each with
its own `tag:`; all of them are wanted. Instants are ISO 8601, a date is its first moment, and
what names no zone is in the reader's.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, tzinfo
from typing import Any, NamedTuple

from closingbell.core.error import FilterError, near_name
from closingbell.core.run import RunState
from closingbell.core.run_filter import RunFilter

#: By the field as it is typed, the attribute of `RunFilter`; the first of several is written.
FIELDS = {
    "task": "task",
    "state": "states",
    "tag": "tags",
    "schedule": "schedule",
    "cause": "cause",
    "worker": "worker",
    "batch": "batch",
    "event": "event",
    "by": "requested_by",
    "requested_by": "requested_by",
    "session": "session",
    "session_date": "session",
    "hold": "hold",
    "since": "submitted_since",
    "submitted_since": "submitted_since",
    "until": "submitted_until",
    "submitted_until": "submitted_until",
    "finished_since": "finished_since",
    "finished_until": "finished_until",
}
_WITHOUT = {"task": "without_tasks", "tag": "without_tags", "state": "states"}
_INSTANTS = ("submitted_since", "submitted_until", "finished_since", "finished_until")
_LONGEST = 2_000

_FIELD = re.compile(r"(-?)([A-Za-z_]+):")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_BARE = re.compile(r'[^\s"]+')
_PLAIN = re.compile(r"[\w.@/+][\w.@/+-]*")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class _Term(NamedTuple):
    """One term of a line, and where it begins, from 1."""

    place: int
    negated: bool
    field: str | None
    value: str
    quoted: bool


def read_filter(line: str, zone: tzinfo = UTC) -> RunFilter:
    """Return the filter that a line says.

    Args:
        line: as a person types it; an empty one means every run.
        zone: of dates and of instants that name none.

    Raises:
        FilterError: it says where the line is wrong, and what was expected there.
    """
    if len(line) > _LONGEST:
        raise FilterError(line[:40] + "...", f"at most {_LONGEST} characters")
    said: dict[str, Any] = {}
    for term in _terms(line):
        try:
            _take(said, term, zone)
        except FilterError as problem:
            raise FilterError(problem.given, problem.expected, term.place) from None
    return RunFilter(**said)


def filter_text(wanted: RunFilter) -> str:
    """Return the line that `read_filter` reads as the same filter."""
    said = dict(wanted.said)
    terms: list[str] = []
    first, last = said.pop("session_from", None), said.pop("session_to", None)
    if first is not None or last is not None:
        ends = [day.isoformat() if day else "" for day in (first, last)]
        terms.append("session:" + (ends[0] if first == last else "..".join(ends)))
    names = {attribute: name for name, attribute in reversed(FIELDS.items())}
    for attribute, value in said.items():
        match attribute:
            case "words":
                continue
            case "states":
                terms.append("state:" + ",".join(value))
            case "tags":
                terms += [f"tag:{_written(tag)}" for tag in value]
            case "without_tasks":
                terms += [f"-task:{_written(task)}" for task in value]
            case "without_tags":
                terms += [f"-tag:{_written(tag)}" for tag in value]
            case _ if attribute in _INSTANTS:
                terms.append(f"{names[attribute]}:{value.isoformat().replace('+00:00', 'Z')}")
            case _:
                terms.append(f"{names[attribute]}:{_written(value)}")
    return " ".join([*terms, *map(_written, wanted.words)])


def read_instant(text: str, zone: tzinfo = UTC) -> datetime:
    """Return the instant that a text names; a date is its first moment.

    Raises:
        FilterError: it is no instant between 1970 and 2200.
    """
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=zone)
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise FilterError(
            text, "an instant such as 2026-11-01, 2026-11-01T09:30 or 2026-11-01T09:30Z"
        ) from None


def read_session(text: str) -> tuple[date | None, date | None]:
    """Return the first and the last trading day of `2026-11-02` or `2026-11-02..2026-11-06`.

    Raises:
        FilterError: it is neither a day nor a range of days.
    """
    first, dots, last = text.partition("..")
    if not dots:
        return _day(text), _day(text)
    if not first and not last:
        raise FilterError(text, "a first day, a last day, or both")
    return _day(first) if first else None, _day(last) if last else None


def _day(text: str) -> date:
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise FilterError(text, "a day such as 2026-11-02, or a range such as 2026-11-02..2026-11-06")


def _terms(line: str) -> list[_Term]:
    found: list[_Term] = []
    at = 0
    while True:
        while at < len(line) and line[at].isspace():
            at += 1
        if at == len(line):
            return found
        place = at + 1
        field = _FIELD.match(line, at)
        if field is not None:
            at = field.end()
        elif line[at] == "-":
            raise FilterError(
                line[at : at + 20], "a field after '-', or the word in double quotes", place
            )
        quoted = at < len(line) and line[at] == '"'
        value = (_QUOTED if quoted else _BARE).match(line, at)
        if value is None:
            expected = "a closing double quote" if quoted else "a value after the colon"
            raise FilterError(line[place - 1 : place + 19], expected, at + 1)
        at = value.end()
        if at < len(line) and not line[at].isspace():
            raise FilterError(line[at : at + 20], "a blank between two terms", at + 1)
        text = re.sub(r"\\(.)", r"\1", value[1], flags=re.DOTALL) if quoted else value[0]
        negated, name = (field[1] == "-", field[2].lower()) if field else (False, None)
        found.append(_Term(place, negated, name, text, quoted))


def _take(said: dict[str, Any], term: _Term, zone: tzinfo) -> None:
    if term.field is None:
        said["words"] = (*said.get("words", ()), term.value)
        RunFilter(words=said["words"])
        return
    attribute = FIELDS.get(term.field)
    if attribute is None:
        near = near_name(term.field, FIELDS)
        hint = f"a field (did you mean {near!r}?)" if near else f"one of {', '.join(FIELDS)}"
        raise FilterError(f"{term.field}:", f"{hint}, or text to look for in double quotes")
    value: Any = term.value
    if term.negated:
        if term.field not in _WITHOUT:
            raise FilterError(f"-{term.field}:", f"'-' before one of {', '.join(_WITHOUT)}")
        attribute = _WITHOUT[term.field]
    if attribute in ("tags", "without_tasks", "without_tags"):
        if "," in value and not term.quoted:
            raise FilterError(value, f"one {term.field}: repeat {term.field}: for several")
        said[attribute] = (*said.get(attribute, ()), value)
        RunFilter(**{attribute: said[attribute]})
        return
    read: dict[str, Any]
    if attribute == "session":
        read = dict(zip(("session_from", "session_to"), read_session(value), strict=True))
    elif attribute == "states":
        read = {"states": _states(value, term.negated)}
    elif attribute in _INSTANTS:
        read = {attribute: read_instant(value, zone)}
    else:
        read = {attribute: value}
    if said.keys() & read.keys():
        raise FilterError(f"{term.field}:{value}", f"{term.field}: only once")
    RunFilter(**read)
    said.update(read)


def _states(value: str, negated: bool) -> tuple[RunState, ...]:
    named = RunFilter(states=tuple(value.split(","))).states  # type: ignore[arg-type]
    if not negated:
        return named
    if not named:
        raise FilterError(value, "a state that is left")
    return tuple(state for state in RunState if state not in named)


def _written(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
