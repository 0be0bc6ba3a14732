"""Reading server-sent events (the WHATWG HTML standard, section 9.2.6), piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NamedTuple


class SentEvent(NamedTuple):
    """One event of a stream.

    Attributes:
        id: where to resume: the last one that the stream named.
        event: its kind; "message" when it names none.
        data: text, of several lines where it had several.
    """

    id: str | None
    event: str
    data: str


class EventReader:
    """Makes events of the bytes of a stream.

    Attributes:
        last_id: what a new connection sends as `Last-Event-ID`.
        retry_s: how long to wait before connecting anew, as the stream last asked, in seconds.
    """

    def __init__(self, last_id: str | None = None, retry_s: float = 1.0) -> None:
        self.last_id = last_id
        self.retry_s = retry_s
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._kind = ""
        self._lines: list[str] = []
        self._id = last_id

    def feed(self, piece: bytes) -> Iterator[SentEvent]:
        """Take bytes as they come; return the events that are whole by now."""
        text = self._rest + self._decoder.decode(piece)
        # A carriage return at the end may be half of a line's end.
        held = "\r" if text.endswith("\r") else ""
        lines = text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + held
        for line in lines:
            event = self._take(line)
            if event is not None:
                yield event

    def _take(self, line: str) -> SentEvent | None:
        if line:
            self._field(line)
            return None
        self.last_id = self._id
        lines, kind = self._lines, self._kind
        self._lines, self._kind = [], ""
        return SentEvent(self._id, kind or "message", "\n".join(lines)) if lines else None

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._lines.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_s = int(value) / 1000
