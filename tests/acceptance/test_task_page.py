"""The task page's blocks run as their authors wrote them, but for the import line.

Here: their declarations, and the blocks that trade nothing. The blocks that need an account run
together in `test_task_page_modes.py`, which holds each call to what it did.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from runpy import run_path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest

from closingbell import Task
from closingbell.app import App
from closingbell.core.clock import ScaledClock
from closingbell.core.error import TaskDefinitionError
from closingbell.core.run import Run
from tests.acceptance.desk import PATIENCE_S, START, ended, make_app

PAGE = Path(__file__).parent / "task_page"
BLOCKS = sorted(path.stem for path in PAGE.glob("*.py"))


def block(name: str) -> dict[str, Any]:
    """What one block of the page defines."""
    return run_path(str(PAGE / f"{name}.py"))


def completed(kind: Any, **methods: Any) -> Any:
    """A task of a class of the page, with the methods that the page leaves to its reader."""
    return type(kind.__name__, (kind,), methods)


def run_to_end(app: App, task: Task, payload: dict[str, Any] | None = None) -> tuple[Run, str]:
    """Run a task and return the run with what it printed."""
    app.start(block=False, scheduler=False)
    handle = app.submit(task, payload)
    handle.result(PATIENCE_S)
    printed = "".join(line["text"] for line in app.store.runs.logs(handle.id))
    return handle.run, printed


@pytest.fixture
def app(sqlite_address: str) -> Iterator[App]:
    """It works from the first `run_to_end` on: pytest takes stdout back between set-up and test."""
    app = make_app(sqlite_address)
    yield app
    app.stop()


# --- the copies are the page --------------------------------------------------------------


def _flat(lines: list[str]) -> list[str]:
    """Lines without indentation, blank lines and imports at the top level."""
    imports = ("from investing_algorithm_framework", "from closingbell", "from datetime")
    flat = [line.strip() for line in lines]
    return [line for line in flat if line and not line.startswith((*imports, "import time"))]


@pytest.mark.parametrize("name", BLOCKS)
def test_block_copy_differs_from_the_page_by_imports_and_indentation_only(name: str) -> None:
    page = f"\n{(PAGE / 'page.txt').read_text()}".split("\n== ")
    [stated] = [part for part in page if part.splitlines()[:1] == [name]]
    copied = (PAGE / f"{name}.py").read_text().splitlines()

    assert _flat(copied) == _flat(stated.splitlines()[1:])


# --- creating tasks -----------------------------------------------------------------------

_START_SOON = """
import sys
from datetime import datetime, timezone
from runpy import run_path
import closingbell.app
from closingbell.core.clock import ScaledClock
# Before the page's 2 AM by as long as a loaded machine may need to open a new database.
closingbell.app.SystemClock = lambda: ScaledClock(
    datetime(2026, 3, 2, 1, 59, 40, tzinfo=timezone.utc), speed=4.0
)
run_path(sys.argv[1], run_name="__main__")
"""


def test_creating_tasks_block_started_runs_at_two_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    """`app.start()` of the page blocks, fires the daily task and drains on Ctrl-C."""
    command = [sys.executable, "-u", "-c", _START_SOON, str(PAGE / "creating_tasks.py")]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            printed = []
            for line in process.stdout:
                printed.append(line.strip())
                if line.strip() == "Data cleanup completed":
                    break
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
    app = make_app(f"sqlite:///{tmp_path / 'closingbell.db'}")
    [run] = app.list_runs(task="data_cleanup")
    app.stop()

    assert printed[-2:] == ["Running data cleanup task...", "Data cleanup completed"]
    assert run.state == "success"
    assert run.fire_at == datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
    assert run.schedule_id == "data_cleanup"


# --- task scheduling ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "kind", "first", "second"),
    [
        ("fixed_intervals", "MarketDataTask", "2026-03-02T14:35:00", "2026-03-02T14:40:00"),
        ("fixed_intervals", "PortfolioReportTask", "2026-03-02T15:00:00", "2026-03-02T16:00:00"),
        ("fixed_intervals", "BackupTask", "2026-03-02T23:30:00", "2026-03-03T23:30:00"),
        ("cron_style", "WeeklyReportTask", "2026-03-09T09:00:00", "2026-03-16T09:00:00"),
        ("cron_style", "MonthlyRebalanceTask", "2026-04-01T00:00:00", "2026-05-01T00:00:00"),
    ],
)
def test_scheduling_block_next_firings_are_those_of_its_comment(
    sqlite_address: str, file: str, kind: str, first: str, second: str
) -> None:
    declared = completed(block(file)[kind], run=lambda self, algorithm: None)
    app = make_app(sqlite_address, ScaledClock(START, 0.001))
    task = declared()
    app.add_task(task)
    definition = app.registry.resolve(task.name)
    assert definition.trigger is not None
    one = definition.trigger.next_after(START)
    assert one is not None
    two = definition.trigger.next_after(one)
    status = app.get_task_status()[task.name]
    app.stop()

    assert [one, two] == [datetime.fromisoformat(f"{at}+00:00") for at in (first, second)]
    assert status["next_run"] == one


def test_scheduling_block_without_run_is_refused_when_it_is_added(app: App) -> None:
    """The page's scheduling classes have no `run`: they can be made, not run."""
    task = block("fixed_intervals")["MarketDataTask"]()

    with pytest.raises(TaskDefinitionError, match="has no run"):
        app.add_task(task)


