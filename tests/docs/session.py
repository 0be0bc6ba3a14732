"""A reader who follows one page: a folder, a Python session, and a terminal."""

from __future__ import annotations

import contextlib
import doctest
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil

from tests.docs.page import Block

#: Seconds for one command, on a machine that does other things, too.
PATIENCE_S = 120.0
REACTION_S = 0.3
_END = "<end of block>"
_DRIVER = f"""
import sys, json, traceback
sys.path.insert(0, "")
space = {{"__name__": "__main__"}}
for line in sys.stdin:
    name, first, code = json.loads(line)
    try:
        exec(compile("\\n" * (first - 1) + code, name, "exec"), space)
        state = "ok"
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        state = "raised"
    print("{_END}", state, flush=True)
"""


class Reader:
    """Runs a page's blocks one after the other; all it starts ends with it."""

    def __init__(self, folder: Path, page: str) -> None:
        self._folder = folder
        self._page = page
        scripts = str(Path(sys.executable).parent)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CLOSINGBELL_")}
        self._environment = {
            **kept,
            "PATH": scripts + os.pathsep + kept.get("PATH", ""),
            "TZ": "UTC",
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "120",
            "TERM": "dumb",
        }
        self._python: subprocess.Popen[str] | None = None
        self._groups: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._python is not None:
            _end(self._python)
        self._end_what_was_left_behind()

    def _end_what_was_left_behind(self) -> None:
        """End what a page's commands started in the background, as `service &` does."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(process.pid) in self._groups and process.cwd() == str(self._folder):
                    process.kill()

    def run(self, block: Block) -> str:
        """Do what a block says; return what it printed.

        Raises:
            AssertionError: it failed, or took too long.
        """
        if "file" in block.marks:
            path = self._folder / block.marks["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            return ""
        if block.language == "python":
            return self._execute(block)
        return self._type(block)

    # --- Python ------------------------------------------------------------------------

    def _execute(self, block: Block) -> str:
        import json

        python = self._python
        if python is None:
            python = self._python = self._start([sys.executable, "-c", _DRIVER])
        assert python.stdin is not None
        assert python.stdout is not None
        python.stdin.write(json.dumps([self._page, block.line, block.text]) + "\n")
        python.stdin.flush()
        printed: list[str] = []
        with _killed_after(python, PATIENCE_S):
            for line in python.stdout:
                if line.startswith(_END):
                    assert line.split()[-1] == "ok", "".join(printed)
                    return "".join(printed)
                printed.append(line)
        raise AssertionError(f"the session ended or was too slow:\n{''.join(printed)}")

    # --- terminal ----------------------------------------------------------------------

    def _type(self, block: Block) -> str:
        commands = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
        assert commands, "a console block that is run needs lines that begin with '$ '"
        printed: list[str] = []
        for position, command in enumerate(commands, 1):
            last = position == len(commands)
            expected = int(block.marks.get("exit", "0")) if last else 0
            until = block.marks.get("run until") if last else None
            output, code = self._command(command, until)
            assert code == expected, f"`{command}` ended with {code}, not {expected}:\n{output}"
            printed.append(output)
        return "".join(printed)

    def _command(self, command: str, until: str | None) -> tuple[str, int]:
        process = self._start(["bash", "-c", command if until is None else f"exec {command}"])
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        printed: list[str] = []
        try:
            with _killed_after(process, PATIENCE_S):
                for line in process.stdout:
                    printed.append(line)
                    if until is not None and until in line:
                        until = None
                        # As long as a person needs to press Ctrl-C after reading the line.
                        time.sleep(REACTION_S)
                        process.send_signal(signal.SIGINT)
                code = process.wait()
        finally:
            _end(process)
        assert until is None, f"`{command}` never said {until!r}:\n{''.join(printed)}"
        return "".join(printed), code

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._groups.add(process.pid)
        return process


def shown_as(printed: str, wanted: str) -> str:
    """Return '' where a text block tells what was printed, else how they differ."""
    checker = doctest.OutputChecker()
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    # A line that doctest would take for a blank line's sign is none here.
    if checker.check_output(wanted, printed, options):
        return ""
    return checker.output_difference(doctest.Example("", wanted), printed, options)


@contextlib.contextmanager
def _killed_after(process: subprocess.Popen[str], seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, _kill_group, [process])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        process.wait()


def _kill_group(process: subprocess.Popen[str]) -> None:
    # Its own session, so that only what it started is in the group.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
