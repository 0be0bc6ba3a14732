"""Soundness: whether what a broker says can be. Pure functions.

Each raises `BrokerNonsense` with what was told, where it cannot be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

from closingbell.core.bar import Quote
from closingbell.core.error import BrokerError, BrokerNonsense
from closingbell.core.order import Order, OrderState
from closingbell.trading.broker.protocol import Activity, Execution, Match, OrderReport

#: Beyond it sums are not exact any more.
_LARGEST = Decimal("1e15")
#: Nothing is traded in smaller parts.
_MOST_DECIMALS = 18
#: The year 9999, in microseconds since the epoch.
_LAST_INSTANT = 253_000_000_000_000_000


def sound_report(kind: str, answer: Any, order: Order | None = None) -> OrderReport:
    """Return an answer that is a report of an order: of `order`, where it is given."""
    if not isinstance(answer, OrderReport) or not isinstance(answer.state, OrderState):
        raise BrokerNonsense(kind, f"the answer {answer!r} says nothing of an order")
    what = f"the report of order {answer.order_id}"
    if _amount(kind, what, "filled", answer.filled) < 0:
        raise BrokerNonsense(kind, f"{what} says that {answer.filled} have traded")
    for name in ("order_id", "broker_id", "symbol", "reason"):
        _text(kind, what, name, getattr(answer, name))
    if order is not None and answer.order_id not in (None, order.id):
        raise BrokerNonsense(kind, f"asked for order {order.id} it tells of {answer.order_id}")
    return answer


def sound_activity(kind: str, answer: Any) -> Activity:
    """Return an answer that tells what happened."""
    if not isinstance(answer, Activity):
        raise BrokerNonsense(kind, f"the answer {answer!r} tells no trades")
    executions = [sound_execution(kind, one) for one in sound_list(kind, answer.executions)]
    reports = [sound_report(kind, one) for one in sound_list(kind, answer.reports)]
    if not isinstance(answer.sync, Mapping):
        raise BrokerNonsense(kind, f"its sync is {answer.sync!r}: expected a mapping")
    try:
        sync = json.loads(json.dumps(dict(answer.sync), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as problem:
        raise BrokerNonsense(kind, f"its sync cannot be kept as JSON: {problem}") from problem
    return Activity(executions, reports, sync)


def sound_execution(kind: str, told: Any) -> Execution:
    """Return a trade whose parts are what they should be; how much it trades is the order's to say."""
    if not isinstance(told, Execution):
        raise BrokerNonsense(kind, f"{told!r} is no trade")
    what = f"a trade of order {told.order_id!r}"
    for name in ("order_id", "fee_currency", "external_id", "note"):
        _text(kind, what, name, getattr(told, name))
    if type(told.at) is not int or not 0 <= told.at <= _LAST_INSTANT:
        raise BrokerNonsense(kind, f"{what} is at {told.at!r}: expected microseconds")
    for name in ("quantity", "price", "fee"):
        _amount(kind, what, name, getattr(told, name))
    return told


def sound_quote(kind: str, symbol: str, told: Any) -> Quote | None:
    """Return a price that can be; None for one that is not above 0."""
    if not isinstance(told, Quote) or told.symbol != symbol or type(told.at) is not int:
        raise BrokerNonsense(kind, f"the answer {told!r} is no price of {symbol}")
    price: Any = told.price
    if isinstance(price, Decimal) and not price.is_finite():
        return None
    _amount(kind, f"a price of {symbol}", "price", price)
    return told if price > 0 and 0 <= told.at <= _LAST_INSTANT else None


def sound_balances(kind: str, told: Any) -> Mapping[str, Decimal]:
    """Return amounts by currency or symbol."""
    if not isinstance(told, Mapping):
        raise BrokerNonsense(kind, f"the answer {told!r} tells no balances")
    for name, amount in told.items():
        _text(kind, "a balance", "currency", name)
        _amount(kind, "a balance", str(name), amount)
    return told


def sound_fit(kind: str, order: Order, fitted: Any) -> Order:
    """Return an order as a broker can take it; only amounts and prices may be others."""
    if not isinstance(fitted, Order):
        raise BrokerNonsense(kind, f"of order {order.id} it made {fitted!r}")
    for name in ("id", "account", "symbol", "side", "type", "state", "filled", "run_id", "ordinal"):
        if getattr(fitted, name) != getattr(order, name):
            raise BrokerNonsense(kind, f"it made another {name} of order {order.id}")
    what = f"order {order.id} as it can be taken"
    for name in ("quantity", "limit_price", "stop_price"):
        amount = getattr(fitted, name)
        if (amount is None) != (getattr(order, name) is None):
            raise BrokerNonsense(kind, f"{what} has another {name}: {amount}")
        if amount is not None and _amount(kind, what, name, amount) <= 0:
            raise BrokerNonsense(kind, f"{what} has the {name} {amount}")
    return fitted


def sound_list(kind: str, told: Any) -> list[Any]:
    """Return what a broker lists."""
    if isinstance(told, str | Mapping):
        raise BrokerNonsense(kind, f"the answer {told!r} is no list")
    try:
        return list(told)
    except TypeError:
        raise BrokerNonsense(kind, f"the answer {told!r} is no list") from None


def as_broker_error(kind: str, problem: Exception) -> BrokerError:
    """Return what a broker raised as an error of ours; the cause stays with it."""
    if isinstance(problem, BrokerError):
        return problem
    return BrokerNonsense(kind, f"{type(problem).__name__}: {problem}")


def sound_match(kind: str, told: Any) -> Match:
    """Return what a matching broker made of an order; a trade in it is looked at when it is booked."""
    if not isinstance(told, Match):
        raise BrokerNonsense(kind, f"the answer {told!r} says nothing of an order")
    if told.execution is not None:
        sound_execution(kind, told.execution)
    return told


def check_execution(kind: str, order: Order, execution: Execution) -> None:
    """Refuse a trade that an order cannot have made; nothing of the answer is booked then.

    Raises:
        BrokerNonsense: why.
    """
    quantity, price, fee = execution.quantity, execution.price, execution.fee
    if execution.order_id != order.id:
        raise BrokerNonsense(kind, f"order {order.id} would trade for order {execution.order_id}")
    if quantity <= 0 or price <= 0:
        raise BrokerNonsense(
            kind, f"a trade of order {order.id} says {quantity} at {price}, fee {fee}"
        )
    if order.filled + quantity > order.quantity:
        raise BrokerNonsense(
            kind,
            f"order {order.id} of {order.quantity} would have traded {order.filled + quantity}",
        )


def _amount(kind: str, what: str, name: str, told: Any) -> Decimal:
    if not isinstance(told, Decimal):
        raise BrokerNonsense(kind, f"{what}: {name} is {told!r}: expected a Decimal")
    if not told.is_finite():
        raise BrokerNonsense(kind, f"{what} has amounts that are no numbers: {name} is {told}")
    exponent = cast(int, told.as_tuple().exponent)
    if abs(told) > _LARGEST or exponent < -_MOST_DECIMALS:
        raise BrokerNonsense(kind, f"{what}: {name} is {told}: no market has such amounts")
    return told


def _text(kind: str, what: str, name: str, told: Any) -> None:
    if told is not None and (not isinstance(told, str) or "\x00" in told):
        raise BrokerNonsense(kind, f"{what}: {name} is {told!r}: expected text")
