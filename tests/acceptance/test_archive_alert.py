"""An archive that does not work is an alert, until it works again; what is old stays meanwhile."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from closingbell import App, create_app
from closingbell.core.alert import SYSTEM, Alert, AlertState
from closingbell.core.clock import SimulatedClock

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
KIND = "archive_failed"
#: A little more than a worker waits between two tries.
MINUTE = timedelta(seconds=61)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where to archive; at first a file is in its place, so that nothing can be written there."""
    folder = tmp_path / "archive"
    folder.write_text("in the way", encoding="utf-8")
    return folder


@pytest.fixture
def desk(store_address: str, folder: Path) -> Iterator[tuple[App, SimulatedClock]]:
    """An app at work with two old runs; the newest of a task is never pruned."""
    clock = SimulatedClock(START)
    app = create_app(
        store_address, clock=clock, guardian=False, archive=str(folder), retention_s=86_400.0
    )

    @app.task
    def settle(n: int) -> int:
        return n

    with app.running():
        for n in range(3):
            assert app.submit("settle", {"n": n}).result(20) == n
            clock.advance(timedelta(days=2))
        yield app, clock


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)


def alerts(app: App) -> list[Alert]:
    return app.store.alerts.page(kind=KIND)


def successes(app: App) -> int:
    return app.store.runs.counts()["success"]


def test_archive_that_fails_is_one_alert_and_prunes_nothing(
    desk: tuple[App, SimulatedClock], folder: Path
) -> None:
    app, clock = desk
    until(lambda: alerts(app), "the first failure")
    before = alerts(app)[0].count
    clock.advance(MINUTE)
    until(lambda: alerts(app)[0].count > before, "the next try")
    (alert,) = alerts(app)
    assert (alert.state, alert.severity) == (AlertState.OPEN, "ERROR")
    assert str(folder) in alert.message
    assert alert.data == {"archive": str(folder)}
    assert successes(app) == 3


def test_archive_that_works_again_clears_its_alert_and_prunes(
    desk: tuple[App, SimulatedClock], folder: Path
) -> None:
    app, clock = desk
    until(lambda: alerts(app), "the failure")
    folder.unlink()
    clock.advance(MINUTE)
    until(lambda: alerts(app)[0].state is AlertState.CLEARED, "its end")
    assert alerts(app)[0].cleared_by == SYSTEM
    assert successes(app) == 1
    # When it fails anew, that is an alert of its own.
    shutil.rmtree(folder)
    folder.write_text("in the way again", encoding="utf-8")
    for n in (4, 5):
        assert app.submit("settle", {"n": n}).result(20) == n
        clock.advance(timedelta(days=2))
    until(lambda: len(alerts(app)) == 2, "the second failure")
    states = sorted(alert.state for alert in alerts(app))
    assert states == [AlertState.CLEARED, AlertState.OPEN]


def test_archive_that_works_clears_no_alert_of_another(
    desk: tuple[App, SimulatedClock], folder: Path
) -> None:
    app, clock = desk
    app.store.alerts.put("a1", KIND, "elsewhere", clock.micros(), about="s3://elsewhere")
    if folder.is_file():
        folder.unlink()
    clock.advance(MINUTE)
    until(lambda: successes(app) == 1, "the archive")
    assert app.store.alerts.get("a1").state is AlertState.OPEN
