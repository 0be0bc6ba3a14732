from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closingbell.core.clock import SystemClock
from closingbell.core.outcome import GivenBack, Lost, Raised, Returned, Skipped, Snoozed
from closingbell.executor.capture import Capture
from closingbell.executor.process import ProcessExecutor
from tests.integration import troublesome
from tests.integration.children import is_alive, wait_for_end, wait_for_file
from tests.unit.executor.calls import Outcomes, text_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    """Two warm children for every test that harms none."""
    executor = ProcessExecutor(2, SystemClock(), Capture(passthrough=False))
    executor.start()
    yield executor
    executor.stop(1.0)


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes()


@pytest.mark.parametrize(
    ("handler", "payload", "outcome"),
    [
        (troublesome.noop, {}, Returned(None)),
        (troublesome.double, {"amount": 21}, Returned("42")),
        (troublesome.double_later, {"amount": 21}, Returned("42")),
        (troublesome.on, {"day": "2024-02-29"}, Returned('"Thursday"')),
        (troublesome.skip, {}, Skipped("closed")),
        (troublesome.snooze, {}, Snoozed(90.0, "no data yet")),
    ],
)
def test_an_outcome_comes_back_from_a_child(
    executor: ProcessExecutor, outcomes: Outcomes, handler: Any, payload: Any, outcome: Any
) -> None:
    call = outcomes.call(handler, payload)
    executor.submit([call])
    assert outcomes.of(call) == outcome


def test_calls_run_outside_of_this_process_and_beside_each_other(
    executor: ProcessExecutor, outcomes: Outcomes, tmp_path: Path
) -> None:
    first = outcomes.call(troublesome.heed, {"started": str(tmp_path / "first")})
    second = outcomes.call(troublesome.heed, {"started": str(tmp_path / "second")})
    executor.submit([first, second])
    wait_for_file(tmp_path / "first")
    wait_for_file(tmp_path / "second")
    assert len(executor.pids) == 2
    assert os.getpid() not in executor.pids
    for call in (first, second):
        executor.stop_call(call, "seen")
    outcomes.all([first, second])


def test_the_context_in_a_child_knows_its_run(
    executor: ProcessExecutor, outcomes: Outcomes
) -> None:
    call = outcomes.call(troublesome.identify, {"suffix": "!"})
    executor.submit([call])
    assert outcomes.of(call) == Returned(f'{{"run":"{call.claim.id}!","fence":7,"attempt":1}}')


@pytest.mark.parametrize(
    ("handler", "payload", "code", "kind"),
    [
        (troublesome.fail, {}, "raised", "UnpicklableError"),
        (troublesome.leave, {}, "raised", "SystemExit"),
        (troublesome.return_nonsense, {}, "result_not_serialisable", "ResultNotSerialisable"),
        (troublesome.return_much, {"size": 1_000_000}, "result_not_serialisable", None),
        (troublesome.double, {"amount": "21"}, "payload_mismatch", "PayloadMismatch"),
        (troublesome.needs_algorithm, {}, "task_definition", "TaskDefinitionError"),
    ],
)
def test_an_error_comes_back_as_a_description(
    executor: ProcessExecutor, outcomes: Outcomes, handler: Any, payload: Any, code: str, kind: Any
) -> None:
    call = outcomes.call(handler, payload)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, Raised)
    assert outcome.error["code"] == code
    assert kind in (None, outcome.error["type"])


@pytest.mark.parametrize(
    ("handler", "path"),
    [
        (troublesome.noop, "tests.integration.troublesome:no_such_name"),
        (troublesome.noop, "no_such_module:f"),
        (lambda payload: None, None),
    ],
)
def test_a_handler_that_cannot_be_imported_fails_the_run(
    executor: ProcessExecutor, outcomes: Outcomes, handler: Any, path: str | None
) -> None:
    call, healthy = outcomes.call(handler, import_path=path), outcomes.call(troublesome.noop)
    executor.submit([call, healthy])
    outcome = outcomes.of(call)
    assert isinstance(outcome, Raised)
    assert outcome.error["code"] == "handler_not_found"
    assert outcomes.of(healthy) == Returned(None)


def test_output_and_log_lines_come_back_from_a_child(
    executor: ProcessExecutor, outcomes: Outcomes
) -> None:
    call = outcomes.call(troublesome.talk)
    executor.submit([call])
    outcomes.of(call)
    assert text_of(call, "stdout") == "out\n"
    assert text_of(call, "stderr") == "err\n"
    assert "WARNING  desk: careful" in text_of(call, "log")
    assert text_of(call, "log").endswith("closingbell.task.talk: noted\n")


def test_a_result_larger_than_the_shared_memory_comes_back(
    executor: ProcessExecutor, outcomes: Outcomes
) -> None:
    calls = [outcomes.call(troublesome.return_much, {"size": 900_000}) for _ in range(4)]
    executor.submit(calls)
    assert outcomes.all(calls) == [Returned(f'"{"x" * 900_000}"')] * 4


def test_a_large_payload_reaches_the_child(executor: ProcessExecutor, outcomes: Outcomes) -> None:
    call = outcomes.call(troublesome.noop, {"data": "x" * 3_000_000})
    executor.submit([call])
    assert outcomes.of(call) == Returned(None)


def test_a_coroutine_that_leaves_a_task_behind_harms_nobody(
    executor: ProcessExecutor, outcomes: Outcomes
) -> None:
    calls = [
        outcomes.call(troublesome.leave_a_task_behind),
        outcomes.call(troublesome.double_later, {"amount": 1}),
    ]
    executor.submit(calls)
    assert outcomes.all(calls) == [Returned(None), Returned("2")]


