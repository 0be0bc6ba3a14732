"""The text of a session rule, 'XNYS+XLON overlap every 30m', and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from closingbell.core.error import TriggerError, near_name
from closingbell.scheduler.trigger_text import format_interval, parse_interval, spoken_duration

EdgeName = Literal["open", "close", "break-start", "break-end"]
Combine = Literal["", "all", "any", "overlap"]

EXPECTED = (
    "'XNYS open+5m', 'XNYS close-15m', 'XNYS every 15m [from open+30m] [to close-5m]', "
    "'XNYS first-of-month open', 'XHKG break-start', 'XNYS+XLON all|any|overlap open'"
)
_EDGES: dict[str, EdgeName] = {
    "open": "open",
    "close": "close",
    "break-start": "break-start",
    "break-end": "break-end",
    "break": "break-start",
    "resume": "break-end",
}
_SPOKEN_EDGES = {
    "open": "the open",
    "close": "the close",
    "break-start": "the start of the break",
    "break-end": "the end of the break",
}
_COMBINES: dict[str, Combine] = {"all": "all", "any": "any", "overlap": "overlap"}
_FROM_START = ("first", "second", "third", "fourth", "fifth")
_ORDINALS = {
    **{word: number for number, word in enumerate(_FROM_START, 1)},
    "last": -1,
    **{f"{word}-last": -number for number, word in enumerate(_FROM_START, 1) if number > 1},
}
PERIODS = ("week", "month", "quarter", "year")
_EDGE = re.compile(r"(break-start|break-end|open|close|break|resume)(?:([+-])([0-9].*))?")
_WHICH = re.compile(r"([a-z]+(?:-last)?)-of-(?:the-)?([a-z]+)")
_LONGEST_OFFSET = timedelta(days=7)
_LONGEST_TEXT = 512


@dataclass(frozen=True)
class Edge:
    """A point of a session: an edge, and how far before or after it, in seconds."""

    name: EdgeName
    offset_s: int = 0

    def __str__(self) -> str:
        if not self.offset_s:
            return self.name
        sign = "+" if self.offset_s > 0 else "-"
        return f"{self.name}{sign}{format_interval(timedelta(seconds=abs(self.offset_s)))}"

    def spoken(self) -> str:
        """Say it in plain English: '15 minutes before the close'."""
        if not self.offset_s:
            return f"at {_SPOKEN_EDGES[self.name]}"
        side = "after" if self.offset_s > 0 else "before"
        span = spoken_duration(timedelta(seconds=abs(self.offset_s)))
        return f"{span} {side} {_SPOKEN_EDGES[self.name]}"


@dataclass(frozen=True)
class SessionRule:
    """What the text of a session rule says.

    Attributes:
        venues: canonical names, in the order given; the first gives the session date.
        combine: how several venues go together; '' for one.
        which: 0 for every session, 1 the first of the `period`, -1 the last, ...
        edge: the point of the session; None for an `every` rule.
        step_s: the step of an `every` rule in seconds; 0 otherwise.
        start, end: the window of an `every` rule; None for the session's own.
    """

    venues: tuple[str, ...]
    combine: Combine = ""
    which: int = 0
    period: str = ""
    edge: Edge | None = None
    step_s: int = 0
    start: Edge | None = None
    end: Edge | None = None

    def __str__(self) -> str:
        words = ["+".join(self.venues)]
        if self.combine:
            words.append(self.combine)
        if self.which:
            words.append(f"{self._ordinal()}-of-{self.period}")
        if self.edge is not None:
            words.append(str(self.edge))
        else:
            words += ["every", format_interval(timedelta(seconds=self.step_s))]
            if self.start is not None:
                words += ["from", str(self.start)]
            if self.end is not None:
                words += ["to", str(self.end)]
        return " ".join(words)

    def _ordinal(self) -> str:
        return next(word for word, number in _ORDINALS.items() if number == self.which)

    def spoken_session(self) -> str:
        """Say which sessions: 'every XNYS session', 'the first XNYS session of the month'."""
        names = " and ".join(
            [", ".join(self.venues[:-1]), self.venues[-1]] if len(self.venues) > 1 else self.venues
        )
        what = {
            "": f"{names} session",
            "all": f"session that {names} all hold (the last of them)",
            "any": f"session of {names} (the first of them)",
            "overlap": f"overlap of {names}",
        }[self.combine]
        if self.combine == "any" and self.step_s:
            what = f"session of any of {names}"
        if not self.which:
            return f"every {what}"
        return f"the {self._ordinal()} {what} of the {self.period}"

    def spoken_point(self) -> str:
        """Say which point of the session: '15 minutes before the close', 'every 15 minutes'."""
        if self.edge is not None:
            return self.edge.spoken()
        return f"every {spoken_duration(timedelta(seconds=self.step_s))}"

    def spoken(self) -> str:
        """Say the rule in plain English."""
        if self.edge is not None:
            return f"{self.edge.spoken()} of {self.spoken_session()}"
        step = spoken_duration(timedelta(seconds=self.step_s))
        text = f"every {step} during {self.spoken_session()}"
        if self.start is not None:
            text += f", from {self.start.spoken().removeprefix('at ')}"
        if self.end is not None:
            text += f", to {self.end.spoken().removeprefix('at ')}"
        return text


def parse_session_rule(given: object, canonical: Callable[[str], str]) -> SessionRule:
    """Read the text of a session rule.

    Args:
        given: what the user wrote.
        canonical: gives a venue's own name for a name or alias, or raises CalendarError.

    Raises:
        TriggerError: the text cannot be read; the sentence says which word.
        CalendarError: a venue is unknown.
    """
    if not isinstance(given, str) or len(given) > _LONGEST_TEXT:
        raise TriggerError("session", given, EXPECTED)
    words = re.sub(r"\s*([+-])\s*", r"\1", given.strip()).split()
    if len(words) < 2:
        raise TriggerError("session", given, EXPECTED)
    names = words.pop(0).split("+")
    words = [word.lower() for word in words]
    venues = tuple(canonical(name) for name in names)
    if len(set(venues)) < len(venues):
        raise TriggerError("session", given, "each venue once (aliases of one venue count as one)")
    combine: Combine = ""
    if words[0] in _COMBINES:
        combine = _COMBINES[words.pop(0)]
        if len(venues) == 1:
            raise TriggerError("session", given, f"several venues before {combine!r}, 'XNYS+XLON'")
    elif len(venues) > 1:
        raise TriggerError("session", given, "'all', 'any' or 'overlap' after several venues")
    which, period = 0, ""
    if words and (match := _WHICH.fullmatch(words[0])):
        which, period = _which(given, match[1], match[2])
        words.pop(0)
    if not words:
        raise TriggerError("session", given, EXPECTED)
    if words[0] == "every":
        if combine == "all":
            raise TriggerError(
                "session", given, "'overlap every ...' for the time in which all are open"
            )
        step_s, start, end = _every(given, words[1:])
        return SessionRule(venues, combine, which, period, None, step_s, start, end)
    if len(words) > 1:
        raise TriggerError("session", given, f"nothing after {words[0]!r}, found {words[1]!r}")
    return SessionRule(venues, combine, which, period, _edge(given, words[0]))


def _which(given: str, ordinal: str, period: str) -> tuple[int, str]:
    if ordinal not in _ORDINALS:
        raise TriggerError("session", given, f"one of {', '.join(_ORDINALS)} before '-of-'")
    if period not in PERIODS:
        near = near_name(period, PERIODS)
        hint = f"; did you mean {near!r}?" if near else ""
        raise TriggerError("session", given, f"week, month, quarter or year after '-of-'{hint}")
    return _ORDINALS[ordinal], period


def _edge(given: str, word: str) -> Edge:
    match = _EDGE.fullmatch(word)
    if match is None:
        near = near_name(re.split(r"[+-][0-9]", word)[0], (*_EDGES, "every", "overlap"))
        hint = f"; did you mean {near!r}?" if near else ""
        raise TriggerError("session", given, EXPECTED + hint)
    name, sign, span = match.groups()
    if sign is None:
        return Edge(_EDGES[name])
    offset = _duration(given, span)
    if offset > _LONGEST_OFFSET or offset % timedelta(seconds=1):
        raise TriggerError("session", given, "an offset of whole seconds, at most 7 days")
    seconds = int(offset.total_seconds())
    return Edge(_EDGES[name], seconds if sign == "+" else -seconds)


def _duration(given: str, text: str) -> timedelta:
    try:
        return parse_interval(text, "session")
    except TriggerError as problem:
        raise TriggerError("session", given, f"{problem.expected}, found {text!r}") from None


def _every(given: str, words: list[str]) -> tuple[int, Edge | None, Edge | None]:
    if not words:
        raise TriggerError("session", given, "a duration after 'every', such as '15m'")
    step = _duration(given, words.pop(0))
    if step % timedelta(seconds=1):
        raise TriggerError("session", given, "whole seconds after 'every'")
    bounds: dict[str, Edge] = {}
    while words:
        word = words.pop(0)
        if word not in ("from", "to") or word in bounds or not words:
            raise TriggerError("session", given, "'from EDGE' and 'to EDGE' after the duration")
        bounds[word] = _edge(given, words.pop(0))
        if bounds[word].name not in ("open", "close"):
            raise TriggerError("session", given, f"open or close after {word!r}")
    return int(step.total_seconds()), bounds.get("from"), bounds.get("to")
