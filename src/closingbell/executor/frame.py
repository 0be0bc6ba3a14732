"""Frames: what parent and child say to each other, in msgpack.

Only plain values travel, so an exception that cannot be pickled is no problem.
"""

from __future__ import annotations

from typing import Any

import msgspec

from closingbell.core.outcome import (
    Cancelled,
    Outcome,
    Raised,
    Returned,
    Skipped,
    Snoozed,
)
from closingbell.core.run import Claim

#: The child did not begin this call: another one may.
NOT_BEGUN = "not begun"

_OUTCOMES: dict[str, Any] = {
    kind.__name__: kind for kind in (Returned, Raised, Skipped, Snoozed, Cancelled)
}


class CallFrame(msgspec.Struct, array_like=True, frozen=True):
    """A call on its way to a child."""

    serial: int
    path: str
    claim: Claim


class StopFrame(msgspec.Struct, array_like=True, frozen=True):
    """A call that should end."""

    serial: int
    reason: str


class Report(msgspec.Struct, array_like=True, frozen=True):
    """What a child says of a call: output so far, or its end.

    Attributes:
        kind: the outcome's name, `NOT_BEGUN`, or "" while it runs.
        fields: the outcome's values.
        seconds: how long it ran.
    """

    serial: int
    kind: str = ""
    fields: tuple[Any, ...] = ()
    seconds: float = 0.0
    logs: list[tuple[str, str]] = []

    def outcome(self) -> Outcome:
        """Return the outcome that a finished call had in the child."""
        made: Outcome = _OUTCOMES[self.kind](*self.fields)
        return made


_encoder = msgspec.msgpack.Encoder()
_calls = msgspec.msgpack.Decoder(list[CallFrame])
_stop = msgspec.msgpack.Decoder(StopFrame)
_report = msgspec.msgpack.Decoder(Report)

encode = _encoder.encode
decode_calls = _calls.decode
decode_stop = _stop.decode
decode_report = _report.decode
