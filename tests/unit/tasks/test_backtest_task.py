"""BacktestTask: parameter sets are backtested in a child process that ends with its run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from closingbell import App, create_app
from closingbell.core.error import RunCancelled, TargetError, TaskFailed
from closingbell.core.run import Run
from closingbell.simulation.report import read_report
from closingbell.tasks import BacktestTask
from closingbell.tasks.backtest_child import make_app
from closingbell.tasks.child_call import call_in_child
from tests.acceptance.desk import eventually
from tests.unit.tasks.desk_rig import DeskRig

DESK = "tests.unit.tasks.backtest_desk"
WINDOW = ("2012-01-03", "2012-03-30")
PATIENCE_S = 60


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    address = f"sqlite:///{tmp_path / 'desk.db'}"
    monkeypatch.setenv("TEST_DATABASE", address)
    app = create_app(address, guardian=False)
    yield app
    app.stop()


def ran(app: App, task: BacktestTask, payload: dict[str, Any] | None = None) -> Run:
    app.add_task(task)
    app.start(block=False, scheduler=False)
    handle = app.submit(task, payload)
    handle.result(PATIENCE_S)
    return handle.run


def test_each_set_of_parameters_is_backtested_and_stored(app: App) -> None:
    shares: list[dict[str, Any]] = [{"share": 0.2}, {"share": 0.8}]
    run = ran(app, BacktestTask(f"{DESK}:make", WINDOW, parameters=shares))
    rows = run.result["runs"]
    reports = [read_report(app.store.backtests, row["id"]) for row in rows]

    assert [row["parameters"] for row in rows] == shares
    assert [row["name"] for row in rows] == ["backtest share=0.2", "backtest share=0.8"]
    assert 0 < rows[0]["metrics"]["total_return"] < rows[1]["metrics"]["total_return"]
    assert [report.name for report in reports] == [row["name"] for row in rows]
    assert [list(report.tasks) for report in reports] == [["hold"], ["hold"]]
    assert reports[1].metrics.total_return == rows[1]["metrics"]["total_return"]


def test_app_itself_is_backtested_with_what_the_payload_says(app: App) -> None:
    task = BacktestTask(DESK, WINDOW, backtest={"cash": 5_000})
    run = ran(app, task, {"end": "2012-01-31"})
    report = read_report(app.store.backtests, run.result["runs"][0]["id"])

    assert report.metrics.initial_value == 5_000
    assert len(report.equity) == 21


@pytest.mark.parametrize(
    ("target", "parameters", "says"),
    [
        ("no.such.module:app", {}, "No module named"),
        (f"{DESK}:nothing", {}, "has no attribute 'nothing'"),
        (f"{DESK}:app", {"share": 1}, "it is an app, which takes no parameters"),
        (f"{DESK}:make", {"shares": 1}, "it does not take {'shares': 1}"),
        (f"{DESK}:none", {}, "it returned a str, not an app"),
        (f"{DESK}:os", {}, "it is a module, not an app"),
    ],
)
def test_target_that_is_no_app_is_refused_and_says_why(
    app: App, target: str, parameters: dict[str, Any], says: str
) -> None:
    with pytest.raises(TargetError, match=says):
        make_app(target, parameters)


def test_target_that_is_no_app_fails_the_run(app: App) -> None:
    with pytest.raises(TaskFailed, match="it returned a str, not an app"):
        ran(app, BacktestTask(f"{DESK}:none", WINDOW, retries=0))


def children() -> set[psutil.Process]:
    """All processes below this one; other tests' servers are among them."""
    return set(psutil.Process().children(recursive=True))


def test_child_is_killed_when_its_run_is_cancelled(app: App) -> None:
    app.add_task(BacktestTask(f"{DESK}:slow", WINDOW, parameters={"seconds": 300}, retries=0))
    app.start(block=False, scheduler=False)
    others = children()
    handle = app.submit("backtest")
    eventually(lambda: children() - others, "a child")
    handle.cancel("enough")

    eventually(lambda: not children() - others, "no child any more")
    with pytest.raises(RunCancelled):
        handle.result(PATIENCE_S)


def test_child_is_killed_at_the_timeout(app: App) -> None:
    task = BacktestTask(
        f"{DESK}:slow", WINDOW, parameters={"seconds": 300}, retries=0, timeout="3s"
    )
    others = children()
    with pytest.raises(TaskFailed):
        ran(app, task)

    eventually(lambda: not children() - others, "no child any more")


def noisy(word: str) -> str:
    print(word)
    return word.upper()


def test_what_a_child_prints_is_in_its_runs_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    context = DeskRig().algorithm("noisy").context
    returned = call_in_child(noisy, {"word": "hello"}, context, timeout_s=60)

    assert returned == "HELLO"
    assert "hello" in caplog.text
    assert threading.active_count() < 10


def test_backtest_within_a_backtest_is_skipped(app: App) -> None:
    app.add_task(BacktestTask(f"{DESK}:make", WINDOW, session="XNYS close"))
    report = app.backtest(*WINDOW, store=False)

    assert report.tasks["backtest"].reasons == {"a backtest runs no backtests": 62}
