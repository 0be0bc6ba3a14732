"""The requests that an exchange allows are shared by all who ask it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from closingbell.core.clock import SimulatedClock
from closingbell.core.error import BrokerUnavailable
from closingbell.core.limit import Rate
from closingbell.trading.broker.ccxt_budget import Budget
from tests.exchange.server import LocalExchange


class HurriedClock(SimulatedClock):
    """A clock on which waiting takes no time of ours, and all of its own."""

    def __init__(self) -> None:
        super().__init__(datetime(2026, 1, 5, tzinfo=UTC))
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(timedelta(seconds=seconds))


@pytest.fixture
def clock() -> HurriedClock:
    return HurriedClock()


def test_requests_within_the_limit_wait_for_nothing(clock: HurriedClock) -> None:
    budget = Budget(Rate.parse("5/10s@quick"), clock, patience_s=60)

    for _ in range(5):
        budget.take()

    assert clock.slept == []


def test_request_beyond_the_limit_waits_until_the_window_has_room(clock: HurriedClock) -> None:
    budget = Budget(Rate.parse("5/10s@room"), clock, patience_s=60)
    for _ in range(5):
        budget.take()
        clock.advance(timedelta(seconds=1))

    budget.take()

    assert sum(clock.slept) == pytest.approx(5)


def test_no_window_ever_holds_more_than_the_limit(clock: HurriedClock) -> None:
    budget = Budget(Rate.parse("7/3s@window"), clock, patience_s=60)
    taken: list[float] = []
    for _ in range(60):
        budget.take(2)
        taken.append(clock.monotonic())

    for end in taken:
        assert sum(2 for at in taken if end - 3 < at <= end) <= 7


def test_callers_of_one_bucket_share_it_each_with_a_limit_of_its_own(clock: HurriedClock) -> None:
    generous = Budget(Rate.parse("10/10s@shared"), clock, patience_s=60)
    modest = Budget(Rate.parse("4/10s@shared"), clock, patience_s=60)
    for _ in range(4):
        generous.take()

    generous.take()
    assert clock.slept == []
    modest.take()
    assert clock.slept != []


def test_callers_of_other_buckets_do_not_wait_for_each_other(clock: HurriedClock) -> None:
    Budget(Rate.parse("1/10s@one"), clock, patience_s=60).take()
    Budget(Rate.parse("1/10s@two"), clock, patience_s=60).take()

    assert clock.slept == []


def test_request_heavier_than_the_limit_goes_alone(clock: HurriedClock) -> None:
    budget = Budget(Rate.parse("5/10s@heavy"), clock, patience_s=60)
    budget.take(8)
    assert clock.slept == []

    budget.take(1)

    assert sum(clock.slept) == pytest.approx(10)


def test_request_that_would_wait_too_long_is_given_up_unsent(clock: HurriedClock) -> None:
    budget = Budget(Rate.parse("1/60s@patience"), clock, patience_s=5)
    budget.take()

    with pytest.raises(BrokerUnavailable, match="nothing was sent"):
        budget.take()

    assert clock.slept == []


def test_exchange_that_wants_a_pause_closes_the_bucket_for_all(clock: HurriedClock) -> None:
    first = Budget(Rate.parse("100/1s@closed"), clock, patience_s=60)
    second = Budget(Rate.parse("100/1s@closed"), clock, patience_s=60)

    first.close(7)
    second.take()

    assert sum(clock.slept) == pytest.approx(7)


def test_two_accounts_at_one_exchange_keep_one_limit(local_exchange: LocalExchange) -> None:
    """Units are ccxt's: the balances of Binance cost 4, its markets 4."""
    clock = HurriedClock()
    first, second = (
        local_exchange.broker(rate="12/1m@two-accounts", clock=clock, patience_s=90)
        for _ in range(2)
    )

    first.balances()
    assert clock.slept == []
    second.balances()

    assert sum(clock.slept) == pytest.approx(60)
