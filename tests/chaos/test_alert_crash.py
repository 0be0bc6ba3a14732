"""Kill -9 around a message: it is sent at least once, always under one id, and never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from closingbell import create_app
from closingbell.core.clock import SystemClock
from closingbell.store.store import open_store
from tests.unit.monitor.receiver import Receiver

ROOT = Path(__file__).parents[2]


def start(address: str, hook: str, dies: str, log: Path, *words: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "ALERT_DATABASE": address,
        "ALERT_HOOK": hook,
        "ALERT_DIES": dies,
        "PYTHONPATH": str(ROOT),
    }
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.alert_desk", *words],
            cwd=ROOT,
            env=environment,
            stderr=errors,
        )


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("dies", "received", "attempts"), [("deciding", 1, 1), ("before", 1, 2), ("after", 2, 2)]
)
def test_message_survives_the_death_of_whoever_sends_it(
    store_address: str, tmp_path: Path, dies: str, received: int, attempts: int
) -> None:
    # The tables are there before the clock of the test runs.
    app = create_app(store_address)
    assert app.store.alerts.page() == []
    app.stop()
    with Receiver() as receiver:
        victim = start(store_address, receiver.url, dies, tmp_path / "log", "fail")
        assert victim.wait(60) == -signal.SIGKILL, (tmp_path / "log").read_text()
        heir = start(store_address, receiver.url, "", tmp_path / "log")
        store = open_store(store_address, SystemClock())
        try:
            deadline = time.monotonic() + 60
            while not (sent := store.notifications.page(state="sent")):
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                assert heir.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.05)
            (alert,) = store.alerts.page()
            assert store.notifications.of_alert(alert.id) == sent
        finally:
            store.close()
            heir.terminate()
            heir.wait(30)
        assert (alert.type, alert.count) == ("task_failure", 1)
        assert [one.attempts for one in sent] == [attempts]
        # As often as it came, it says that it is the same.
        assert [one.id for one in receiver.received] == [sent[0].id] * received
