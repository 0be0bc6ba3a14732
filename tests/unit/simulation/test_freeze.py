"""Frozen time: scripts that ask the machine for the time see the simulated one."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta
from time import sleep
from typing import Any

import pytest

from closingbell.core.error import BacktestError
from tests.unit.simulation.rig import START, Hand, Rig


def test_now_and_sleep_of_the_machine_are_simulated_for_tasks() -> None:
    rig = Rig(freeze=True)
    seen: list[Any] = []

    @rig.app.task(interval="5m")
    def script(algorithm: Hand) -> None:
        before = datetime.now(UTC)
        time.sleep(30)
        sleep(15)
        seen.append((before, datetime.now(UTC) - before, time.time(), algorithm.at))

    result = rig.run()

    first, second = seen
    assert first[:2] == (START, timedelta(seconds=45))
    assert first[2] == (START + timedelta(seconds=45)).timestamp()
    assert second[0] == START + timedelta(minutes=5)
    assert second[3] == timedelta(minutes=5, seconds=45)
    assert result.tasks["script"].sleep_s == 90
    assert result.machine_s < 20


def test_the_local_zone_is_the_apps_meanwhile_and_all_is_as_it_was_afterwards() -> None:
    rig = Rig(freeze=True, timezone="America/New_York")
    seen: list[Any] = []
    before = (os.environ.get("TZ"), time.tzname, time.sleep, sleep)

    @rig.app.task(interval="1h")
    def script() -> None:
        offset = dt.datetime.now().astimezone().utcoffset()
        seen.append((datetime.now(), date.today(), offset))  # noqa: DTZ005, DTZ011

    rig.run()

    # START is midnight in UTC, and the evening before in New York.
    evening = datetime(2024, 3, 3, 19)  # noqa: DTZ001
    assert seen == [(evening, date(2024, 3, 3), timedelta(hours=-5))]
    assert (os.environ.get("TZ"), time.tzname, time.sleep, sleep) == before
    assert abs(datetime.now(UTC).timestamp() - time.time()) < 5
    assert datetime.now(UTC).year > 2024


def test_other_threads_and_the_watch_keep_real_time() -> None:
    rig = Rig(freeze=True)
    woke = threading.Event()

    def neighbour() -> None:
        time.sleep(0.05)
        woke.set()

    @rig.app.task(interval="1h", timeout=0.4, retries=0)
    def hangs() -> None:
        thread = threading.Thread(target=neighbour)
        thread.start()
        began = time.monotonic()
        woke.wait(10)
        assert time.monotonic() - began > 0.04
        threading.Event().wait(3)

    result = rig.run()

    assert woke.is_set()
    assert result.tasks["hangs"].timed_out == 1


def test_frozen_time_moves_along_for_coroutines() -> None:
    rig = Rig(freeze=True)
    seen: list[datetime] = []

    @rig.app.task(interval="1h")
    async def script() -> None:
        await asyncio.sleep(90)
        seen.append(datetime.now(UTC))

    rig.run()

    assert seen == [START + timedelta(seconds=90)]


def test_time_thaws_also_when_the_simulation_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(freeze=True)

    def fail(at: int) -> None:
        raise RuntimeError

    rig.progress = fail
    rig.prices = [100] * 60_000
    rig.app.registry.register_task("look", lambda algorithm: algorithm.value, interval="1m")
    with pytest.raises(RuntimeError):
        rig.run()

    assert datetime.now(UTC).year > 2024
    assert time.sleep.__name__ == "sleep"


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "time_machine", None)

    with pytest.raises(BacktestError, match=r"closingbell\[freeze\]"):
        Rig(freeze=True).run()
