"""What a task says about its account and its restraint."""

from __future__ import annotations

from typing import Any

import pytest

from closingbell.core.error import TaskDefinitionError
from closingbell.task import define


def _run(algorithm: Any) -> None: ...


@pytest.mark.parametrize(
    ("name", "tags", "given", "once"),
    [
        ("risk_manager", [], None, True),
        ("risk_scan", [], None, True),
        ("RiskManager", [], None, True),
        ("check-risk", [], None, True),
        ("VaRRisk", [], None, True),
        ("asterisk", [], None, False),
        ("risky_business", [], None, False),
        ("rebalance", ["Risk"], None, True),
        ("rebalance", ["equities"], None, False),
        ("risk_manager", [], False, False),
        ("rebalance", [], True, True),
    ],
)
def test_once_per_breach_is_on_for_tasks_with_the_word_risk_unless_told_otherwise(
    name: str, tags: list[str], given: bool | None, once: bool
) -> None:
    options: Any = {"tags": tags} if given is None else {"tags": tags, "once_per_breach": given}

    assert define(_run, name, options, "UTC").once_per_breach is once


def test_account_of_a_task_is_main_unless_it_names_one() -> None:
    assert define(_run, "task", {}, "UTC").account == "main"
    assert define(_run, "task", {"account": "crypto"}, "UTC").account == "crypto"


@pytest.mark.parametrize("options", [{"account": ""}, {"account": 5}, {"once_per_breach": "yes"}])
def test_trading_option_that_cannot_be_meant_is_refused(options: Any) -> None:
    with pytest.raises(TaskDefinitionError, match=next(iter(options))):
        define(_run, "task", options, "UTC")
