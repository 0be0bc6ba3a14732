"""The in-memory ledger: what it has beyond the contract, which the conformance tests check."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from closingbell.core.error import FenceLost
from closingbell.core.ledger import AccountRecord, Change, Fact, Holder
from closingbell.trading.memory_ledger import MemoryLedger

RECORD = AccountRecord("main", "USD", Decimal(0), "simulated", 0)


def test_facts_are_told_once_their_change_is_true() -> None:
    told: list[tuple[int, str]] = []

    def on_facts(facts: Sequence[Fact]) -> None:
        told.extend((ledger.account("main").version, fact.type) for fact in facts)

    ledger = MemoryLedger(on_facts=on_facts)
    ledger.open_account(RECORD)
    ledger.record(Change(RECORD, facts=[Fact("a", {}), Fact("b", {})]))
    ledger.record(Change(RECORD.at_version(1)))
    assert told == [(1, "a"), (1, "b")]


def test_change_of_an_attempt_that_lost_its_run_is_refused_whole() -> None:
    ledger = MemoryLedger(holds=lambda holder: holder.fence == 2)
    ledger.open_account(RECORD)
    with pytest.raises(FenceLost):
        ledger.record(Change(RECORD, holder=Holder("r", 1)))
    with pytest.raises(FenceLost):
        ledger.latch("main", "drawdown", Holder("r", 1), True, 0)
    assert ledger.account("main").version == 0
    assert ledger.record(Change(RECORD, holder=Holder("r", 2))) == 1