# --- task management ----------------------------------------------------------------------


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/New_York"])
def machine_zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """The machine's own zone, in which `datetime.now()` answers."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture
def local_app(sqlite_address: str, machine_zone: str) -> Iterator[App]:
    """Its zone is the machine's, as scripts that use `datetime.now()` want it."""
    app = make_app(sqlite_address, timezone=machine_zone)
    yield app
    app.stop()


def _backdate(app: App, run_id: str, age: timedelta) -> None:
    from sqlalchemy import update

    from closingbell.store.schema import runs

    micros = age // timedelta(microseconds=1)
    with app.store.database.writing() as connection:
        connection.execute(
            update(runs)
            .where(runs.c.id == run_id)
            .values(
                started_at=runs.c.started_at - micros,
                finished_at=runs.c.finished_at - micros,
            )
        )


def test_task_monitor_reports_failures_and_overdue_tasks_in_any_zone(
    local_app: App, machine_zone: str
) -> None:
    """`datetime.now() - last_run` works, and is right in an app of the machine's zone."""
    app = local_app

    def fail(algorithm: Any) -> None:
        raise ValueError("no price")

    app.registry.register_task("failing", fail, retry_count=0)
    app.registry.register_task("fresh", lambda algorithm: None)
    app.registry.register_task("stale", lambda algorithm: None)
    monitor = block("task_monitor")["TaskMonitor"]()
    app.add_task(monitor)
    app.start(block=False, scheduler=False)
    failed = app.submit("failing")
    fresh, stale = app.submit("fresh"), app.submit("stale")
    for handle in (fresh, stale):
        handle.result(PATIENCE_S)
    ended(app, failed.id)
    _backdate(app, stale.id, timedelta(hours=3))

    run, printed = run_to_end(app, monitor)

    last_run = stale.run.started_at
    assert last_run is not None
    local = last_run.astimezone(ZoneInfo(machine_zone)).replace(tzinfo=None)
    assert printed.splitlines() == [
        "Task failing failed: ValueError: no price",
        f"Task stale is overdue (last run: {local})",
    ]
    assert run.state == "success"


def test_conditional_task_declares_an_hourly_schedule(app: App) -> None:
    app.add_task(block("conditional_task")["ConditionalRebalanceTask"]())

    next_run = app.get_task_status()["conditional_rebalance"]["next_run"]

    assert (next_run.minute, next_run.second) == (0, 0)


# --- best practices -----------------------------------------------------------------------


