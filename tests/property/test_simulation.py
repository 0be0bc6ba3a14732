"""Simulations: nothing but trades moves the equity curve, and a seed says everything."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from closingbell import Skip, Snooze
from closingbell.core.clock import SystemClock
from closingbell.core.outcome import Returned
from closingbell.core.run import Claim
from closingbell.engine.attempt import Attempts
from closingbell.simulation.result import SimulationResult
from tests.unit.simulation.rig import Hand, Rig

CHANCE = {"slippage": "random 0.5%", "fees": "0.1%", "volume_share": "0.0004"}
PRICES = [100 + (n * n) % 13 for n in range(180)]


def add_strategies(rig: Rig) -> None:
    """Add tasks that trade: one by the clock, one by events, one that fails and is tried again."""

    @rig.app.task(interval="7m", priority=5)
    def trader(algorithm: Hand) -> None:
        if algorithm.at:
            (algorithm.buy if (algorithm.at // timedelta(minutes=7)) % 3 else algorithm.sell)("0.5")

    @rig.app.task(on_event="order_filled", where="side == 'buy'")
    def follower(algorithm: Hand, context: Any) -> None:
        if context.run_id[-1] in "13579":
            algorithm.buy("0.1")

    @rig.app.task(interval="31m", retries=3)
    def flaky(algorithm: Hand, context: Any) -> None:
        if algorithm.at:
            algorithm.buy("0.2")
        if context.attempt < 3:
            raise ValueError("again")


def read(algorithm: Hand) -> Any:
    algorithm.desk.ledger.entries("main")
    return {"value": str(algorithm.value)}


def fail(algorithm: Hand) -> None:
    raise RuntimeError(str(algorithm.value))


def sleep(algorithm: Hand) -> None:
    for seconds in (1, 59, 61):
        algorithm.sleep(seconds)


async def nap(algorithm: Hand) -> None:
    import asyncio

    await asyncio.gather(asyncio.sleep(30), asyncio.sleep(90.5))


def tell(algorithm: Hand) -> None:
    algorithm.services.trigger_event("told", {"by": "somebody"})
    algorithm.services.send_alert("look", "INFO", algorithm.call, {})


BODIES: dict[str, Callable[..., Any]] = {
    "read": read,
    "fail": fail,
    "sleep": sleep,
    "nap": nap,
    "skip": lambda algorithm: Skip("nothing"),
    "tell": tell,
    "snooze": lambda algorithm: Snooze(45) if algorithm.at.seconds % 2 == 0 else None,
}

bystanders = st.lists(
    st.fixed_dictionaries(
        {
            "body": st.sampled_from(sorted(BODIES)),
            "priority": st.integers(1, 9),
            "when": st.sampled_from(
                [
                    {"interval": "1m"},
                    {"interval": "7m"},
                    {"cron": "*/5 * * * *"},
                    {"interval": "10m", "jitter": "3m"},
                    {"on_event": "order_filled"},
                    {"on_event": "market_data_update"},
                    {"after": "trader"},
                ]
            ),
            "overlap": st.sampled_from(
                ["skip", "buffer_one", "buffer_all", "cancel_other", "allow"]
            ),
            "max_concurrent": st.sampled_from([None, 1]),
        }
    ),
    max_size=5,
)


def add_bystanders(rig: Rig, chosen: list[dict[str, Any]]) -> None:
    """Add tasks that do not trade, under names that come before and after the strategies'."""
    for number, one in enumerate(chosen):
        body = BODIES[one["body"]]
        rig.app.registry.register_task(
            f"{'az'[number % 2]}{number}",
            body,
            priority=one["priority"],
            overlap=one["overlap"],
            max_concurrent=one["max_concurrent"],
            **one["when"],
        )


def traded(result: SimulationResult) -> bytes:
    """Return all that a simulation says of money, as bytes."""
    account = result.accounts["main"]
    parts = [account.entries, account.orders, account.snapshots, account.round_trips]
    return msgspec.json.encode([*parts, account.prices], order="sorted")


