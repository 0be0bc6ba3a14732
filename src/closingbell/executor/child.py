"""What runs inside a child process of the process executor.

The main thread receives chunks and runs their calls one after the other. A second
thread, asleep nearly always, receives requests to stop, and notices the
parent's end. Where the kernel can do it (Linux), the parent's end also kills the
whole process group at once, even when this process hangs in C.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Awaitable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import msgspec

from closingbell.core.call import Call, current_call
from closingbell.core.clock import SystemClock
from closingbell.core.error import HandlerNotFound, TaskDefinitionError
from closingbell.core.outcome import Outcome
from closingbell.core.task import TaskDefinition
from closingbell.executor.binding import Binding
from closingbell.executor.board import IMPORTING, RUNNING, Board
from closingbell.executor.capture import Capture, Pieces
from closingbell.executor.ending import raised
from closingbell.executor.frame import NOT_BEGUN, CallFrame, Report, decode_calls, decode_stop
from closingbell.executor.frame import encode as encode_frame
from closingbell.executor.import_path import load, load_main
from closingbell.executor.parent_span import adopt
from closingbell.executor.result import outcome_of

if TYPE_CHECKING:
    import asyncio

#: True in a child: a script that is imported again there must not start its app again.
IN_CHILD = False

#: Reports that follow within this time share one wake-up of the parent.
COALESCE_S = 0.002
MEASURE_MEMORY_S = 0.25

WAKE, SPILLED = b"\x00", b"\x01"
LENGTH = struct.Struct("<I")


class Boot(msgspec.Struct, frozen=True):
    """What a child is told when it starts.

    Attributes:
        work: descriptor of the socket for chunks and wake-ups.
        control: descriptor of the pipe for requests to stop.
        life: descriptor of a pipe that nobody writes; it ends with the parent.
        board: descriptor of the shared memory.
        argv: the parent's command line.
        main: how the parent's script can be imported.
        capture_limit: characters of output kept of each run; 0 = none.
        passthrough: whether output also reaches the real streams.
    """

    work: int
    control: int
    life: int
    board: int
    argv: list[str]
    main: tuple[str, str] | None
    capture_limit: int
    passthrough: bool


def own_process() -> None:
    """Let this child open a store and have children of its own, as a process of its own does.

    For a child that does one long piece of work, and ends with it.
    """
    global IN_CHILD
    IN_CHILD = False


def main(boot_json: str) -> None:
    """Serve until the parent closes the socket; the entry point of a child."""
    global IN_CHILD
    IN_CHILD = True
    boot = msgspec.json.decode(boot_json, type=Boot)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent(boot.life)
    sys.argv = boot.argv
    board = Board(boot.board)
    os.close(boot.board)
    Child(boot, board).serve()


class Child:
    """The process's one worker."""

    def __init__(self, boot: Boot, board: Board) -> None:
        self._boot = boot
        self._board = board
        self._socket = socket.socket(fileno=boot.work)
        self._now = SystemClock().monotonic
        self._pid = os.getpid()
        self._variables = copy_context()
        self._known: dict[tuple[str, str], tuple[TaskDefinition, Binding]] = {}
        self._main_loaded = False
        self._runner: asyncio.Runner | None = None
        # What the control thread may touch.
        self._lock = threading.Lock()
        self._call: Call | None = None
        self._serial = 0
        self._coroutine: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._unwanted: set[int] = set()
        self._woke_at = 0.0
        self._measured_at = 0.0
        if boot.capture_limit:
            _LiveCapture(self, boot.capture_limit, boot.passthrough).install()
        threading.Thread(target=self._obey, name="closingbell-control", daemon=True).start()

    def serve(self) -> None:
        """Run chunks until the socket ends."""
        while (data := self._receive()) is not None:
            self._board.rewind()
            frames = decode_calls(data)
            last = frames[-1].serial
            for frame in frames:
                report = self._run_frame(frame)
                self._publish(report, wake=frame.serial == last)
            self._board.rest()

    # --- one call ----------------------------------------------------------------------

    def _run_frame(self, frame: CallFrame) -> Report:
        key = (frame.claim.task, frame.path)
        began = self._now()
        known = self._known.get(key)
        # The order matters: say that it begins, then look whether it may.
        self._board.begin(frame.serial, began, RUNNING if known else IMPORTING)
        if self._board.is_taken_back(frame.serial) or frame.serial in self._unwanted:
            return Report(frame.serial, NOT_BEGUN)
        if known is None:
            outcome, known = self._variables.copy().run(self._prepare, frame)
            if known is None:
                return self._report(frame, outcome, began, [])
            self._known[key] = known
            began = self._now()
            self._board.begin(frame.serial, began, RUNNING)
        task, binding = known
        call = Call(frame.claim, task, _nothing, _nothing, _nothing)
        with self._lock:
            self._call, self._serial = call, frame.serial
        outcome = self._variables.copy().run(self._run, call, binding)
        if os.getpid() != self._pid:
            # The handler forked, and its copy came back here: this chunk is not the copy's.
            os._exit(0)
        with self._lock:
            self._call = None
        return self._report(frame, outcome, began, call.logs or [])

    def _report(
        self, frame: CallFrame, outcome: Any, began: float, logs: list[tuple[str, str]]
    ) -> Report:
        return Report(
            frame.serial, type(outcome).__name__, tuple(outcome), self._now() - began, list(logs)
        )

    def _prepare(
        self, frame: CallFrame
    ) -> tuple[Outcome | None, tuple[TaskDefinition, Binding] | None]:
        """Import a handler; its task and binding, or the outcome that says why not."""
        name, path = frame.claim.task, frame.path
        try:
            if path.startswith("__main__:") and not self._main_loaded:
                if self._boot.main is None:
                    raise HandlerNotFound(path, "the parent's script has no file")
                try:
                    load_main(self._boot.main)
                except BaseException as problem:
                    raise HandlerNotFound(
                        path, f"running its script raised {type(problem).__name__}: {problem}"
                    ) from problem
                self._main_loaded = True
            binding = Binding(name, load(path))
            if binding.needs_algorithm:
                raise TaskDefinitionError(
                    name, "its handler takes the algorithm, which lives in the parent process; "
                    'use executor="thread"'
                )  # fmt: skip
        except BaseException as problem:
            return raised(problem), None
        return None, (TaskDefinition(name=name, handler=binding.handler), binding)

    def _run(self, call: Call, binding: Binding) -> Outcome:
        current_call.set(call)
        adopt(call.claim.trace)
        try:
            payload = msgspec.json.decode(call.claim.payload)
            positional, named = binding.arguments(payload, call, None)
            value = binding.handler(*positional, **named)
            if inspect.isawaitable(value):
                value = self._run_coroutine(value)
            return outcome_of(call.claim.task, value)
        except BaseException as problem:
            return raised(problem)

    def _run_coroutine(self, awaitable: Awaitable[Any]) -> Any:
        import asyncio

        if self._runner is None:
            self._runner = asyncio.Runner()
        runner = self._runner

        async def wait() -> Any:
            task = asyncio.current_task()
            with self._lock:
                if task is not None:
                    self._coroutine = (asyncio.get_running_loop(), task)
                stopping = self._call is not None and self._call.stopping is not None
            if stopping and task is not None:
                task.cancel()
            try:
                return await awaitable
            finally:
                with self._lock:
                    self._coroutine = None
                # What the run left behind must not go on during the next one.
                left = asyncio.all_tasks() - {task}
                for other in left:
                    other.cancel()
                if left:
                    await asyncio.gather(*left, return_exceptions=True)

        return runner.run(wait(), context=copy_context())

    # --- to the parent -----------------------------------------------------------------

    def _publish(self, report: Report, wake: bool) -> None:
        if wake:
            self._measure_memory()
        data = encode_frame(report)
        with self._lock:
            fits = self._board.report(data)
        if not fits:
            self._socket.sendall(SPILLED + LENGTH.pack(len(data)) + data)
            return
        now = self._now()
        if wake or now - self._woke_at >= COALESCE_S:
            self._woke_at = now
            if wake:
                self._board.rest()
            self._socket.sendall(WAKE)

    def publish_output(self, call: Call, pieces: Pieces) -> None:
        """Put what a run has put out on the board, where it outlives this process."""
        with self._lock:
            if call is not self._call:
                return
            head = pieces.peek()
            if head and self._board.report(encode_frame(Report(self._serial, logs=head))):
                pieces.take()

    def _receive(self) -> bytes | None:
        head = self._receive_exactly(LENGTH.size)
        return None if head is None else self._receive_exactly(LENGTH.unpack(head)[0])

    def _receive_exactly(self, size: int) -> bytes | None:
        data = self._socket.recv(size)
        while data and len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                return None
            data += more
        return data or None

    def _measure_memory(self) -> None:
        now = self._now()
        if now - self._measured_at >= MEASURE_MEMORY_S:
            self._measured_at = now
            self._board.remember_memory(resident_memory())

    # --- from the parent ---------------------------------------------------------------

    def _obey(self) -> None:
        """Stop what the parent wants stopped; end with the parent."""
        with open(self._boot.control, "rb", buffering=0) as pipe:  # noqa: PTH123
            buffer = b""
            while data := pipe.read(4096):
                buffer += data
                while len(buffer) >= LENGTH.size:
                    (size,) = LENGTH.unpack_from(buffer)
                    if len(buffer) < LENGTH.size + size:
                        break
                    stop = decode_stop(buffer[LENGTH.size : LENGTH.size + size])
                    buffer = buffer[LENGTH.size + size :]
                    self._stop(stop.serial, stop.reason)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(os.getpgrp(), signal.SIGKILL)

    def _stop(self, serial: int, reason: str) -> None:
        with self._lock:
            if self._call is None or self._serial != serial:
                self._unwanted.add(serial)
                return
            self._call.stopping = raised(InterruptedError(reason))
            self._call.context.request_cancel(reason)
            if self._coroutine is not None:
                loop, task = self._coroutine
                loop.call_soon_threadsafe(task.cancel)


class _LiveCapture(Capture):
    """Publishes output when it comes, so that it is there even if the process is killed."""

    def __init__(self, child: Child, limit: int, passthrough: bool) -> None:
        super().__init__(limit, passthrough)
        self._child = child

    def keep(self, call: Call, stream: str, text: str) -> None:
        super().keep(call, stream, text)
        if isinstance(call.logs, Pieces):
            self._child.publish_output(call, call.logs)


def resident_memory() -> int:
    """Return this process's resident memory in bytes; its peak where only that is known."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _die_with_parent(life: int) -> None:
    """Have the kernel kill this process group when the parent's end of a pipe closes."""
    import fcntl

    set_signal = getattr(fcntl, "F_SETSIG", None)
    if set_signal is None:
        return
    # A negative owner is a process group: grandchildren end, too.
    fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(life, set_signal, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


def _nothing(*_: Any) -> Any:
    """Stands for what only the engine's own calls do."""
