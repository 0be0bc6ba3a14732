"""Approval: who releases a run that two persons must agree on. Pure: the store only counts rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from closingbell.core.run import Run

#: What a task's option `approval=` may be.
TWO_PERSON = "two-person"
#: The mark of a run that waits for people.
HOLD = "approval"
#: So many distinct persons must agree, the one who asked counted.
_PERSONS = 2


class Verdict(StrEnum):
    """What a person did about a run."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"


class Decision(NamedTuple):
    """What one person did in one round; a run that is tried again by hand begins a new round."""

    person: str
    verdict: Verdict
    reason: str | None = None
    decided_at: datetime | None = None


class Standing(NamedTuple):
    """How far a round has come.

    Attributes:
        state: "waiting", "released" or "rejected".
        needed: how many more persons must release it.
        asked_by: the person who asked for it; None when a schedule, an event, code or a
            program's token did.
        released_by: who has released it, in order.
        rejected_by: who rejected it.
    """

    state: str
    needed: int
    asked_by: str | None = None
    released_by: tuple[str, ...] = ()
    rejected_by: str | None = None


class HeldRun(NamedTuple):
    """A run that waits for people, with what they decided so far."""

    run: Run
    standing: Standing
    decisions: tuple[Decision, ...]


def same_person(one: str, other: str) -> bool:
    """Whether two names may be one human's.

    Someone is "ana" at one door, "ana@desk-1" at the command line and "Ana@firm.example" at
    the sign-in provider. What stands before the @ decides: it is better to refuse one of two
    namesakes than to let one human be two.
    """
    return _human(one) == _human(other)


def standing(decisions: Iterable[Decision]) -> Standing:
    """Return where a round stands.

    Two distinct persons must agree, counting the one who asked if that was a person. One
    rejection ends it.

    Args:
        decisions: of one round, in order.
    """
    asked_by: str | None = None
    rejected_by: str | None = None
    released: dict[str, str] = {}
    for decision in decisions:
        if decision.verdict is Verdict.REQUESTED:
            asked_by = asked_by or decision.person
        elif decision.verdict is Verdict.REJECTED:
            rejected_by = rejected_by or decision.person
        else:
            released.setdefault(_human(decision.person), decision.person)
    if asked_by is not None:
        released.pop(_human(asked_by), None)
    agreed = len(released) + (asked_by is not None)
    needed = max(_PERSONS - agreed, 0)
    by = tuple(released.values())
    if rejected_by is not None:
        return Standing("rejected", 0, asked_by, by, rejected_by)
    return Standing("waiting" if needed else "released", needed, asked_by, by)


def refusal(decisions: Sequence[Decision], name: str, is_person: bool) -> str | None:
    """Return why somebody may not decide about a run, or None when they may.

    Args:
        decisions: of the round.
        name: who would decide.
        is_person: whether they are a person.
    """
    if not is_person:
        return f"{name!r} is no person: sign in, use the command line, or a token that has an owner"
    for decision in decisions:
        if not same_person(decision.person, name):
            continue
        who = name if decision.person == name else f"{name}, who counts as {decision.person},"
        if decision.verdict is Verdict.REQUESTED:
            return f"{who} asked for it, and a second person must decide; who asked may cancel it"
        return f"{who} has {decision.verdict} it already: another person must decide"
    return None


def _human(name: str) -> str:
    local = name.strip().partition("@")[0].strip()
    return (local or name).casefold()