def test_robust_task_own_retries_are_not_multiplied_by_the_engine(app: App) -> None:
    """Three tries of its own loop are one attempt of one run."""
    tries: list[Any] = []
    handled: list[str] = []

    def fails(_self: Any, algorithm: Any) -> None:
        tries.append(algorithm)
        raise ConnectionError("the exchange hung up")

    robust = completed(
        block("error_handling")["RobustTask"],
        execute_task_logic=fails,
        handle_task_failure=lambda self, error: handled.append(str(error)),
    )
    task = robust()
    task.retry_delay = 0.001
    app.add_task(task)
    run, printed = run_to_end(app, task)

    assert len(tries) == 3
    assert handled == ["the exchange hung up"]
    assert (run.state, run.attempt) == ("success", 1)
    assert printed.splitlines()[-1] == "Task failed after 3 attempts"


def test_robust_task_that_succeeds_runs_its_logic_once(app: App) -> None:
    task = block("error_handling")["RobustTask"]()
    app.add_task(task)
    run, printed = run_to_end(app, task)

    assert (run.state, run.attempt, printed) == ("success", 1, "")


@pytest.mark.parametrize(("free", "expected"), [(True, "computed"), (False, "skipped")])
def test_resource_aware_task_made_without_arguments_looks_at_the_machine_first(
    app: App, monkeypatch: pytest.MonkeyPatch, free: bool, expected: str
) -> None:
    computed: list[bool] = []
    resource_aware = completed(
        block("resource_management")["ResourceAwareTask"],
        execute_heavy_computation=lambda self: computed.append(True),
    )
    # The load of the machine that runs the tests is not what is tested.
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: 5.0 if free else 99.0)
    task = resource_aware()
    app.add_task(task)
    run, printed = run_to_end(app, task)

    assert app.registry.resolve("ResourceAwareTask").trigger is None
    assert run.state == "success"
    assert computed == ([True] if expected == "computed" else [])
    said = "" if free else "Insufficient resources - skipping task execution\n"
    assert printed == said


@pytest.mark.parametrize(
    ("situation", "runs"),
    [("never ran", False), ("failed", False), ("succeeded", True), ("succeeded long ago", False)],
)
def test_dependent_task_runs_only_after_a_fresh_success(
    local_app: App, situation: str, runs: bool
) -> None:
    """The page's own polling of prerequisites answers right in every zone."""
    app = local_app
    executed: list[bool] = []
    dependent = completed(
        block("task_dependencies")["DependentTask"],
        execute_task=lambda self, algorithm: executed.append(True),
    )

    def load(fail: bool = False) -> None:
        if fail:
            raise ValueError("no file")

    app.registry.register_task("load", load, retry_count=0)
    task = dependent(["load"])
    app.add_task(task)
    app.start(block=False, scheduler=False)
    if situation != "never ran":
        first = app.submit("load", {"fail": situation == "failed"})
        ended(app, first.id)
        if situation == "succeeded long ago":
            _backdate(app, first.id, timedelta(hours=3))
    run, printed = run_to_end(app, task)

    assert run.state == "success"
    assert executed == ([True] if runs else [])
    assert printed == ("" if runs else "Prerequisites not met - skipping task\n")


def test_task_attributes_of_any_name_are_the_users_own(app: App) -> None:
    """Names that the engine uses for itself do not clash with what users set."""

    class Busy(Task):
        def __init__(self) -> None:
            self.timeout = "mine"
            super().__init__(name="busy")
            self.max_retries = 99
            self.retries = "mine"
            self.priority = "mine"
            self.schedule = {"a": 1}
            self.trigger = None

        def run(self, algorithm: Any) -> int:
            return self.max_retries

    app.add_task(Busy())
    app.start(block=False, scheduler=False)
    definition = app.registry.resolve("busy")

    assert app.submit("busy").result(PATIENCE_S) == 99
    assert (definition.retry_count, definition.priority) == (3, 5)
    assert definition.timeout == 300