def test_children_start_with_the_first_call_and_stay(outcomes: Outcomes) -> None:
    executor = ProcessExecutor(2, SystemClock())
    executor.start()
    assert executor.pids == []
    assert executor.slots == 2
    first, second = outcomes.call(troublesome.pid), outcomes.call(troublesome.pid)
    executor.submit([first])
    assert outcomes.of(first) == Returned(str(executor.pids[0]))
    executor.submit([second])
    assert outcomes.of(second) == outcomes.of(first)
    (child,) = executor.pids
    executor.stop(1.0)
    executor.stop(1.0)
    assert not is_alive(child)


def test_stop_gives_back_what_did_not_end_after_killing_it(
    outcomes: Outcomes, tmp_path: Path
) -> None:
    executor = ProcessExecutor(1, SystemClock())
    executor.start()
    endless = outcomes.call(troublesome.spin, {"started": str(tmp_path / "in")})
    waiting = outcomes.call(troublesome.noop)
    executor.submit([endless, waiting])
    wait_for_file(tmp_path / "in")
    (child,) = executor.pids
    executor.stop(0.05)
    assert outcomes.of(endless, 0) == GivenBack("the worker stops")
    assert outcomes.of(waiting, 0) == GivenBack("the worker stops")
    assert not is_alive(child)


def test_drained_calls_are_not_run(outcomes: Outcomes, tmp_path: Path) -> None:
    executor = ProcessExecutor(1, SystemClock())
    executor.start()
    running = outcomes.call(troublesome.heed, {"started": str(tmp_path / "in")})
    waiting = outcomes.call(troublesome.noop)
    executor.submit([running, waiting])
    wait_for_file(tmp_path / "in")
    assert executor.drain() == [waiting]
    executor.stop(0.0)
    assert not outcomes.has(waiting)


@pytest.mark.parametrize(
    "limits",
    [
        {"recycle_after_calls": 1},
        {"recycle_above_bytes": 1},
    ],
)
def test_a_child_over_its_limit_is_replaced_after_the_call(
    outcomes: Outcomes, limits: dict[str, int]
) -> None:
    executor = ProcessExecutor(1, SystemClock(), **limits)  # type: ignore[arg-type]
    executor.start()
    pids = set()
    for _ in range(3):
        call = outcomes.call(troublesome.pid)
        executor.submit([call])
        outcome = outcomes.of(call)
        assert isinstance(outcome, Returned)
        pids.add(outcome.result)
    executor.stop(1.0)
    assert len(pids) == 3


@pytest.mark.parametrize(
    ("executable", "why"),
    [("/bin/false", "it exited with code 1"), ("/no/such/python", "No such file or directory")],
)
def test_children_that_cannot_start_are_reported_and_not_tried_for_ever(
    outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch, executable: str, why: str
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    executor = ProcessExecutor(1, SystemClock())
    executor.start()
    call = outcomes.call(troublesome.noop)
    executor.submit([call])
    outcome = outcomes.of(call)
    assert isinstance(outcome, Lost)
    assert "3 children in a row ended before they began" in outcome.error["message"]
    assert why in outcome.error["message"]
    monkeypatch.undo()
    again = outcomes.call(troublesome.noop)
    executor.submit([again])
    assert outcomes.of(again) == Returned(None)
    executor.stop(1.0)


SCRIPT = """
import os, sys, threading
from closingbell.core.clock import SystemClock
from closingbell.executor import child
from closingbell.executor.process import ProcessExecutor
from tests.unit.executor.calls import Outcomes

def where(payload):
    return [__name__, child.IN_CHILD]

print("imported", child.IN_CHILD, flush=True)
if __name__ == "__main__":
    executor = ProcessExecutor(1, SystemClock())
    executor.start()
    outcomes = Outcomes()
    call = outcomes.call(where)
    executor.submit([call])
    print(outcomes.of(call).result, flush=True)
    executor.stop(1.0)
"""


@pytest.mark.parametrize("as_module", [False, True])
def test_a_function_of_the_started_script_runs_in_a_child(tmp_path: Path, as_module: bool) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    how = ["-m", "script"] if as_module else [str(tmp_path / "script.py")]
    done = subprocess.run(
        [sys.executable, *how],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "imported False",
        "imported True",
        '["__mp_main__",true]',
    ]


def test_children_and_grandchildren_die_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, time\n"
        "from closingbell.executor.process import ProcessExecutor\n"
        "from tests.integration import troublesome\n"
        "from tests.unit.executor.calls import Outcomes\n"
        "executor = ProcessExecutor(2)\n"
        "executor.start()\n"
        "outcomes = Outcomes()\n"
        "executor.submit([\n"
        "    outcomes.call(troublesome.hang_with_grandchild, {'started': sys.argv[1]}),\n"
        "    outcomes.call(troublesome.hold_the_lock, {'started': sys.argv[2]})])\n"
        "time.sleep(0.1)\n"
        "while len(executor.pids) < 2: time.sleep(0.01)\n"
        "print(*executor.pids, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "family"), str(tmp_path / "locked")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    pids += [int(pid) for pid in wait_for_file(tmp_path / "family").split()]
    wait_for_file(tmp_path / "locked")
    assert all(is_alive(pid) for pid in pids)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for pid in pids:
        wait_for_end(pid)
