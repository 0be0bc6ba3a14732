from __future__ import annotations

import enum
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel

from closingbell.core.error import PayloadMismatch, TaskDefinitionError
from closingbell.executor.binding import Binding
from tests.unit.executor.calls import Outcomes


class Side(enum.Enum):
    BUY = "buy"
    SELL = "sell"


@dataclass
class Order:
    symbol: str
    quantity: Decimal


class Limits(BaseModel):
    gross: float
    names: list[str] = []


class LiveClient:
    """Nothing that JSON could hold."""


def problems(handler: Any, payload: dict[str, Any]) -> list[str]:
    with pytest.raises(PayloadMismatch) as caught:
        Binding("t", handler).check(payload)
    assert caught.value.task == "t"
    return caught.value.problems


def bound(handler: Any, payload: dict[str, Any]) -> Any:
    args, kwargs = Binding("t", handler).arguments(payload, None, "the algorithm")
    return handler(*args, **kwargs)


# --- who gets what ---------------------------------------------------------------------


def test_a_parameter_named_payload_gets_the_whole_payload() -> None:
    def handler(payload, limit=3):  # type: ignore[no-untyped-def]
        return payload, limit

    assert bound(handler, {"limit": 5, "x": 1}) == ({"limit": 5, "x": 1}, 5)


def test_the_only_bare_parameter_gets_the_whole_payload_whatever_its_name() -> None:
    def bare(data):  # type: ignore[no-untyped-def]
        return data

    def mapping(event: Mapping[str, Any] | None = None) -> Any:
        return event

    for handler in (bare, mapping):
        assert bound(handler, {"x": 1}) == {"x": 1}
        assert bound(handler, {}) == {}


def test_a_field_of_the_bare_parameters_name_is_bound_by_name() -> None:
    def bare(data):  # type: ignore[no-untyped-def]
        return data

    def mapping(data: dict[str, Any]) -> Any:
        return data

    assert bound(bare, {"data": 5}) == 5
    assert bound(mapping, {"data": {"x": 1}}) == {"x": 1}
    assert bound(mapping, {"data": 5}) == {"data": 5}
    assert bound(bare, {"data": 5, "more": 6}) == {"data": 5, "more": 6}


def test_an_annotated_or_defaulted_single_parameter_is_a_field() -> None:
    def typed(symbol: str) -> str:
        return symbol

    def defaulted(limit=3):  # type: ignore[no-untyped-def]
        return limit

    assert bound(typed, {"symbol": "AAPL"}) == "AAPL"
    assert bound(defaulted, {}) == 3
    assert problems(typed, {}) == ["'symbol' is missing"]


def test_a_task_objects_run_gets_the_algorithm_and_its_fields() -> None:
    class RiskScan:
        def run(self, algorithm: object, threshold: float = 1.5) -> tuple[object, float]:
            return algorithm, threshold

    binding = Binding("t", RiskScan().run)
    assert binding.needs_algorithm
    assert not binding.needs_context
    assert bound(RiskScan().run, {}) == ("the algorithm", 1.5)
    assert bound(RiskScan().run, {"threshold": 2}) == ("the algorithm", 2.0)


def test_the_context_of_the_call_is_handed_over() -> None:
    def handler(context, symbol):  # type: ignore[no-untyped-def]
        return context, symbol

    call = Outcomes().call(handler)
    binding = Binding("t", handler)
    assert binding.needs_context
    assert binding.arguments({"symbol": "X"}, call, None)[1]["context"] is call.context


def test_the_context_is_not_made_for_a_handler_without_one() -> None:
    def handler(payload):  # type: ignore[no-untyped-def]
        return payload

    call = Outcomes().call(handler)
    Binding("t", handler).arguments({}, call, None)
    assert not call.has_context


def test_positional_only_and_keyword_only_parameters_and_the_rest_are_filled() -> None:
    def handler(a, b=2, /, c=3, *, d, **rest):  # type: ignore[no-untyped-def]
        return a, b, c, d, rest

    assert bound(handler, {"a": 1, "d": 4, "x": 5}) == (1, 2, 3, 4, {"x": 5})


def test_select_gives_a_float_to_who_asks_for_one_of_decimal_text() -> None:
    """The desk's amounts travel as decimal text."""

    def handler(
        change: float, value: Decimal, symbol: str, price: float | None, count: int, side: object
    ) -> None: ...

    event = {
        "change": "-12.50",
        "value": "0.10",
        "symbol": "600519",
        "price": "7",
        "count": "3",
        "side": "1",
    }

    assert Binding("t", handler).select(event) == {**event, "change": -12.5, "price": 7.0}


def test_select_keeps_what_the_handler_takes() -> None:
    def fields(symbol: str, limit: int = 1) -> None: ...
    def whole(payload: dict[str, Any]) -> None: ...
    def rest(symbol: str, **others: Any) -> None: ...

    event = {"symbol": "X", "venue": "XNYS"}
    assert Binding("t", fields).select(event) == {"symbol": "X"}
    assert Binding("t", whole).select(event) == event
    assert Binding("t", rest).select(event) == event


def test_a_handler_without_a_signature_is_refused() -> None:
    with pytest.raises(TaskDefinitionError, match="no signature"):
        Binding("t", type("Opaque", (), {"__call__": 5})())


# --- what does not fit -------------------------------------------------------------------


