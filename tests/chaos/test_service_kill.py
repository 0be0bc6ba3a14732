"""Kill -9 of a whole service: who asks and who follows come to the same end as if it had lived."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from closingbell import create_app
from closingbell.client import Client
from closingbell.client.change import Reset
from closingbell.core.error import RequestInProgress, ServiceUnreachable, StoreUnavailable
from closingbell.core.role import Role
from closingbell.core.token import make_token
from closingbell.wire.stream import Changes, Summary

ROOT = Path(__file__).parents[2]
ENDED = {"success", "failed", "cancelled", "skipped"}
PROGRAM = Path(sys.executable).with_name("closingbell")
PATIENCE_S = 60.0


class Service:
    """A `closingbell serve` process on one port, killed and started again."""

    def __init__(self, address: str, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._environment = {**os.environ, "CHAOS_DATABASE": address, "PYTHONPATH": str(ROOT)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "serve", "tests.chaos.service_desk:app", "--port", str(self.port)],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self) -> None:
        """End it in an orderly way."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def await_ready(self) -> None:
        """Wait until it says that it is ready; meanwhile nothing but silence or 503 is an answer."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(httpx.TransportError):
                answer = httpx.get(f"{self.url}/readyz", timeout=5)
                assert answer.json()["ready"] is (answer.status_code == 200)
                assert answer.status_code in (200, 503)
                if answer.status_code == 200:
                    return
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)


class Follower(threading.Thread):
    """Follows the stream of runs across every restart, and reads again where it is told to."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(name="follower", daemon=True)
        self._url, self._token = url, token
        self.states: dict[str, str] = {}
        self.done = threading.Event()
        self.problem: BaseException | None = None
        self.reconnects = 0

    def run(self) -> None:
        last: str | None = None
        try:
            while not self.done.is_set():
                # A few tries outlast no restart on a busy machine: it comes back where it was.
                with (
                    suppress(ServiceUnreachable, StoreUnavailable),
                    Client(self._url, token=self._token) as client,
                ):
                    for told in client.follow(["runs"], last_id=last):
                        last = told.id or last
                        if isinstance(told.what, Changes):
                            for change in told.what.changes:
                                assert change.state is not None
                                self._see(change.id, change.state["state"])
                        elif isinstance(told.what, Summary | Reset):
                            for run in client.runs.all():
                                self._see(run.id, run.state)
                        if self.done.is_set():
                            return
                self.reconnects += 1
        except BaseException as problem:
            self.problem = problem

    def _see(self, run_id: str, state: str) -> None:
        before = self.states.get(run_id)
        # An end is an end: nothing that is told later takes it back.
        assert before not in ENDED or before == state, (run_id, before, state)
        self.states[run_id] = state


class Submitter(threading.Thread):
    """Submits one run for each key, again and again until it is answered, then twice at times."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(name="submitter", daemon=True)
        self._url, self._token = url, token
        self.ids: dict[str, str] = {}
        self.again = 0
        self.done = threading.Event()
        self.problem: BaseException | None = None

    def run(self) -> None:
        number = 0
        try:
            with Client(self._url, token=self._token, timeout_s=10) as client:
                while not self.done.is_set():
                    number += 1
                    key = f"key-{number}"
                    self.ids[key] = self._submit(client, key, number)
                    if number % 5 == 0:
                        assert self._submit(client, key, number) == self.ids[key]
        except BaseException as problem:
            self.problem = problem

    def _submit(self, client: Client, key: str, number: int) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return client.runs.submit("settle", {"n": number}, request_key=key).id
            except (ServiceUnreachable, StoreUnavailable, RequestInProgress):
                self.again += 1
                assert time.monotonic() < deadline
                time.sleep(0.05)


def signed(address: str) -> str:
    """Make the database and an operator's token in it; return its secret."""
    app = create_app(address)
    token = make_token(os.urandom)
    app.store.tokens.create(
        token.id, "chaos", Role.OPERATOR, token.hash, app.clock.micros(), owner="chaos"
    )
    app.stop()
    return token.text


def chaos(tmp_path: Path, kills: int, seed: int) -> None:
    """Kill the service under its clients, then compare what they know with what is stored."""
    chance = random.Random(seed)
    address = f"sqlite:///{tmp_path / 'desk.db'}"
    token = signed(address)
    service = Service(address, tmp_path / "service.log")
    service.start()
    try:
        service.await_ready()
        follower, submitter = Follower(service.url, token), Submitter(service.url, token)
        follower.start()
        submitter.start()
        for _ in range(kills):
            time.sleep(chance.uniform(0.1, 0.8))
            service.kill()
            with pytest.raises(httpx.TransportError):
                httpx.get(f"{service.url}/readyz", timeout=5)
            service.start()
            # At times it dies while it starts, too.
            if chance.random() < 0.7:
                service.await_ready()
        service.await_ready()
        submitter.done.set()
        submitter.join(PATIENCE_S)
        assert submitter.problem is None, submitter.problem
        assert not submitter.is_alive(), f"no answer to {len(submitter.ids) + 1} keys"
        await_ends(service, token, follower, set(submitter.ids.values()))
        follower.done.set()
        check_store(service, token, submitter.ids)
    finally:
        service.stop()
    assert follower.problem is None, follower.problem
    print(
        f"{len(submitter.ids)} keys, {submitter.again} sent again, {kills} kills, "
        f"the follower connected {follower.reconnects} times anew by itself"
    )


def await_ends(service: Service, token: str, follower: Follower, ids: set[str]) -> None:
    """Wait until the follower was told the end of every run."""
    deadline = time.monotonic() + PATIENCE_S
    while missing := [one for one in ids if follower.states.get(one) not in ENDED]:
        assert follower.problem is None, follower.problem
        if time.monotonic() > deadline:
            with Client(service.url, token=token) as client:
                stored = {one: client.runs.get(one).state for one in missing[:5]}
            pytest.fail(f"never told the end of {len(missing)} of {len(ids)}: {stored}")
        time.sleep(0.05)


def check_store(service: Service, token: str, ids: dict[str, str]) -> None:
    """Each key made one run, and each run ended once, with the result of its payload."""
    assert len(set(ids.values())) == len(ids)
    with Client(service.url, token=token) as client:
        stored = {run.id for run in client.runs.all()}
        # No more than the keys: a request that was sent again made no second run.
        assert stored == set(ids.values())
        for key, run_id in ids.items():
            run = client.runs.get(run_id)
            assert (str(run.state), run.result) == ("success", int(key.removeprefix("key-")))
            ends = [a.outcome for a in run.attempts if a.outcome == "returned"]
            assert ends == ["returned"]


@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_service_killed_at_random_answers_each_key_once_and_its_follower_misses_no_end(
    tmp_path: Path,
) -> None:
    """A sample of the whole, on SQLite."""
    chaos(tmp_path, kills=5, seed=20_121_123)


@pytest.mark.chaos_full
@pytest.mark.timeout(1_800)
def test_service_killed_a_hundred_times_answers_each_key_once(tmp_path: Path) -> None:
    """The whole of it."""
    seed = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(10**6)
    print(f"CHAOS_SEED={seed}")
    chaos(tmp_path, kills=100, seed=seed)
