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
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Sequence

from closingbell.core.call import Call
from closingbell.core.clock import Clock, SystemClock
from closingbell.core.error import HandlerNotFound
from closingbell.core.outcome import Cancelled, GivenBack, Outcome
from closingbell.executor.board import IMPORTING
from closingbell.executor.capture import Capture
from closingbell.executor.chunk import Durations, chunk_size
from closingbell.executor.ending import end, lost, raised, timed_out
from closingbell.executor.frame import NOT_BEGUN, Report
from closingbell.executor.import_path import import_path_of
from closingbell.executor.offspring import Entry, Offspring

#: A call that executes for so long keeps no others waiting behind it.
TAKE_BACK_S = 0.025
#: Between the mark that takes calls back and the belief that the child has seen it.
SETTLE_S = 0.002
#: Importing a handler's module for the first time may take so long, whatever the timeout.
IMPORT_S = 60.0
#: So many children in a row that end before they do anything mean that none will.
FAILED_STARTS = 3
#: How long children may take to end by themselves when the executor stops.
FAREWELL_S = 1.0

_NEVER = float("inf")
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
    ) -> None:
        """Make an executor; its children start with the first calls.

        Args:
            children: how many processes; one for each CPU that this process may use by default.
            clock: its machine seconds must be this machine's, as children measure them, too.
            capture: says how much output is kept of each run; None keeps none.
            cancel_grace_s: seconds between asking a cancelled call to end and killing its child.
            timeout_grace_s: the same for a call that reached its deadline.
            recycle_after_calls: a child that ran so many calls is replaced; None = never.
            recycle_above_bytes: a child whose resident memory is larger after a chunk is
                replaced; None = never.
        """
        self._size = children or available_cpus()
        self._clock: Clock = clock or SystemClock()
        self._capture = capture or Capture(0)
        self._cancel_grace_s = max(cancel_grace_s, SETTLE_S)
        self._timeout_grace_s = max(timeout_grace_s, SETTLE_S)
        self._recycle_after_calls = recycle_after_calls
        self._recycle_above_bytes = recycle_above_bytes
        self._lock = threading.Lock()
        self._all_answered = threading.Condition(self._lock)
        self._queue: deque[Entry] = deque()
        self._entries: dict[Call, Entry] = {}
        self._children: list[Offspring] = []
        self._staff = 0
        self._failed_starts = 0
        self._durations = Durations()
        self._serials = itertools.count(1)
        self._look_at = _NEVER
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
                    return self._size
            return self._size * self._durations.places()

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
            planned = self._look_at
            self._hand_out(self._clock.monotonic())
            if self._look_at < planned or self._missing_children():
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
        self._thread.join()

    # --- the thread that talks to the children -------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._lock:
                if self._stopping and not self._children:
                    break
                left = self._look_at - self._clock.monotonic()
            events = self._selector.select(None if left == _NEVER else max(left, 0.0))
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
                missing = self._missing_children()
            for _ in range(missing):
                self._add_child()
            _answer(ended)
        self._selector.close()
        self._bell.close()
        self._ear.close()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            self._bell.send(b"\x00")

    def _look_by(self, at: float) -> None:
        self._look_at = min(self._look_at, at)

    # --- handing out -------------------------------------------------------------------

    def _hand_out(self, now: float) -> None:
        """Give chunks to the children that have nothing to do."""
        for child in self._children:
            if not self._queue:
                return
            if child.calls or child.retiring or child.killed:
                continue
            size = chunk_size(
                (entry.call.claim.task for entry in self._queue),
                len(self._queue),
                self._durations,
                self._size,
            )
            chunk = [self._queue.popleft() for _ in range(size)]
            for entry in chunk:
                entry.serial = next(self._serials)
                child.calls[entry.serial] = entry
            timeout_s = chunk[0].call.claim.timeout_s
            chunk[0].call.deadline = now + timeout_s
            child.chunk_at, child.taken_at = now, 0.0
            child.board.expect_chunk()
            self._look_by(now + (timeout_s if size == 1 else min(timeout_s, TAKE_BACK_S)))
            if not child.send(chunk):
                # Only the serving thread may touch the selector.
                self._look_by(now)

    def _missing_children(self) -> int:
        """Return how many children are to be started."""
        if self._stopping:
            return 0
        if self._failed_starts >= FAILED_STARTS and not self._queue:
            return 0
        busy = sum(1 for child in self._children if child.calls)
        self._staff = max(self._staff, min(self._size, busy + len(self._queue)))
        return self._staff - sum(1 for c in self._children if not c.retiring and not c.killed)

    def _add_child(self) -> None:
        child = Offspring(self._capture.limit, self._capture.passthrough, self._ring)
        self._selector.register(child.socket, _READ, child)
        if child.exit_descriptor is not None:
            self._selector.register(child.exit_descriptor, _READ, child)
        with self._lock:
            self._children.append(child)
            self._hand_out(self._clock.monotonic())

    # --- answers -----------------------------------------------------------------------

    def _collect(self, child: Offspring, ended: _Ended) -> None:
        for report in child.receive():
            entry = child.calls.get(report.serial)
            if entry is None:
                continue
            if report.logs:
                self._capture.extend(entry.call, report.logs)
            if report.kind:
                self._failed_starts = 0
                del child.calls[report.serial]
                self._take_report(child, entry, report, ended)
        if not child.calls and not child.retiring and self._should_recycle(child):
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

    def _should_recycle(self, child: Offspring) -> bool:
        calls, memory = self._recycle_after_calls, self._recycle_above_bytes
        return (calls is not None and child.answered >= calls) or (
            memory is not None and child.board.memory > memory
        )

    # --- deadlines and the dead ----------------------------------------------------------

    def _ask(self, entry: Entry, reason: str, kill_at: float) -> None:
        """Ask a call in a child to end, and plan the kill."""
        entry.kill_at = kill_at
        for child in self._children:
            if entry.serial in child.calls:
                child.ask_to_stop(entry, reason)
                if child.board.executing()[0] == entry.serial:
                    # The next one must not begin in a child that is about to be killed.
                    child.board.take_back_from(entry.serial + 1)
        if kill_at < self._look_at:
            self._look_at = kill_at
            self._ring()

    def _look(self, now: float, ended: _Ended) -> None:
        """Enforce deadlines, and free calls that wait behind a long one."""
        self._look_at = _NEVER
        for child in self._children:
            if not child.flush():
                self._selector.modify(child.socket, _READ | _WRITE, child)
            if not child.calls or child.killed:
                continue
            serial, since, phase = child.board.executing()
            entry = child.calls.get(serial)
            if entry is None:
                self._look_at_start(child, now)
            else:
                self._look_at_entry(child, entry, since, phase, now)
                if len(child.calls) > 1:
                    self._free_others(child, serial, since, now, ended)

    def _look_at_start(self, child: Offspring, now: float) -> None:
        """Look again when the first call of a chunk, which has not begun, may be over time."""
        if now - child.chunk_at > IMPORT_S:
            child.kill("it did not begin its calls")
            return
        first = next(iter(child.calls.values()))
        soonest = child.chunk_at + min(first.call.claim.timeout_s, TAKE_BACK_S)
        self._look_by(soonest if soonest > now else now + TAKE_BACK_S)

    def _look_at_entry(
        self, child: Offspring, entry: Entry, since: float, phase: int, now: float
    ) -> None:
        call = entry.call
        timeout_s = call.claim.timeout_s
        if phase == IMPORTING:
            timeout_s = max(timeout_s, IMPORT_S)
        call.deadline = since + timeout_s
        if entry.kill_at is None and now >= call.deadline:
            if call.stopping is None:
                call.stopping = timed_out(call, stopped=True)
            self._ask(entry, f"timeout of {timeout_s:g} s", now + self._timeout_grace_s)
        if entry.kill_at is None:
            self._look_by(call.deadline)
        elif now >= entry.kill_at:
            child.kill("its call did not end when it was asked to")
        else:
            self._look_by(entry.kill_at)

    def _free_others(
        self, child: Offspring, serial: int, since: float, now: float, ended: _Ended
    ) -> None:
        """Take back what waits behind a call that takes long.

        The child says what it begins before it looks at the mark, and here the mark is set
        before the child is looked at again: one of the two always sees the other.
        """
        if not child.taken_at:
            if now - since < TAKE_BACK_S:
                self._look_by(since + TAKE_BACK_S)
                return
            child.board.take_back_from(serial + 1)
            child.taken_at = now
        if now - child.taken_at < SETTLE_S:
            self._look_by(child.taken_at + SETTLE_S)
            return
        waiting = [number for number in child.calls if number > serial]
        for number in reversed(waiting):
            self._put_back(child.calls.pop(number), ended)

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
        elif not child.answered and not child.retiring:
            self._failed_starts += 1
        for entry in reversed(child.calls.values()):
            self._put_back(entry, ended)
        child.calls.clear()
        if self._failed_starts >= FAILED_STARTS:
            while self._queue:
                why = f"{FAILED_STARTS} children in a row ended before they began: {how}"
                self._end(self._queue.popleft(), lost(f"process {child.pid}", why), ended)

    def _wait_for_answers(self, seconds: float) -> None:
        end = self._clock.monotonic() + seconds
        while self._entries and (left := end - self._clock.monotonic()) > 0:
            self._all_answered.wait(left)


def available_cpus() -> int:
    """Return on how many CPUs this process may run."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _answer(ended: _Ended) -> None:
    for call, outcome in ended:
        end(call, outcome)
