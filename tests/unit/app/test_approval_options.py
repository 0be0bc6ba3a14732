"""The options `approval` and `masked` of a task."""

from __future__ import annotations

from typing import Any

import pytest

from closingbell import Task, create_app
from closingbell.core.error import TaskDefinitionError
from closingbell.task import define


def handler(api_key: str = "", account: str = "") -> None: ...


def test_options_reach_the_definition() -> None:
    task = define(handler, "t", {"approval": "two-person", "masked": ["a.b", "c", "c"]}, "UTC")
    assert (task.approval, task.hold, task.masked) == ("two-person", "approval", ("a.b", "c"))
    plain = define(handler, "t", {"approval": None, "masked": "c"}, "UTC")
    assert (plain.approval, plain.hold, plain.masked) == (None, None, ("c",))


def test_class_and_decorator_take_them_too() -> None:
    class Sale(Task):
        def run(self, algorithm: Any) -> None: ...

    app = create_app()
    app.add_task(Sale("sale", approval="two-person"))
    app.task(approval="two-person", name="other")(handler)
    assert [app.registry.resolve(name).hold for name in ("sale", "other")] == ["approval"] * 2


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"approval": "two"}, "expected 'two-person' or None"),
        ({"approval": True}, "expected 'two-person' or None"),
        ({"approval": ["two-person"]}, "expected 'two-person' or None"),
        ({"masked": 5}, "masked"),
        ({"masked": [""]}, "masked"),
        ({"masked": ["a..b"]}, "expected a payload field"),
        ({"masked": [None]}, "masked"),
        ({"masked": ["account.secret"], "key": "{account}"}, "'account', which is masked"),
        ({"masked": ["api_key"], "key": "{api_key[0]}"}, "'api_key', which is masked"),
    ],
)
def test_options_that_cannot_work_are_refused_where_they_are_given(
    options: Any, advice: str
) -> None:
    with pytest.raises(TaskDefinitionError, match=advice.replace("[", r"\[")):
        define(handler, "t", options, "UTC")
