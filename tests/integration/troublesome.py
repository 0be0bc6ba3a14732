"""Handlers that behave badly, for child processes to import."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

from closingbell.core.call import current_context
from closingbell.core.context import Context
from closingbell.core.outcome import Skip, Snooze


def say(path: str, text: str = "here") -> None:
    """Tell the test that this point was reached; the file appears whole."""
    draft = Path(f"{path}.{os.getpid()}.{threading.get_ident()}")
    draft.write_text(text)
    draft.rename(path)


def pid(payload: dict[str, Any]) -> int:
    return os.getpid()


def noop(payload: dict[str, Any]) -> None:
    return None


def double(amount: int) -> int:
    return amount * 2


async def double_later(amount: int) -> int:
    await asyncio.sleep(0.001)
    return amount * 2


async def leave_a_task_behind(payload: dict[str, Any]) -> None:
    _left_behind.append(asyncio.ensure_future(asyncio.Event().wait()))


_left_behind: list[asyncio.Future[Any]] = []


def on(day: date) -> str:
    return day.strftime("%A")


def identify(context: Context, suffix: str) -> dict[str, Any]:
    assert context is current_context()
    return {"run": context.run_id + suffix, "fence": context.fence, "attempt": context.attempt}


def skip(payload: dict[str, Any]) -> Skip:
    return Skip("closed")


def snooze(payload: dict[str, Any]) -> Snooze:
    return Snooze(90, "no data yet")


class UnpicklableError(Exception):
    def __init__(self, lock: object, text: str) -> None:
        super().__init__(text)
        self.lock = lock


def fail(payload: dict[str, Any]) -> None:
    raise UnpicklableError(threading.Lock(), "no price")


def leave(payload: dict[str, Any]) -> None:
    sys.exit(3)


def return_nonsense(payload: dict[str, Any]) -> object:
    return object()


def return_much(size: int) -> str:
    return "x" * size


def talk(payload: dict[str, Any]) -> None:
    print("out")
    print("err", file=sys.stderr)
    logging.getLogger("desk").warning("careful")
    current_context().log.info("noted")


def needs_algorithm(algorithm: Any) -> None: ...


# --- what must be killed ---------------------------------------------------------------


def spin(started: str = "") -> None:
    print("spinning")
    if started:
        say(started)
    while True:
        pass


def spin_deaf(started: str) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    say(started)
    while True:
        time.sleep(60)


def hold_the_lock(started: str) -> None:
    say(started)
    # PyDLL calls C without letting go of the interpreter's lock.
    ctypes.PyDLL(None).sleep(60)


def print_for_ever(started: str) -> None:
    print("the beginning")
    say(started)
    while True:
        print("and so on" * 100)


async def hang_async(started: str, cleaned: str) -> None:
    say(started)
    try:
        await asyncio.Event().wait()
    finally:
        say(cleaned)


def heed(context: Context, started: str) -> str:
    say(started)
    context.wait_cancelled()
    return context.cancel_reason or ""


def exit_hard(payload: dict[str, Any]) -> None:
    print("last words")
    os._exit(7)


def crash(payload: dict[str, Any]) -> None:
    ctypes.string_at(0)


def hang_with_grandchild(started: str) -> None:
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    say(started, f"{os.getpid()} {grandchild.pid}")
    time.sleep(60)


def fork_and_both_return(payload: dict[str, Any]) -> int:
    return os.fork()


def fork_and_crash(started: str) -> None:
    if (grandchild := os.fork()) == 0:
        time.sleep(60)
    say(started, str(grandchild))
    os._exit(9)


# --- short ones ------------------------------------------------------------------------


def record(
    folder: str, name: str, hang: bool = False, crash: bool = False, seconds: float = 0.0
) -> str:
    """Leave one mark for each execution."""
    mark = Path(folder) / f"{name}.{time.monotonic_ns()}.{os.getpid()}"
    mark.touch()
    if hang:
        time.sleep(60)
    if crash:
        os._exit(5)
    if seconds:
        time.sleep(seconds)
    return name


def pause(seconds: float) -> None:
    time.sleep(seconds)


def grow(megabytes: int) -> int:
    globals()["_kept"] = bytearray(megabytes * 1024**2)
    return os.getpid()
