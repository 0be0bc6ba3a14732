"""Offspring: one child process, as its parent sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from closingbell.core.call import Call
from closingbell.executor.board import Board, make_board_file
from closingbell.executor.child import LENGTH, SPILLED, WAKE, Boot
from closingbell.executor.frame import CallFrame, Report, StopFrame, decode_report, encode
from closingbell.executor.import_path import main_source

_RECEIVE = 64 * 1024


class Entry:
    """A call in the process executor.

    Attributes:
        serial: its number in a child; a new one each time it is handed out.
        path: where the child finds its handler.
        kill_at: machine seconds at which the child is killed if it still executes it.
    """

    __slots__ = ("call", "kill_at", "path", "serial")

    def __init__(self, call: Call, path: str) -> None:
        self.call = call
        self.path = path
        self.serial = 0
        self.kill_at: float | None = None


class Offspring:
    """A long-lived child with its socket, its shared memory and the calls that it has.

    Attributes:
        calls: what was handed out and has not been answered, by serial, in order.
        unreported: numbers that were handed out and not reported on, those of calls that were
            taken back included: while there are any, the child is not done with its chunk.
        chunk_at: machine seconds at which the latest chunk was handed out.
        taken_at: machine seconds at which calls were taken back from the chunk, 0 = none were.
        answered: how many calls it has answered.
        retiring: whether it was asked to end; it gets no more calls.
        killed: why it was killed, or "".
    """

    def __init__(self, capture_limit: int, passthrough: bool, exited: Callable[[], None]) -> None:
        """Start a process.

        Args:
            capture_limit: characters of output kept of each run; 0 = none.
            passthrough: whether output also reaches the real streams.
            exited: called from another thread when the process has ended, where the system
                offers no descriptor to wait on (`exit_descriptor` is then None).
        """
        self.calls: dict[int, Entry] = {}
        self.unreported: set[int] = set()
        self.chunk_at = 0.0
        self.taken_at = 0.0
        self.answered = 0
        self.retiring = False
        self.killed = ""
        self.has_ended = False
        self._inbox = b""
        self._outbox = b""
        board_file = make_board_file()
        self.board = Board(board_file)
        self.socket, work = socket.socketpair()
        control, self._control = os.pipe()
        life, self._life = os.pipe()
        self.socket.setblocking(False)
        os.set_blocking(self._control, False)
        theirs = (work.fileno(), control, life, board_file)
        boot = Boot(
            *theirs,
            argv=list(sys.argv),
            main=main_source(),
            capture_limit=capture_limit,
            passthrough=passthrough,
        )
        code = (
            f"import sys; sys.path[:] = {_search_path()!r}; "
            f"from closingbell.executor.child import main; "
            f"main({msgspec.json.encode(boot).decode()!r})"
        )
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, *flags, "-c", code],
                stdin=subprocess.DEVNULL,
                pass_fds=theirs,
                start_new_session=True,
            )
        except OSError:
            self._let_go()
            raise
        finally:
            work.close()
            for descriptor in (control, life, board_file):
                os.close(descriptor)
        self.pid = self._process.pid
        self.exit_descriptor: int | None = None
        if hasattr(os, "pidfd_open"):
            self.exit_descriptor = os.pidfd_open(self.pid)
        else:
            threading.Thread(target=self._await_exit, args=(exited,), daemon=True).start()

    # --- talking -----------------------------------------------------------------------

    def send(self, entries: Sequence[Entry]) -> bool:
        """Hand out a chunk; False when a part of it waits for `flush`."""
        frames = [CallFrame(e.serial, e.path, e.call.claim) for e in entries]
        data = encode(frames)
        self._outbox += LENGTH.pack(len(data)) + data
        return self.flush()

    def flush(self) -> bool:
        """Send what waits; whether nothing is left. The end of the child is noticed elsewhere."""
        while self._outbox:
            try:
                sent = self.socket.send(self._outbox)
            except BlockingIOError:
                return False
            except OSError:
                self._outbox = b""
                return True
            self._outbox = self._outbox[sent:]
        return True

    def ask_to_stop(self, entry: Entry, reason: str) -> None:
        """Set the call's `context.cancelled` in the child, and cancel its coroutine."""
        data = encode(StopFrame(entry.serial, reason))
        # A control pipe that is full belongs to a child that listens to nothing any more.
        with contextlib.suppress(OSError):
            os.write(self._control, LENGTH.pack(len(data)) + data)

    def receive(self) -> list[Report]:
        """Return what the child has reported since the last call."""
        if self.socket.fileno() >= 0:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                while data := self.socket.recv(_RECEIVE):
                    self._inbox += data
                    if len(data) < _RECEIVE:
                        break
        # The board first: what did not fit on it came later.
        reports = [decode_report(data) for data in self.board.read_reports()]
        inbox, at = self._inbox, 0
        while at < len(inbox):
            if inbox[at : at + 1] == WAKE:
                at += 1
                continue
            if inbox[at : at + 1] != SPILLED or len(inbox) < at + 1 + LENGTH.size:
                break
            start = at + 1 + LENGTH.size
            end = start + LENGTH.unpack_from(inbox, at + 1)[0]
            if len(inbox) < end:
                break
            reports.append(decode_report(inbox[start:end]))
            at = end
        self._inbox = inbox[at:]
        return reports

    # --- ending ------------------------------------------------------------------------

    def retire(self) -> None:
        """Let the child end by itself once it has nothing to do."""
        self.retiring = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def kill(self, reason: str) -> None:
        """End the child and everything in its process group, now."""
        self.killed = self.killed or reason
        # The process was not waited for yet, so its number cannot be another's.
        if not self.has_ended:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def bury(self) -> str:
        """Take note of the child's end and say how it came, such as "ended by signal SIGSEGV"."""
        if not self.has_ended:
            # What it left behind in its group goes with it.
            self.kill(self.killed)
            self.has_ended = True
        code = self._process.wait()
        self._let_go()
        if self.exit_descriptor is not None:
            os.close(self.exit_descriptor)
        if code >= 0:
            return f"it exited with code {code}"
        try:
            return f"it was ended by signal {signal.Signals(-code).name}"
        except ValueError:
            return f"it was ended by signal {-code}"

    def _let_go(self) -> None:
        self.socket.close()
        self.board.close()
        os.close(self._control)
        os.close(self._life)

    def _await_exit(self, exited: Callable[[], None]) -> None:
        self._process.wait()
        self.has_ended = True
        exited()


def _search_path() -> list[str]:
    """Return where this process imports from, as absolute paths."""
    here = str(Path.cwd())
    return [here if entry == "" else entry for entry in sys.path]
