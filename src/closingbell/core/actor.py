"""Actor: who is at work, as the audit ledger names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import NamedTuple, ParamSpec, TypeVar

from closingbell.core.call import current_call

_P = ParamSpec("_P")
_R = TypeVar("_R")


class ActorKind(StrEnum):
    """What kind of somebody."""

    PERSON = "person"
    API_TOKEN = "api token"  # noqa: S105  (names a kind, and is no secret)
    COMMAND_LINE = "command line"
    APP_CODE = "app code"
    SYSTEM = "system"


class Actor(NamedTuple):
    """Somebody who does something.

    Attributes:
        name: such as "ann" or "ann@desk-1".
        kind: how they came in.
        reason: why they do what they do, where the act itself does not say.
        is_person: whether they count as one of the two persons that a run may need.
    """

    name: str
    kind: ActorKind
    reason: str | None = None
    is_person: bool = False


#: Who stands at a door, and so is named as the one who asked for a run.
_AT_A_DOOR = (ActorKind.PERSON, ActorKind.API_TOKEN, ActorKind.COMMAND_LINE)
_PERSONS = (ActorKind.PERSON, ActorKind.COMMAND_LINE)

_UNNAMED = Actor("app", ActorKind.APP_CODE)

_current: ContextVar[Actor | None] = ContextVar("closingbell_actor", default=None)


def current_actor() -> Actor:
    """Return who is at work in this context.

    Without `acting_as` that is the task whose run calls, else the app's own code.
    """
    actor = _current.get()
    if actor is not None:
        return actor
    call = current_call.get()
    if call is None:
        return _UNNAMED
    return Actor(call.claim.task, ActorKind.APP_CODE, f"run {call.claim.id}")


def who_asks() -> str | None:
    """Return the name of who stands at a door and asks; None for code, tasks and the system."""
    actor = _current.get()
    return None if actor is None or actor.kind not in _AT_A_DOOR else actor.name


@contextmanager
def acting_as(
    name: str,
    kind: ActorKind = ActorKind.APP_CODE,
    reason: str | None = None,
    *,
    is_person: bool | None = None,
) -> Iterator[Actor]:
    """Let what is done in the `with` block be somebody's.

    It holds for this thread or coroutine and what it awaits, not for threads it starts.

    Args:
        name: who.
        kind: how they came in.
        reason: why; an act that is given a reason of its own keeps that.
        is_person: whether a person acts, who counts where two are needed; default by the
            kind: a person, or a command line's user. An API token says so when it has an
            owner, and a browser that nobody named says that it is none.
    """
    counts = kind in _PERSONS if is_person is None else is_person and kind in _AT_A_DOOR
    with _acting(Actor(name, kind, reason, counts)) as actor:
        yield actor


@contextmanager
def _acting(actor: Actor) -> Iterator[Actor]:
    token = _current.set(actor)
    try:
        yield actor
    finally:
        _current.reset(token)


@contextmanager
def giving_reason(reason: str | None) -> Iterator[None]:
    """Let what is done in the `with` block have a reason; None changes nothing."""
    actor = _current.get()
    if actor is None or reason is None:
        yield
        return
    with _acting(actor._replace(reason=reason)):
        yield


def signed(act: Callable[_P, _R]) -> Callable[_P, _R]:
    """Return an act that stays that of who is at work now, whenever it is done."""
    actor = _current.get()
    if actor is None:
        return act

    def signed_act(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with _acting(actor):
            return act(*args, **kwargs)

    return signed_act
