"""An order, and a process that dies at every step of it: at most one at the exchange, ever."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from closingbell import App, RunState
from closingbell.core.clock import SystemClock
from closingbell.core.order import Order, OrderState
from closingbell.trading.reconciliation import reconcile
from tests.chaos.order_desk import WINDOW_S, make_app
from tests.exchange import fault
from tests.exchange.fault import Fault
from tests.exchange.server import LocalExchange

ROOT = Path(__file__).parents[2]
D = Decimal

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(90)]


class Child:
    """A worker process that has an accident, or comes after one."""

    def __init__(self, store: str, exchange: LocalExchange, step: str, log: Path) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.order_desk"],
            cwd=ROOT,
            env={
                **os.environ,
                "ORDER_STORE": store,
                "ORDER_EXCHANGE": exchange.address,
                "ORDER_STEP": step,
                "PYTHONPATH": str(ROOT),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self._stopped: list[psutil.Process] = []

    def go(self) -> None:
        """Let it start, once it is ready."""
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        assert self._process.stdout.readline().strip() == b"ready"
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()

    @property
    def lives(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def await_death(self) -> None:
        """Wait until it has killed itself."""
        assert self._process.wait(30) == -signal.SIGKILL

    def await_stop(self) -> None:
        """Wait until it has stopped itself, and stop what it started too: a machine stands still."""
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)
        self._stopped = psutil.Process(self._process.pid).children(recursive=True)
        for process in self._stopped:
            process.suspend()

    def go_on(self) -> None:
        """Let it go on after a stop."""
        for process in self._stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        self._stopped = []
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait(10)

    def end(self) -> None:
        """End it in an orderly way, however it is."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.poll() is None:
            self.go_on()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()


class Scene:
    """A store, the exchange, a worker that has an accident and one that comes after it."""

    def __init__(self, store: str, exchange: LocalExchange, folder: Path) -> None:
        self._store = store
        self._log = folder / "workers.log"
        self.exchange = exchange
        self.app: App = make_app(store, exchange.address)
        self.app.store.prepare()
        self.run_id = self.app.submit("buy", {"quantity": "0.1"}).id
        self.children: list[Child] = []

    def child(self, step: str = "") -> Child:
        """Prepare a worker."""
        self.children.append(Child(self._store, self.exchange, step, self._log))
        return self.children[-1]

    def await_success(self) -> None:
        """Wait until the run has ended well."""
        deadline = time.monotonic() + 45
        while time.monotonic() < deadline:
            run = self.app.get_run(self.run_id)
            if run.state not in (RunState.PENDING, RunState.RUNNING, RunState.SCHEDULED):
                break
            if not any(child.lives for child in self.children):
                break
            time.sleep(0.02)
        assert run.state is RunState.SUCCESS, (run.state, run.error, self._log.read_text()[-3000:])

    def check(self, sent: int) -> Order:
        """The exchange has as many orders as it should, one at most, and the ledger agrees."""
        ledger, desk = self.app.store.ledger, self.app.desk
        desk.recover("main", patience_s=0.0)
        desk.sync("main")
        account, exchange = desk.account("main"), self.exchange
        assert len(exchange.orders) == sent <= 1
        assert account.book.quantity("BTC/USDT") == exchange.total("BTC")
        assert account.book.cash["USDT"] == exchange.total("USDT")
        traded = [o for o in ledger.orders("main") if o.filled]
        assert [o.id for o in traded] == [o.client_id for o in exchange.orders]
        assert all(o.state is OrderState.FILLED for o in traded)
        assert account.orders == {}
        found = reconcile(
            account, ledger, sync=lambda: desk.sync("main"), now=SystemClock().micros()
        )
        assert found == []
        (order,) = traded
        result = self.app.get_run(self.run_id).result
        assert result["order"] == order.id
        return order

    def close(self) -> None:
        for child in self.children:
            child.end()
        self.app.stop()


@contextmanager
def a_scene(store: str, exchange: LocalExchange, folder: Path) -> Iterator[Scene]:
    scene = Scene(store, exchange, folder)
    try:
        yield scene
    finally:
        scene.close()


@pytest.fixture
def scene(store_address: str, local_exchange: LocalExchange, tmp_path: Path) -> Iterator[Scene]:
    with a_scene(store_address, local_exchange, tmp_path) as made:
        yield made