def test_every_problem_is_named_in_its_own_sentence() -> None:
    def handler(symbol: str, quantity: int, venue: str = "XNYS") -> None: ...

    assert problems(handler, {"symbl": "AAPL", "quantity": "5"}) == [
        "'symbol' is missing",
        "'quantity' should be int, was the str '5'",
        "'symbl' is no parameter of the handler: did you mean 'symbol'?",
    ]


def test_a_handler_without_fields_takes_none() -> None:
    def handler(algorithm: Any) -> None: ...

    assert problems(handler, {"x": 1}) == [
        "'x' is no parameter of the handler: the handler takes no fields"
    ]


def test_a_supplied_name_cannot_be_given() -> None:
    def handler(algorithm: Any, limit: int = 1) -> None: ...

    assert problems(handler, {"algorithm": 1}) == [
        "'algorithm' is supplied by closingbell and cannot be given"
    ]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "5"),
        (int, 5.0),
        (int, True),
        (float, "1.5"),
        (float, True),
        (bool, 1),
        (str, 5),
        (str, None),
        (list[int], [1, "2"]),
        (dict[str, float], {"a": "1"}),
        (int | None, "5"),
        (date, "2024-13-01"),
        (date, 5),
        (datetime, 17_000),
        (Decimal, "much"),
        (UUID, "no"),
        (Side, "hold"),
        (Literal["a", "b"], "c"),
        (Order, {"symbol": "X"}),
        (Limits, {"gross": "lots"}),
        (tuple[int, str], [1, 2]),
    ],
)
def test_a_value_of_another_type_is_refused(annotation: Any, value: Any) -> None:
    def handler(field, other=1):  # type: ignore[no-untyped-def]
        return field

    handler.__annotations__["field"] = annotation
    (problem,) = problems(handler, {"field": value})
    assert problem.startswith("'field' ")


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (float, 5, 5.0),
        (int | float, 5, 5),
        (int | None, None, None),
        (list[float], [1, 2.5], [1.0, 2.5]),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (date, "2024-01-31", date(2024, 1, 31)),
        (date | None, "2024-01-31", date(2024, 1, 31)),
        (datetime, "2024-01-31T10:00:00", datetime(2024, 1, 31, 10)),  # noqa: DTZ001
        (timedelta, "PT5M", timedelta(minutes=5)),
        (Decimal, "1.10", Decimal("1.10")),
        (Decimal, 1.5, Decimal("1.5")),
        (Side, "buy", Side.BUY),
        (Literal["a", "b"], "a", "a"),
        (set[int], [1, 2], {1, 2}),
        (tuple[int, str], [1, "a"], (1, "a")),
        (Order, {"symbol": "X", "quantity": "2.5"}, Order("X", Decimal("2.5"))),
        (Limits, {"gross": 2}, Limits(gross=2.0)),
        (list[Order], [{"symbol": "X", "quantity": "1"}], [Order("X", Decimal(1))]),
        ("date", "2024-01-31", date(2024, 1, 31)),
        ("NotImportedHere", "anything", "anything"),
    ],
)
def test_a_fitting_value_arrives_as_the_annotated_type(
    annotation: Any, value: Any, expected: Any
) -> None:
    def handler(field, other=1):  # type: ignore[no-untyped-def]
        return field

    handler.__annotations__["field"] = annotation
    received = bound(handler, {"field": value})
    assert received == expected
    assert type(received) is type(expected)


def test_the_whole_payload_can_be_a_model() -> None:
    def handler(payload: Limits) -> Limits:
        return payload

    assert bound(handler, {"gross": 1}) == Limits(gross=1.0)
    (problem,) = problems(handler, {"gross": "x"})
    assert problem.startswith("'payload' ['gross'] should be Limits")


def test_a_live_object_cannot_be_required_but_may_have_a_default() -> None:
    def requires(client: LiveClient, symbol: str) -> None: ...
    def defaults(symbol: str, client: LiveClient | None = None) -> None: ...

    with pytest.raises(TaskDefinitionError, match="'client': no JSON value can fill"):
        Binding("t", requires).check({"symbol": "X"})
    Binding("t", defaults).check({"symbol": "X"})
    assert problems(defaults, {"symbol": "X", "client": 1}) == [
        "'client' is no parameter of the handler: expected 'symbol'"
    ]


# --- what a form needs ---------------------------------------------------------------------


def test_parameters_describe_the_fields_of_a_form() -> None:
    def handler(
        algorithm: Any, symbol: str, side: Side = Side.BUY, size: list[int] | None = None
    ) -> None:
        """Trade.

        Args:
            algorithm: the trading object.
            symbol: what to trade,
                over several lines.
            size (list): how much.
        """

    symbol, side, size = Binding("t", handler).parameters
    assert (symbol.name, symbol.type, symbol.required) == ("symbol", "str", True)
    assert symbol.help == "what to trade,"
    assert (side.default, side.choices, side.required) == (Side.BUY, ("buy", "sell"), False)
    assert (size.type, size.help) == ("list[int] or None", "how much.")


def test_plain_types_are_bound_without_pydantic() -> None:
    code = (
        "import sys\n"
        "from closingbell.executor.binding import Binding\n"
        "def h(a: int, b: 'list[float]', c: str | None = None): pass\n"
        "Binding('t', h).check({'a': 1, 'b': [1]})\n"
        "assert 'pydantic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
