"""ProcessExecutor: handlers by import path, in a pool of children that can be killed.

The ladder: the child's `context.cancelled` and the cancellation of its coroutine,
then, after a grace, SIGKILL to the child's whole process group; a new child
takes its place at once. Neither a loop, nor C code that holds the interpreter's
lock, nor a handler that ignores signals escapes that. What a grandchild does after it
has left the process group (`setsid`) is out of reach.

Runs of a few milliseconds travel in chunks. Each has its own deadline all the same:
the child notes in shared memory which call it executes since when. When one call
of a chunk takes long, those behind it are given to other children; when a child
dies, its finished calls count, the executing one is lost, and the rest goes elsewhere.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence

from closingbell.core.call import Call
from closingbell.core.clock import Clock, SystemClock
from closingbell.core.error import HandlerNotFound
from closingbell.core.outcome import Cancelled, GivenBack, Outcome
from closingbell.executor.capture import Capture
from closingbell.executor.chunk import Durations, chunk_size
from closingbell.executor.cpu import available_cpus
from closingbell.executor.ending import end, lost, raised, timed_out
from closingbell.executor.frame import NOT_BEGUN, Report
from closingbell.executor.import_path import import_path_of
from closingbell.executor.lookout import NEVER, SETTLE_S, TAKE_BACK_S, Lookout
from closingbell.executor.offspring import Entry, Offspring
from closingbell.executor.staff import FAILED_STARTS, Staff

#: When the system starts no process, it is asked again after so long.
RESTART_S = 0.1
#: How long children may take to end by themselves when the executor stops.
FAREWELL_S = 1.0

_log = logging.getLogger("closingbell")

_STOPS = "the worker stops"
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

_Ended = list[tuple[Call, Outcome]]


class ProcessExecutor:
    """Runs handlers in child processes."""

    kind = "process"

    def __init__(
        self,
        children: int | None = None,
        clock: Clock | None = None,
        capture: Capture | None = None,
        *,
        cancel_grace_s: float = 0.5,
        timeout_grace_s: float = 0.1,
        recycle_after_calls: int | None = None,
        recycle_above_bytes: int | None = 2 * 1024**3,
        on_send: Callable[[Call], None] = lambda _: None,
    ) -> None:
        """Make an executor; its children start with the first calls.

        Args:
            children: how many processes; one for each CPU that this process may use by default.
            clock: its machine seconds must be this machine's, as children measure them, too.
            capture: says how much output is kept of each run; None keeps none.
            cancel_grace_s: seconds between asking a cancelled call to end and killing its child.
            timeout_grace_s: the same for a call that reached its deadline.
            recycle_after_calls: a child that ran so many calls is replaced; None = never.
            recycle_above_bytes: a child with more resident memory after a chunk is replaced, too.
            on_send: told of each call before it goes to a child; may change its claim's trace.
        """
        self._clock: Clock = clock or SystemClock()
        self._on_send, self._capture = on_send, capture or Capture(0)
        # Below this a child might begin its next call just before it is killed.
        self._cancel_grace_s = max(cancel_grace_s, SETTLE_S)
        self._timeout_grace_s = max(timeout_grace_s, SETTLE_S)
        self._lock = threading.Lock()
        self._all_answered = threading.Condition(self._lock)
        self._queue: deque[Entry] = deque()
        self._entries: dict[Call, Entry] = {}
        self._staff = Staff(children or available_cpus(), recycle_after_calls, recycle_above_bytes)
        self._children = self._staff.children
        self._durations = Durations()
        self._serials = itertools.count(1)
        self._lookout = Lookout(self._timeout_grace_s)
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._thread: threading.Thread | None = None

    @property
    def slots(self) -> int:
        """How many calls may be inside at once: one a child, more while runs are short."""
        with self._lock:
            for entry in itertools.islice(self._queue, 64):
                if not self._durations.is_short(entry.call.claim.task):
                    return self._staff.size
            return self._staff.size * self._durations.places()

    @property
    def pids(self) -> list[int]:
        """The living children."""
        with self._lock:
            return [child.pid for child in self._children]

    def start(self) -> None:
        """Start the thread that talks to the children."""
        self._selector.register(self._ear, _READ, None)
        self._thread = threading.Thread(target=self._serve, name="closingbell-process", daemon=True)
        self._thread.start()

    def submit(self, calls: Sequence[Call]) -> None:
        """Take calls; a handler that no child can import is answered at once."""
        refused: _Ended = []
        entries = []
        for call in calls:
            try:
                path = call.task.import_path or import_path_of(call.task.handler)
            except HandlerNotFound as problem:
                refused.append((call, raised(problem)))
            else:
                entries.append(Entry(call, path))
        with self._lock:
            for entry in entries:
                self._entries[entry.call] = entry
            self._queue.extend(entries)
            planned = self._lookout.at
            self._hand_out(self._clock.monotonic())
            if self._lookout.at < planned or self._staff.missing(len(self._queue)):
                self._ring()
        _answer(refused)

    def drain(self) -> list[Call]:
        """Return calls that no child has got yet."""
        with self._lock:
            drained = [entry.call for entry in self._queue]
            self._queue.clear()
            for call in drained:
                del self._entries[call]
        return drained

    def stop_call(self, call: Call, reason: str) -> None:
        """Ask a call to end, and kill its child after the grace; returns at once."""
        ended: _Ended = []
        with self._lock:
            entry = self._entries.get(call)
            if entry is None or call.stopping is not None:
                return
            call.stopping = Cancelled(reason)
            if entry in self._queue:
                self._queue.remove(entry)
                self._end(entry, call.stopping, ended)
            else:
                self._ask(entry, reason, self._clock.monotonic() + self._cancel_grace_s)
        _answer(ended)

    def stop(self, grace_s: float) -> None:
        """Wait for what runs, kill the rest and give it back, end all children; blocks."""
        ended: _Ended = []
        with self._lock:
            if self._stopping or self._thread is None:
                return
            self._stopping = True
            for entry in list(self._queue):
                self._end(entry, GivenBack(_STOPS), ended)
            self._queue.clear()
            self._wait_for_answers(grace_s)
            kill_at = self._clock.monotonic() + self._timeout_grace_s
            for entry in self._entries.values():
                if entry.call.stopping is None:
                    entry.call.stopping = GivenBack(_STOPS)
                self._ask(entry, _STOPS, kill_at)
        _answer(ended)
        with self._lock:
            # Whatever is begun is killed at `kill_at`; what never began follows its child.
            self._wait_for_answers(self._timeout_grace_s + FAREWELL_S)
            for child in self._children:
                child.retire()
            end = self._clock.monotonic() + FAREWELL_S
            while self._children and (left := end - self._clock.monotonic()) > 0:
                self._all_answered.wait(left)
            for child in self._children:
                child.kill(_STOPS)
            self._ring()
        self._thread.join(FAREWELL_S)
        with self._lock:
            unanswered = list(self._entries)
            self._entries.clear()
        _answer([(call, lost("process", "it could not be ended")) for call in unanswered])

    # --- the thread that talks to the children -------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._lock:
                if self._stopping and not self._children:
                    break
                left = self._lookout.at - self._clock.monotonic()
            events = self._selector.select(None if left == NEVER else max(left, 0.0))
            ended: _Ended = []
            gone: list[Offspring] = []
            with self._lock:
                for key, mask in events:
                    if key.data is None:
                        with contextlib.suppress(BlockingIOError):
                            self._ear.recv(4096)
                        continue
                    child: Offspring = key.data
                    if key.fileobj == child.exit_descriptor:
                        gone.append(child)
                        continue
                    if mask & _WRITE and child.flush():
                        self._selector.modify(child.socket, _READ, child)
                    if mask & _READ:
                        self._collect(child, ended)
                gone.extend(c for c in self._children if c.has_ended and c not in gone)
                for child in gone:
                    self._bury(child, ended)
                now = self._clock.monotonic()
                self._look(now, ended)
                self._hand_out(now)
                missing = 0 if self._stopping else self._staff.missing(len(self._queue))
            for _ in range(missing):
                self._add_child(ended)
            _answer(ended)
        self._selector.close()
        self._bell.close()
        self._ear.close()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            self._bell.send(b"\x00")

    # --- handing out -------------------------------------------------------------------

    def _hand_out(self, now: float) -> None:
        """Give chunks to the children that have nothing to do."""
        for child in self._children:
            if not self._queue:
                return
            if child.unreported or child.retiring or child.killed:
                continue
            size = chunk_size(
                (entry.call.claim.task for entry in self._queue),
                len(self._queue),
                self._durations,
                self._staff.size,
            )
            chunk = [self._queue.popleft() for _ in range(size)]
            for entry in chunk:
                entry.serial = next(self._serials)
                self._on_send(entry.call)
                child.calls[entry.serial] = entry
                child.unreported.add(entry.serial)
            timeout_s = chunk[0].call.claim.timeout_s
            chunk[0].call.deadline = now + timeout_s
            child.chunk_at, child.taken_at = now, 0.0
            child.board.expect_chunk()
            self._lookout.by(now + (timeout_s if size == 1 else min(timeout_s, TAKE_BACK_S)))
            if not child.send(chunk):
                # Only the serving thread may touch the selector.
                self._lookout.by(now)

    def _add_child(self, ended: _Ended) -> None:
        try:
            child = Offspring(self._capture.limit, self._capture.passthrough, self._ring)
        except OSError as problem:
            with self._lock:
                self._start_failed(f"the system started none: {problem}", ended)
                self._lookout.by(self._clock.monotonic() + RESTART_S)
            return
        self._selector.register(child.socket, _READ, child)
        if child.exit_descriptor is not None:
            self._selector.register(child.exit_descriptor, _READ, child)
        with self._lock:
            self._children.append(child)
            self._hand_out(self._clock.monotonic())

    def _start_failed(self, how: str, ended: _Ended) -> None:
        """Give up on what waits when children never begin."""
        self._staff.failed_starts += 1
        _log.warning("a child process ended before it began: %s", how)
        if self._staff.is_hopeless:
            while self._queue:
                why = f"{FAILED_STARTS} children in a row ended before they began: {how}"
                self._end(self._queue.popleft(), lost("process", why), ended)

    # --- answers -----------------------------------------------------------------------

    def _collect(self, child: Offspring, ended: _Ended) -> None:
        for report in child.receive():
            if report.kind:
                child.unreported.discard(report.serial)
            entry = child.calls.get(report.serial)
            if entry is None:
                continue
            if report.logs:
                self._capture.extend(entry.call, report.logs)
            if report.kind:
                self._staff.failed_starts = 0
                del child.calls[report.serial]
                self._take_report(child, entry, report, ended)
        if not child.unreported and self._staff.is_worn(child):
            child.retire()

    def _take_report(self, child: Offspring, entry: Entry, report: Report, ended: _Ended) -> None:
        call = entry.call
        if report.kind == NOT_BEGUN:
            self._put_back(entry, ended)
            return
        child.answered += 1
        self._durations.learn(call.claim.task, report.seconds)
        if call.stopping is not None:
            outcome = call.stopping
        elif report.seconds > call.claim.timeout_s:
            outcome = timed_out(call, stopped=True)
        else:
            outcome = report.outcome()
        self._end(entry, outcome, ended)

    def _end(self, entry: Entry, outcome: Outcome, ended: _Ended) -> None:
        self._entries.pop(entry.call, None)
        ended.append((entry.call, outcome))
        if not self._entries:
            self._all_answered.notify_all()

    def _put_back(self, entry: Entry, ended: _Ended) -> None:
        """Have another child run a call that was not begun."""
        if entry.call.stopping is not None:
            self._end(entry, entry.call.stopping, ended)
        elif self._stopping:
            self._end(entry, GivenBack(_STOPS), ended)
        else:
            entry.kill_at = None
            self._queue.appendleft(entry)

    # --- deadlines and the dead ----------------------------------------------------------

    def _ask(self, entry: Entry, reason: str, kill_at: float) -> None:
        """Ask a call in a child to end, and plan the kill."""
        planned = self._lookout.at
        for child in self._children:
            if entry.serial in child.calls:
                self._lookout.ask(child, entry, reason, kill_at)
        if self._lookout.at < planned:
            self._ring()

    def _look(self, now: float, ended: _Ended) -> None:
        """Enforce deadlines, and free calls that wait behind a long one."""
        for child in self._children:
            if not child.flush():
                self._selector.modify(child.socket, _READ | _WRITE, child)
            if len(child.calls) > 1:
                # A report may have been left on the board to share the next one's wake-up.
                self._collect(child, ended)
        for entry in reversed(self._lookout.look(self._children, now)):
            self._put_back(entry, ended)

    def _bury(self, child: Offspring, ended: _Ended) -> None:
        """Answer for a child that has ended."""
        self._collect(child, ended)
        serial = child.board.executing()[0]
        self._selector.unregister(child.socket)
        if child.exit_descriptor is not None:
            self._selector.unregister(child.exit_descriptor)
        how = child.bury()
        self._children.remove(child)
        if not self._children:
            self._all_answered.notify_all()
        executed = child.calls.pop(serial, None)
        if executed is not None:
            outcome = executed.call.stopping
            self._end(executed, outcome or lost(f"process {child.pid}", how), ended)
        for entry in reversed(child.calls.values()):
            self._put_back(entry, ended)
        child.calls.clear()
        if executed is None and not child.answered and not child.retiring:
            self._start_failed(how, ended)

    def _wait_for_answers(self, seconds: float) -> None:
        end = self._clock.monotonic() + seconds
        while self._entries and (left := end - self._clock.monotonic()) > 0:
            self._all_answered.wait(left)


def _answer(ended: _Ended) -> None:
    for call, outcome in ended:
        end(call, outcome)