# --- killed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        "before the order is stored",
        "after the order is stored",
        "before the signed order is sent",
        "after the answer",
        "before the answer is stored",
        "after the answer is stored",
        "before the trades are stored",
        "after the trades are stored",
    ],
)
def test_worker_killed_at_a_step_of_an_order_leaves_one_order_and_a_ledger_that_agrees(
    scene: Scene, step: str
) -> None:
    victim, successor = scene.child(step), scene.child()

    victim.go()
    victim.await_death()
    successor.go()
    scene.await_success()

    order = scene.check(sent=1)
    assert order.ordinal == 1
    assert scene.app.get_run(scene.run_id).fence >= 2
    stored_first = step not in ("before the order is stored",)
    assert (order.fence == 1) == stored_first


@pytest.mark.parametrize("refuses_duplicates", [True, False])
def test_worker_killed_while_its_answer_is_on_the_way_leaves_one_order(
    scene: Scene, refuses_duplicates: bool
) -> None:
    """Also where the exchange would take the same id again: the guard is ours."""
    scene.exchange.books.refuses_duplicates = refuses_duplicates
    silence = scene.exchange.fail(fault.silence())
    victim, successor = scene.child(), scene.child()

    victim.go()
    assert silence.reached.wait(30)
    victim.kill()
    successor.go()
    scene.await_success()

    scene.check(sent=1)
    assert scene.exchange.count("POST order") == 1


def test_order_of_a_killed_worker_that_arrives_late_is_the_only_one(scene: Scene) -> None:
    """The request was on its way when its sender died; its successor asks before it sends."""
    stuck = scene.exchange.fail(fault.stuck())
    victim, successor = scene.child(), scene.child()

    victim.go()
    assert stuck.reached.wait(30)
    victim.kill()
    successor.go()
    stuck.release.set()
    scene.await_success()

    scene.check(sent=1)


def test_order_of_a_killed_worker_that_arrives_too_late_is_refused(scene: Scene) -> None:
    """The successor's order is there already when the first request is read at last."""
    stuck = scene.exchange.fail(fault.stuck())
    scene.exchange.books.refuses_duplicates = False
    victim, successor = scene.child(), scene.child()

    victim.go()
    assert stuck.reached.wait(30)
    victim.kill()
    successor.go()
    scene.await_success()
    before = scene.exchange.answered
    stuck.release.set()
    scene.exchange.await_answers(before + 1)

    scene.check(sent=1)
    assert scene.exchange.count("POST order") == 2


# --- stalled -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "requests"),
    [
        ("before the order is stored", 1),
        ("after the order is stored", 1),
        ("before the order is sent", 1),
        ("before the signed order is sent", 2),
    ],
)
def test_stalled_worker_that_wakes_after_its_successor_sends_no_second_order(
    scene: Scene, step: str, requests: int
) -> None:
    """A machine that stood still for a while, its lease lost, and goes on where it was."""
    scene.exchange.books.refuses_duplicates = False
    stalled, successor = scene.child(f"stop {step}"), scene.child()

    stalled.go()
    stalled.await_stop()
    successor.go()
    scene.await_success()
    stalled.go_on()
    # It ends in an orderly way: whatever it wanted to do is done, or was refused.
    stalled.end()

    scene.check(sent=1)
    assert scene.exchange.count("POST order") == requests


# --- faults without a death ----------------------------------------------------------------------


def late_by_a_second(exchange: LocalExchange) -> Fault:
    """The order was taken, the answer lost, and asking shows nothing for a while."""
    exchange.books.lag_s = WINDOW_S
    return fault.cut()


FAULTS: dict[str, Callable[[LocalExchange], Fault]] = {
    "silence": lambda _: fault.silence(),
    "cut": lambda _: fault.cut(),
    "lost": lambda _: fault.lost(),
    "error 500": lambda _: fault.error(500),
    "error 503 after acceptance": lambda _: fault.error(503, accepted=True),
    "a page": lambda _: fault.html(),
    "half an answer": lambda _: fault.instead(lambda answer: answer[: len(answer) // 2]),
    "too often": lambda _: fault.throttled("3"),
    "late by a second": late_by_a_second,
}


@pytest.mark.parametrize("what", list(FAULTS))
def test_fault_on_the_way_leaves_one_order_and_a_ledger_that_agrees(
    scene: Scene, what: str
) -> None:
    scene.exchange.books.refuses_duplicates = False
    ordered = scene.exchange.fail(FAULTS[what](scene.exchange))
    worker = scene.child()

    worker.go()
    scene.await_success()
    ordered.release.set()

    scene.check(sent=1)
