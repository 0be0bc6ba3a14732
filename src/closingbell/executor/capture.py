"""Capture: what each run prints and logs, kept with the run and passed on.

One stand-in for `sys.stdout` and one for `sys.stderr` ask which call the current
thread or coroutine is executing, so that runs side by side never mix. Log
records are seen where they are made, not by a handler on the root logger:
such a handler would silence `logging.basicConfig` and the last-resort output
of programs that set up no logging.

Not seen: threads that a run starts by itself, and what C code or child
processes write straight to a file descriptor.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

from closingbell.core.call import Call, current_call

#: So many characters are kept of one attempt: half from its beginning, half from its end.
KEPT_CHARACTERS = 64 * 1024

_MERGE_UP_TO = 1_024


class Pieces(list[tuple[str, str]]):
    """Output in the order it came, bounded: a head, a line about the gap, a tail."""

    __slots__ = ("_dropped", "_gap", "_head_room", "_tail_limit", "_tail_size", "_tail_start")

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._head_room = limit // 2
        self._tail_limit = limit - limit // 2
        self._tail_start: int | None = None
        self._tail_size = 0
        self._dropped = 0
        self._gap = False

    def add(self, stream: str, text: str) -> None:
        """Keep one more piece, dropping from the middle when there are too many."""
        room = self._head_room
        if room:
            if len(text) <= room:
                self._head_room = room - len(text)
                self._join(stream, text, 0)
                return
            self._join(stream, text[:room], 0)
            self._head_room = 0
            text = text[room:]
        if self._tail_start is None:
            self._tail_start = len(self)
        if len(text) > self._tail_limit:
            self._dropped += len(text) - self._tail_limit
            text = text[-self._tail_limit :]
        self._join(stream, text, self._tail_start + self._gap)
        self._tail_size += len(text)
        self._trim()

    def peek(self) -> list[tuple[str, str]]:
        """Return what `take` would."""
        return self[: self._tail_start]

    def take(self) -> list[tuple[str, str]]:
        """Return and forget the head; the tail stays until the attempt has ended."""
        taken = self[: self._tail_start]
        del self[: self._tail_start]
        if self._tail_start is not None:
            self._tail_start = 0
        return taken

    def _join(self, stream: str, text: str, first: int) -> None:
        if len(self) > first:
            last_stream, last = self[-1]
            if last_stream == stream and len(last) < _MERGE_UP_TO:
                self[-1] = (stream, last + text)
                return
        self.append((stream, text))

    def _trim(self) -> None:
        start = self._tail_start
        if start is None or (self._tail_size <= self._tail_limit and not self._dropped):
            return
        if self._gap:
            del self[start]
        while (excess := self._tail_size - self._tail_limit) > 0:
            stream, text = self[start]
            if len(text) <= excess:
                del self[start]
                cut = len(text)
            else:
                self[start] = (stream, text[excess:])
                cut = excess
            self._tail_size -= cut
            self._dropped += cut
        self.insert(start, ("log", f"\n... {self._dropped:,} characters were dropped here ...\n"))
        self._gap = True


class _Tee:
    """Stands in for a text stream: passes writes on, and keeps those of runs."""

    def __init__(self, name: str, real: TextIO | None) -> None:
        self._name = name
        self._real = real

    def write(self, text: str) -> int:
        call = current_call.get()
        real = self._real
        capture = _latest
        if call is not None and capture is not None:
            # A log handler that writes here repeats a record that was kept already.
            if sys._getframe(1).f_code is not _STREAM_HANDLER_EMIT:
                capture.keep(call, self._name, text)
            if not capture.shows(call):
                return len(text)
        return real.write(text) if real is not None else len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self._real is not None:
            self._real.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


_STREAM_HANDLER_EMIT = logging.StreamHandler.emit.__code__
_FORMAT = logging.Formatter()

# The streams belong to the process, so what stands in for them does, too. The capture that was
# installed last says how much is kept.
_installed: list[Capture] = []
_latest: Capture | None = None
_undo: list[Callable[[], None]] = []
_installing = threading.Lock()


class Capture:
    """Keeps the output of runs while it is installed.

    A call's output gathers in `call.logs` as (stream, text) pieces, the stream being "stdout",
    "stderr" or "log". Calls may come from any thread. Code outside of runs is left alone.
    """

    def __init__(self, limit: int = KEPT_CHARACTERS, passthrough: bool = True) -> None:
        """Make a capture that is not installed yet.

        Args:
            limit: characters kept of one attempt, half from its beginning, half from its end.
            passthrough: whether what runs print also reaches the real streams.
        """
        self.limit = limit
        self.passthrough = passthrough
        self._lock = threading.Lock()

    def install(self) -> None:
        """Begin; each `install` is ended by one `remove`."""
        global _latest
        with _installing:
            _installed.append(self)
            _latest = self
            if len(_installed) == 1:
                _undo.append(_see_records())
            for name in ("stdout", "stderr"):
                # Somebody may have put another stream in its place meanwhile.
                if not isinstance(getattr(sys, name), _Tee):
                    _undo.append(_stand_in(name))

    def remove(self) -> None:
        """End one `install`; with the last one the streams are as they were."""
        global _latest
        with _installing:
            if self in _installed:
                _installed.remove(self)
                _latest = _installed[-1] if _installed else None
                if not _installed:
                    for undo in _undo:
                        undo()
                    _undo.clear()

    def keep(self, call: Call, stream: str, text: str) -> None:
        """Add output to a call."""
        if not text:
            return
        with self._lock:
            pieces = call.logs
            if not isinstance(pieces, Pieces):
                pieces = Pieces(self.limit)
                call.logs = pieces
            pieces.add(stream, text)
            call.log_size += len(text)

    def extend(self, call: Call, pieces: Iterable[tuple[str, str]]) -> None:
        """Add output that another process has kept, and bounded, already."""
        with self._lock:
            if call.logs is None:
                call.logs = []
            for stream, text in pieces:
                call.logs.append((stream, text))
                call.log_size += len(text)

    def shows(self, call: Call) -> bool:
        """Whether what a run prints also reaches the real streams."""
        return self.passthrough

    def instant(self, record: logging.LogRecord) -> float:
        """Return when a record was made, in seconds since the epoch."""
        return record.created

    def take(self, call: Call) -> list[tuple[str, str]]:
        """Return what a running call has put out since the last `take`, and forget it.

        Once half of the limit has been taken, the rest is held back until the attempt has ended
        (`call.outcome` is set): only then is it known which part of it is the end.
        """
        with self._lock:
            pieces = call.logs
            if pieces is None:
                return []
            if isinstance(pieces, Pieces) and call.outcome is None:
                return pieces.take()
            call.logs = None
            return list(pieces)


def _stand_in(name: str) -> Callable[[], None]:
    real = getattr(sys, name)
    tee = _Tee(name, real)
    setattr(sys, name, tee)

    def undo() -> None:
        if getattr(sys, name) is tee:
            setattr(sys, name, real)

    return undo


def _see_records() -> Callable[[], None]:
    make = logging.getLogRecordFactory()

    def make_and_keep(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        call = current_call.get()
        # A record without a name is the empty one of logging.makeLogRecord.
        capture = _latest
        if call is not None and capture is not None and record.name:
            capture.keep(call, "log", _line(record, capture.instant(record)))
        return record

    def undo() -> None:
        if logging.getLogRecordFactory() is make_and_keep:
            logging.setLogRecordFactory(make)

    logging.setLogRecordFactory(make_and_keep)
    # Lines of `context.log` are kept from INFO on, whatever the root logger's level is.
    tasks = logging.getLogger("closingbell.task")
    if tasks.level == logging.NOTSET:
        tasks.setLevel(logging.INFO)
    return undo


def _line(record: logging.LogRecord, created: float) -> str:
    try:
        message = record.getMessage()
    except Exception as problem:
        message = f"{record.msg!r} % {record.args!r} ({problem})"
    at = datetime.fromtimestamp(created, UTC)
    line = (
        f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}Z "
        f"{record.levelname:<8} {record.name}: {message}\n"
    )
    if record.exc_info and record.exc_info[0] is not None:
        line += _FORMAT.formatException(record.exc_info) + "\n"
    return line