_alone: list[bytes] = []


@settings(max_examples=40, deadline=None)
@given(chosen=bystanders)
def test_tasks_that_do_not_trade_leave_the_account_as_it_is_to_the_last_digit(
    chosen: list[dict[str, Any]],
) -> None:
    if not _alone:
        alone = Rig(prices=PRICES, seed=3, broker=CHANCE)
        add_strategies(alone)
        _alone.append(traded(alone.run()))
    rig = Rig(prices=PRICES, seed=3, broker=CHANCE)
    add_bystanders(rig, chosen)
    add_strategies(rig)
    result = rig.run()

    assert len(result.accounts["main"].entries) > 20
    assert traded(result) == _alone[0]


def everything(result: SimulationResult) -> bytes:
    """Return all of a result that must not depend on the machine, as bytes."""
    parts = [
        traded(result),
        [list(line) for line in result.firings],
        result.tasks,
        [list(alert)[:4] for alert in result.alerts],
        [(o.task, o.run_id, o.attempt, o.logs) for o in (*result.failures, *result.output)],
        result.facts,
        result.events,
        result.notes,
    ]
    return msgspec.json.encode(parts, order="sorted")


@settings(max_examples=15, deadline=None)
@given(chosen=bystanders, seed=st.integers(0, 2**64))
def test_the_same_seed_gives_the_same_twice(chosen: list[dict[str, Any]], seed: int) -> None:
    def once() -> bytes:
        rig = Rig(prices=PRICES[:90], seed=seed, broker=CHANCE)
        add_bystanders(rig, chosen)
        add_strategies(rig)
        return everything(rig.run())

    assert once() == once()


def fixed_digest() -> str:
    """Return a digest of one simulation with a bit of everything; run by other processes, too."""
    rig = Rig(prices=PRICES, seed=11, broker=CHANCE)
    when = [{"interval": "3m"}, {"on_event": "order_filled"}, {"after": "trader"}]
    add_bystanders(
        rig,
        [
            {
                "body": body,
                "priority": 1 + n,
                "overlap": "allow",
                "max_concurrent": None,
                "when": when[n % 3],
            }
            for n, body in enumerate(sorted(BODIES))
        ],
    )
    add_strategies(rig)
    return hashlib.blake2b(everything(rig.run())).hexdigest()


def test_processes_with_other_hash_seeds_come_to_the_same_bytes() -> None:
    root = Path(__file__).resolve().parents[2]
    script = "from tests.property.test_simulation import fixed_digest; print(fixed_digest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert digests == {fixed_digest()}


@given(
    attempt=st.integers(1, 9),
    retries=st.integers(0, 9),
    lost=st.integers(0, 3),
    result=st.sampled_from([None, "null", "17", '{"a":1}']),
    now=st.integers(0, 10**18),
)
def test_what_returned_succeeds_whatever_the_policy(
    attempt: int, retries: int, lost: int, result: str | None, now: int
) -> None:
    """What the simulation takes for granted of a plain firing that returned at once."""

    class Still(SystemClock):
        speed = 0.0

        def micros(self) -> int:
            return now

    attempts = Attempts(
        clock=Still(),
        resolve=lambda name: None,
        runner=lambda task: None,  # type: ignore[arg-type,return-value]
        error_json=str,
        take_logs=lambda call: (),
        rng=Random(0),
        poison_after=1,
        long_execution_s=1e-9,
    )
    claim = Claim(
        "r", 1, "t", "{}", attempt, retries + 1, 1.0, now, now, None, "s", "thread", lost, None, now
    )
    settled = attempts.settle_claim(claim, None, Returned(result), None)

    assert (settled.state, settled.result, settled.finished_at) == ("success", result, now)
    assert (settled.attempt, settled.due_at, settled.alert) == (attempt, None, None)
    assert (settled.ledger, settled.lost, settled.reason) == (False, 0, None)
