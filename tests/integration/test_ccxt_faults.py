"""What goes wrong between here and an exchange, and what is true afterwards."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from closingbell.core.error import (
    BrokerError,
    BrokerNonsense,
    BrokerRejected,
    BrokerUnavailable,
)
from closingbell.core.order import OrderState, OrderType
from tests.exchange import fault
from tests.exchange.fault import Fault
from tests.exchange.server import KEY, SECRET, LocalExchange
from tests.integration.test_ccxt_broker import limit, make_order, opened

D = Decimal


def another_order(answer: bytes) -> bytes:
    """Return the same answer, about an order that nobody asked for."""
    return json.dumps({**json.loads(answer), "clientOrderId": "cbsomebodyelse1"}).encode()


def without_digits(answer: bytes) -> bytes:
    return json.dumps({**json.loads(answer), "executedQty": "many"}).encode()


def more_than_all(answer: bytes) -> bytes:
    return json.dumps({**json.loads(answer), "executedQty": "7.00000000"}).encode()


def infinite(answer: bytes) -> bytes:
    return answer.replace(b'"executedQty": "0.00000000"', b'"executedQty": Infinity')


def unheard_of(answer: bytes) -> bytes:
    return json.dumps({**json.loads(answer), "status": "PONDERING"}).encode()


def halved(answer: bytes) -> bytes:
    return answer[: len(answer) // 2]


ACCEPTED: dict[str, Fault] = {
    "silence": fault.silence(),
    "connection cut": fault.cut(),
    "error 503": fault.error(503, accepted=True),
    "error 500 with a page": fault.html(status=500),
    "a page": fault.html(),
    "nothing": fault.instead(b""),
    "half an answer": fault.instead(halved),
    "less than announced": Fault("POST order", accepted=True, content_length=10_000),
    "an empty list": fault.instead(b"[]"),
    "an empty object": fault.instead(b"{}"),
    "a number": fault.instead(b"7"),
    "wrong types": fault.instead(b'{"orderId":{"a":1},"clientOrderId":[1],"status":7}'),
    "words for numbers": fault.instead(without_digits),
    "more than all": fault.instead(more_than_all),
    "infinity": fault.instead(infinite),
    "a state unheard of": fault.instead(unheard_of),
    "another order": fault.instead(another_order),
}


@pytest.mark.parametrize("what", list(ACCEPTED))
def test_order_whose_answer_is_spoilt_is_found_and_not_sent_again(
    local_exchange: LocalExchange, what: str
) -> None:
    template = ACCEPTED[what]
    spoilt = local_exchange.fail(
        Fault(
            template.request,
            accepted=True,
            reset=template.reset,
            hold=template.hold,
            status=template.status,
            body=template.body,
            content_type=template.content_type,
            content_length=template.content_length,
        )
    )
    broker, order = local_exchange.broker(timeout_s=0.3), limit()

    with pytest.raises((BrokerUnavailable, BrokerNonsense)):
        broker.submit(order)
    found = broker.find(order)
    spoilt.release.set()

    assert found is not None
    assert found.state is OrderState.OPEN
    assert [o.client_id for o in local_exchange.orders] == [order.id]
    assert local_exchange.count("POST order") == 1


@pytest.mark.parametrize(
    "lost",
    [fault.lost, lambda: fault.error(500), lambda: fault.html(status=502, accepted=False)],
    ids=["connection", "error 500", "error 502"],
)
def test_order_that_never_arrived_is_known_to_be_absent_only_when_it_cannot_arrive_any_more(
    local_exchange: LocalExchange, lost: Callable[[], Fault]
) -> None:
    local_exchange.fail(lost())
    broker, order = local_exchange.broker(window_s=0.6, settle_s=0.2), limit()

    with pytest.raises(BrokerUnavailable):
        broker.submit(order)
    found = broker.find(order)

    assert found is None
    assert time.time_ns() // 1000 - order.updated_at >= 800_000
    assert local_exchange.orders == []


def test_request_that_was_stuck_beyond_its_window_is_refused_by_the_exchange(
    local_exchange: LocalExchange,
) -> None:
    stuck = local_exchange.fail(fault.stuck())
    broker = local_exchange.broker(timeout_s=0.2, window_s=0.6, settle_s=0.2)
    order = limit()

    with pytest.raises(BrokerUnavailable):
        broker.submit(order)
    assert broker.find(order) is None
    stuck.release.set()
    # The exchange reads what was held, one request after the other: this one comes later.
    settled = local_exchange.broker().open_orders()

    assert settled == []
    assert local_exchange.orders == []


def test_request_that_was_stuck_within_its_window_is_found(local_exchange: LocalExchange) -> None:
    stuck = local_exchange.fail(fault.stuck())
    broker, order = local_exchange.broker(timeout_s=0.2), limit()

    with pytest.raises(BrokerUnavailable):
        broker.submit(order)
    asked = threading.Event()

    def release_after_the_first_question() -> None:
        while not local_exchange.count("GET order"):
            asked.wait(0.01)
        stuck.release.set()

    helper = threading.Thread(target=release_after_the_first_question)
    helper.start()
    found = broker.find(order)
    helper.join()

    assert found is not None
    assert found.state is OrderState.OPEN


def test_order_that_was_stored_too_long_ago_is_not_sent(local_exchange: LocalExchange) -> None:
    stale = limit(updated_at=time.time_ns() // 1000 - 10_000_000)

    with pytest.raises(BrokerUnavailable, match="was not sent"):
        local_exchange.broker().submit(stale)

    assert local_exchange.count("POST order") == 0


def test_order_that_shows_only_after_a_second_is_found(local_exchange: LocalExchange) -> None:
    local_exchange.books.lag_s = 1.0
    local_exchange.fail(fault.cut())
    broker, order = local_exchange.broker(), make_order()

    with pytest.raises(BrokerUnavailable):
        broker.submit(order)
    found = broker.find(order)

    assert found is not None
    assert found.state is OrderState.FILLED
    assert local_exchange.count("GET order") > 1


def test_end_of_an_order_is_told_with_its_trades_and_not_before(
    local_exchange: LocalExchange,
) -> None:
    broker, order = local_exchange.broker(), make_order()
    order = opened(order, broker.submit(order).broker_id)
    (trade,) = local_exchange.books.trades
    trade.visible_at = time.monotonic() + 3600

    early = broker.activity([order], {})
    trade.visible_at = 0
    late = broker.activity([order], early.sync)

    assert (early.executions, early.reports) == ([], [])
    assert [t.quantity for t in late.executions] == [D("0.1")]
    assert [r.state for r in late.reports] == [OrderState.FILLED]


def test_trade_that_is_told_twice_in_one_answer_is_one_trade(local_exchange: LocalExchange) -> None:
    broker, order = local_exchange.broker(), make_order()
    order = opened(order, broker.submit(order).broker_id)
    twice = fault.instead(lambda lines: json.dumps(json.loads(lines) * 2).encode(), "GET myTrades")
    local_exchange.fail(twice)

    news = broker.activity([order], {})

    assert len(news.executions) == 1


def test_answer_of_an_earlier_request_is_not_taken_for_this_one(
    local_exchange: LocalExchange,
) -> None:
    broker = local_exchange.broker()
    earlier: list[bytes] = []

    def keep(answer: bytes) -> bytes:
        earlier.append(answer)
        return answer

    local_exchange.fail(fault.instead(keep))
    broker.submit(limit(1, quantity="0.01"))
    local_exchange.fail(fault.instead(lambda _: earlier[0]))

    with pytest.raises(BrokerNonsense, match="it told about order"):
        broker.submit(limit(2, quantity="0.01"))


def test_answer_that_comes_twice_is_not_taken_for_the_next_one(
    local_exchange: LocalExchange,
) -> None:
    broker = local_exchange.broker()
    orders = [limit(number, quantity="0.01") for number in range(1, 4)]
    local_exchange.fail(Fault("POST order", accepted=True, twice=True, times=3))

    reports: list[Any] = []
    for order in orders:
        try:
            reports.append(broker.submit(order))
        except BrokerNonsense:
            reports.append(broker.find(order))

    assert [report.order_id for report in reports] == [order.id for order in orders]
    assert [report.broker_id for report in reports] == [str(o.id) for o in local_exchange.orders]
    assert broker.balances() == {"USDT": D(10_000)}


@pytest.mark.parametrize(
    "line",
    [
        {"price": "0"},
        {"qty": "-1"},
        {"qty": "NaN"},
        {"time": None},
        {"id": None},
        {"commission": "much"},
    ],
    ids=str,
)
def test_trade_that_cannot_be_right_is_refused_and_nothing_is_booked(
    local_exchange: LocalExchange, line: dict[str, Any]
) -> None:
    broker, order = local_exchange.broker(), make_order()
    order = opened(order, broker.submit(order).broker_id)

    def bend(answer: bytes) -> bytes:
        return json.dumps([{**told, **line} for told in json.loads(answer)]).encode()

    local_exchange.fail(Fault("GET myTrades", accepted=True, body=bend, times=2))

    with pytest.raises(BrokerNonsense):
        broker.activity([order], {})


@pytest.mark.parametrize(
    ("request_name", "ask"),
    [
        ("GET account", lambda broker: broker.balances()),
        ("GET openOrders", lambda broker: broker.open_orders()),
        ("GET openOrders", lambda broker: broker.activity([limit()], {})),
        ("GET ticker/24hr", lambda broker: broker.quote("BTC/USDT")),
        ("GET myTrades", lambda broker: broker.trades(["BTC/USDT"], 0)),
        ("GET exchangeInfo", lambda broker: broker.balances()),
        ("DELETE order", lambda broker: broker.cancel(limit())),
    ],
    ids=["balances", "open", "activity", "price", "trades", "markets", "cancel"],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[[[", b'"x"', b"[1,2]", b'{"a":[]}'], ids=str)
def test_question_with_an_answer_that_makes_no_sense_is_an_error_of_the_broker(
    local_exchange: LocalExchange,
    request_name: str,
    ask: Callable[[Any], object],
    body: bytes,
) -> None:
    broker = local_exchange.broker(window_s=0.1, settle_s=0.0)
    local_exchange.fail(Fault(request_name, body=body, times=9))

    try:
        answer = ask(broker)
    except BrokerError:
        return
    # A cancellation may also ask what became of the order instead.
    assert request_name == "DELETE order" or answer in ({}, [], None)


# --- too often, at the wrong time ------------------------------------------------------------


def test_exchange_that_wants_a_pause_gets_it_and_then_the_order(
    local_exchange: LocalExchange,
) -> None:
    local_exchange.fail(fault.throttled("1"))
    broker, order = local_exchange.broker(window_s=5.0), limit()
    start = time.monotonic()

    report = broker.submit(order)

    assert report.state is OrderState.OPEN
    assert time.monotonic() - start >= 1.0
    assert len(local_exchange.orders) == 1


def test_exchange_that_wants_a_long_pause_is_left_alone_by_everybody(
    local_exchange: LocalExchange,
) -> None:
    local_exchange.fail(fault.throttled("120", status=418))
    first, second = (local_exchange.broker(rate="1200/1m@banned") for _ in range(2))

    with pytest.raises(BrokerUnavailable, match="asked again in"):
        first.submit(limit())
    before = len(local_exchange.requests)
    with pytest.raises(BrokerUnavailable, match="nothing was sent"):
        second.balances()

    assert len(local_exchange.requests) == before


def test_clock_that_differs_is_compared_once_and_the_order_sent_again(
    local_exchange: LocalExchange,
) -> None:
    local_exchange.skew_ms = 90_000
    broker, order = local_exchange.broker(), limit()

    report = broker.submit(order)
    broker.balances()

    assert report.state is OrderState.OPEN
    assert local_exchange.count("GET time") == 1
    assert len(local_exchange.orders) == 1


def test_clock_that_cannot_be_made_right_is_an_error_and_not_a_loop(
    local_exchange: LocalExchange,
) -> None:
    local_exchange.skew_ms = 90_000
    local_exchange.fail(Fault("GET time", body=b'{"serverTime": 1000}', times=9))

    with pytest.raises(BrokerUnavailable):
        local_exchange.broker().submit(limit())

    assert local_exchange.orders == []
    assert local_exchange.count("POST order") == 2


def test_exchange_that_forgets_closed_ids_takes_no_second_order_from_us(
    local_exchange: LocalExchange,
) -> None:
    """The guard is ours: this exchange would fill the same id twice."""
    local_exchange.books.refuses_duplicates = False
    local_exchange.books.lag_s = 0.5
    local_exchange.fail(fault.cut())
    broker, order = local_exchange.broker(), make_order(type=OrderType.MARKET)

    with pytest.raises(BrokerUnavailable):
        broker.submit(order)
    found = broker.find(order)

    assert found is not None
    assert local_exchange.total("BTC") == D("0.0999")


# --- what nobody may see -----------------------------------------------------------------------


def test_keys_and_signatures_are_in_no_error_no_log_and_no_repr(
    local_exchange: LocalExchange, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    broker = local_exchange.broker(timeout_s=0.2, window_s=0.1, settle_s=0.0)
    shown = [repr(broker), str(broker.kind)]
    echo = f'{{"code":-1022,"msg":"bad {KEY} and {SECRET}"}}'.encode()
    for broken in (
        fault.silence("GET account"),
        fault.cut("GET account"),
        Fault("GET account", status=400, body=echo),
        Fault("GET account", status=404, body=b"gone"),
        fault.html("GET account", status=403),
        Fault("GET account", body=b'{"balances": [{"asset": "BTC", "free": "x"}]}'),
    ):
        local_exchange.fail(broken)
        with pytest.raises(BrokerError) as caught:
            broker.balances()
        broken.release.set()
        shown += [str(caught.value), repr(caught.value.fields)]
        shown.append("".join(traceback.format_exception(caught.value)))
    logged = [record.getMessage() for record in caplog.records if record.name != "urllib3"]

    for text in shown:
        assert SECRET not in text
        assert KEY not in text
        assert "signature=" not in text
    for text in logged:
        assert SECRET not in text
        assert KEY not in text


def test_wrong_key_is_refused_and_says_so(local_exchange: LocalExchange) -> None:
    with pytest.raises(BrokerRejected, match="Invalid API-key"):
        local_exchange.broker(key="another").submit(limit())
    with pytest.raises(BrokerRejected, match="Signature"):
        local_exchange.broker(secret="another").submit(limit())
    with pytest.raises(BrokerRejected, match="apiKey"):
        local_exchange.broker(key=None, secret=None).submit(limit())


def test_account_of_a_stopped_exchange_is_unavailable() -> None:
    with LocalExchange() as exchange:
        broker = exchange.broker(timeout_s=0.5)
        broker.balances()

    with pytest.raises(BrokerUnavailable):
        broker.balances()
