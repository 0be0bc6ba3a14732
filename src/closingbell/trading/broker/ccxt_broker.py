"""CcxtBroker: an account at a real exchange, over ccxt (the extra closingbell[ccxt]).

No order is sent twice by mistake:

- Every order carries its client id, and the exchange is asked for that id when an answer is lost.
- An order may be accepted only within `window_s` of the instant at which it was stored
  (`Order.updated_at`). Later it is not sent; and where the exchange checks a request's timestamp
  the stored instant is the one that is signed, so that a request that got stuck on its way is
  refused by the exchange itself.
- "The exchange never had it" is therefore believed only when that window and `settle_s` more are
  over: nothing can arrive any more, and what did arrive is visible.
- A client id that the exchange reports as taken means that it has the order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from closingbell.core.amount import ZERO
from closingbell.core.bar import Quote
from closingbell.core.clock import Clock, SystemClock
from closingbell.core.error import (
    BrokerError,
    BrokerNonsense,
    BrokerRejected,
    BrokerUnavailable,
    SettingError,
)
from closingbell.core.limit import Rate
from closingbell.core.order import Order, OrderState, OrderType, Side
from closingbell.trading.broker.ccxt_answer import MILLISECOND, CcxtAnswers, plain, text
from closingbell.trading.broker.ccxt_budget import Budget
from closingbell.trading.broker.ccxt_client import AlreadyThere, CcxtClient, NotListed
from closingbell.trading.broker.ccxt_precision import fitted
from closingbell.trading.broker.ccxt_trades import PAGE, CcxtTrades
from closingbell.trading.broker.protocol import Activity, Broker, Execution, OrderReport

#: Exchanges whose `fetchOrder` and `cancelOrder` take a client id in place of their own id.
ASKED_BY_CLIENT_ID = frozenset({"binance", "binanceus", "bitget", "mexc", "okx", "phemex"})
#: Exchanges that take `timestamp` and `recvWindow` with an order, and refuse it outside of them.
SIGNS_THE_INSTANT = frozenset({"binance", "binanceus"})

# How far before an order's own instant its trades are looked for: clocks differ.
_OVERLAP_MS = 60_000
_LONGEST_WAIT_S = 60
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5


class CcxtBroker(Broker):
    """An account at an exchange.

    Attributes:
        name: ccxt's name of the exchange.
        kind: "ccxt:binance", or "ccxt:binance:sandbox": a ledger of play money is never taken
            over by an account of real money.
        mode: "live", or "paper" in the sandbox.
    """

    def __init__(
        self,
        exchange: str,
        *,
        key: str | None = None,
        secret: str | None = None,
        password: str | None = None,
        uid: str | None = None,
        sandbox: bool = True,
        options: Mapping[str, Any] | None = None,
        rate: str | Rate | None = None,
        base_url: str | None = None,
        clock: Clock | None = None,
        timeout_s: float = 10.0,
        window_s: float = 5.0,
        settle_s: float = 3.0,
        patience_s: float = 10.0,
    ) -> None:
        """Prepare the account; nothing is sent yet.

        Args:
            exchange: ccxt's name of it, such as "binance".
            key: the API key; without one only prices can be asked.
            secret: that belongs to the key.
            password: where the exchange wants one too.
            uid: where the exchange wants one.
            sandbox: its test network. Real money is traded only with sandbox=False.
            options: of the exchange, as ccxt knows them.
            rate: how many units of ccxt's cost may be asked in a while, and the bucket that is
                shared with all who name it in this process, as in "1200/1m@binance"; default
                what ccxt takes the exchange to allow, in a bucket of the exchange's name.
            base_url: another address than the exchange's own.
            clock: the app's, when that is not the machine's.
            timeout_s: for one request.
            window_s: how long after it was stored an order may be accepted.
            settle_s: after which the exchange shows everything that it accepted.
            patience_s: longest wait for the rate limit, ours or the exchange's, before a
                request is given up.

        Raises:
            SettingError: ccxt is missing, or an argument is impossible.
        """
        if sandbox is not True and sandbox is not False:
            raise SettingError("sandbox", sandbox, "True, or False to trade real money")
        for name, seconds in (("timeout_s", timeout_s), ("window_s", window_s)):
            if not 0 < seconds <= _LONGEST_WAIT_S:
                raise SettingError(name, seconds, f"seconds above 0, at most {_LONGEST_WAIT_S}")
        self._clock = clock or SystemClock()
        self._client = CcxtClient(
            exchange,
            credentials={"apiKey": key, "secret": secret, "password": password, "uid": uid},
            sandbox=sandbox,
            options=options or {},
            base_url=base_url,
            timeout_s=timeout_s,
        )
        self._has: Mapping[str, Any] = self._client.api.has
        self._by_client_id = exchange in ASKED_BY_CLIENT_ID
        self._signs_the_instant = exchange in SIGNS_THE_INSTANT
        if not (self._has.get("fetchMyTrades") or self._has.get("fetchOrderTrades")):
            raise SettingError("exchange", exchange, "one that tells its trades")
        if not (
            self._by_client_id or self._has.get("fetchClosedOrders") or self._has.get("fetchOrders")
        ):
            raise SettingError(
                "exchange", exchange, "one that can be asked for an order by the id we give it"
            )
        self._window_s = window_s
        self._settle_s = settle_s
        declared = Rate.parse(rate or f"{self._client.units_per_minute}/1m@{exchange}")
        if declared.bucket is None:
            declared = Rate(declared.limit, declared.per, exchange)
        self._budget = Budget(declared, self._clock, patience_s)
        self._client.limit(self._budget)
        self._answers = CcxtAnswers(exchange)
        self._trades = CcxtTrades(self._client, self._answers)
        self.name = exchange
        self.kind = f"ccxt:{exchange}:sandbox" if sandbox else f"ccxt:{exchange}"
        self.mode = "paper" if sandbox else "live"

    def __repr__(self) -> str:
        return f"CcxtBroker({self.name!r}, sandbox={self.mode == 'paper'})"

    # --- orders ------------------------------------------------------------------------------

    def fit(self, order: Order) -> Order:
        self._kind(order)
        market = self._client.call(lambda api: api.market(order.symbol))
        return fitted(order, market, self._client.precision_mode, self._answers)

    def submit(self, order: Order) -> OrderReport:
        sent = self.fit(order)
        kind, params = self._kind(sent)
        params["clientOrderId"] = order.id

        def place(api: Any) -> OrderReport:
            age_s = self._age_s(order)
            if not -self._window_s <= age_s <= self._window_s:
                raise BrokerUnavailable(
                    self.name,
                    f"order {order.id} was not sent: it was stored {age_s:.1f} s ago, and may be "
                    f"accepted for {self._window_s:g} s; store it again right before it is sent, "
                    "and give the broker the clock that the desk has",
                )
            if self._signs_the_instant:
                params["timestamp"] = self._client.now_ms() - int(age_s * 1000)
                params["recvWindow"] = int(self._window_s * 1000)
            quantity, price = plain(sent.quantity), plain(sent.limit_price)
            answer = api.create_order(order.symbol, kind, order.side.value, quantity, price, params)
            if text(answer, "status") is None and text(answer, "id") is not None:
                # Some exchanges answer with the id alone.
                answer = {**answer, "clientOrderId": order.id, "status": "open", "filled": None}
            return self._answers.report(answer, order)

        try:
            report = self._client.call(place)
        except AlreadyThere as problem:
            found = self.find(order)
            if found is None:
                raise BrokerNonsense(
                    self.name,
                    f"it says that it has order {order.id}, and cannot find it: {problem}",
                ) from None
            return found
        except NotListed as problem:
            raise BrokerRejected(self.name, str(problem)) from None
        if sent is not order:
            return report._replace(
                reason=f"sent as {plain(sent.quantity)}, in the exchange's steps"
            )
        return report

    def _kind(self, order: Order) -> tuple[str, dict[str, Any]]:
        """Return ccxt's type of an order, and what else it must be told."""
        if order.time_in_force == "day":
            raise BrokerRejected(self.name, "it has no sessions; place the order as 'gtc'")
        api = self._client.api
        rules = ((api.features or {}).get("spot") or {}).get("createOrder") or {}
        if order.type is OrderType.MARKET:
            by_cost = api.options.get("createMarketBuyOrderRequiresPrice")
            if order.side is Side.BUY and (by_cost or rules.get("marketBuyRequiresPrice")):
                raise BrokerRejected(
                    self.name, "it buys at market by cost, not by quantity; place a limit order"
                )
            return "market", {}
        if order.type is OrderType.LIMIT:
            return "limit", {}
        if order.type is OrderType.MARKET_ON_CLOSE:
            raise BrokerRejected(self.name, "it never closes; place a market order")
        name = next((n for n in ("triggerPrice", "stopLossPrice") if rules.get(n)), None)
        if name is None:
            raise BrokerRejected(self.name, "it takes no stop orders")
        params: dict[str, Any] = {name: plain(order.stop_price)}
        if rules.get("triggerDirection"):
            params["triggerDirection"] = "ascending" if order.side is Side.BUY else "descending"
        return ("market" if order.type is OrderType.STOP else "limit"), params

    def cancel(self, order: Order) -> OrderReport:
        asked, params = self._name_of(order)
        if asked is None:
            # Only the exchange's own id will do, and the answer that told it was lost.
            found = self.find(order)
            if found is None or found.state is not OrderState.OPEN:
                return found or self._never_there(order)
            asked = found.broker_id

        def ask(api: Any) -> OrderReport | None:
            answer = api.cancel_order(asked, order.symbol, params)
            if text(answer, "status") is None or text(answer, "filled") is None:
                return None
            return self._answers.report(answer, order)

        try:
            report = self._client.call(ask)
        except NotListed:
            report = None
        return report or self.find(order) or self._never_there(order)

    def _never_there(self, order: Order) -> OrderReport:
        reason = f"{self.name} does not know it"
        return OrderReport(
            order.id, order.broker_id, OrderState.CANCELLED, order.filled, order.symbol, reason
        )

    def find(self, order: Order) -> OrderReport | None:
        """Return where an order stands, or None when the exchange never saw it and never will.

        Waits, while a new order may still arrive, until that is certain: `window_s` and
        `settle_s` after it was stored.

        Raises:
            BrokerError: it could not be asked, or its answer cannot be read.
        """
        longest = self._window_s + self._settle_s
        pause, waited = _FIRST_PAUSE_S, 0.0
        while True:
            left = min(longest - self._age_s(order), longest - waited)
            problem: BrokerError | None = None
            found: OrderReport | None = None
            try:
                found = self._look(order)
            except (BrokerUnavailable, BrokerNonsense) as trouble:
                problem = trouble
            if found is not None:
                return found
            if order.state is not OrderState.NEW or left <= 0:
                if problem is not None:
                    raise problem
                return None
            step = min(pause, left)
            self._budget.pause(step)
            waited += step
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _look(self, order: Order) -> OrderReport | None:
        """Ask once where an order stands."""
        asked, params = self._name_of(order)

        def ask(api: Any) -> OrderReport:
            return self._answers.report(api.fetch_order(asked, order.symbol, params), order)

        if asked is not None and self._has.get("fetchOrder"):
            try:
                return self._client.call(ask)
            except NotListed:
                return None
        since = order.created_at // MILLISECOND - _OVERLAP_MS
        for method in (
            "fetchOpenOrders",
            "fetchClosedOrders",
            "fetchCanceledOrders",
            "fetchOrders",
        ):
            if not self._has.get(method):
                continue
            found = self._orders(
                lambda api, method=method: getattr(api, method)(order.symbol, since, PAGE), [order]
            )
            if order.id in found:
                return found[order.id]
        return None

    def _name_of(self, order: Order) -> tuple[str | None, dict[str, Any]]:
        """Return the id to ask for and what to add; the id is None when it must be searched."""
        if self._by_client_id:
            return order.broker_id or "", {"clientOrderId": order.id}
        return order.broker_id, {}

    def _orders(
        self, request: Callable[..., Any], orders: Sequence[Order]
    ) -> dict[str, OrderReport]:
        """Return what a list of the exchange's orders says about those of ours."""

        def ask(api: Any) -> dict[str, OrderReport]:
            answers = request(api)
            about = self._answers.is_about
            return {
                order.id: self._answers.report(answer, order)
                for order in orders
                for answer in answers
                if about(answer, order)
            }

        return self._client.call(ask)

    # --- news --------------------------------------------------------------------------------

    def open_orders(self) -> Sequence[OrderReport]:
        read = self._answers.report
        return self._client.call(lambda api: [read(a, None) for a in api.fetch_open_orders()])

    def activity(self, orders: Sequence[Order], sync: Mapping[str, Any]) -> Activity:
        """Return the trades of orders that traded, and the orders that ended.

        When an order has a new trade all its trades are told. An order that ended is reported
        when its trades add up to what it filled, and not before: exchanges show an order's end
        sooner than its last trades. So nothing must be remembered, and `sync` stays empty.
        """
        executions: list[Execution] = []
        reports: list[OrderReport] = []
        for symbol in sorted({order.symbol for order in orders}):
            ours = [order for order in orders if order.symbol == symbol]
            listed = self._orders(
                lambda api, symbol=symbol: api.fetch_open_orders(symbol),
                ours,
            )
            for order in ours:
                report = listed.get(order.id) or self._look(order)
                if report is None:
                    continue
                ended = report.state is not OrderState.OPEN
                traded = order.filled
                if report.filled and (ended or report.filled != order.filled):
                    start = order.created_at // MILLISECOND - _OVERLAP_MS
                    trades = self._trades.of_order(order.symbol, report, start)
                    traded = sum((trade.quantity for trade in trades), ZERO)
                    executions += trades
                if traded >= report.filled if ended else order.state is OrderState.NEW:
                    reports.append(report)
        executions.sort(key=lambda execution: (execution.at, execution.external_id or ""))
        return Activity(executions, reports, sync)

    def trades(self, symbols: Sequence[str], since: int) -> Sequence[Execution] | None:
        return self._trades.since(symbols, since // MILLISECOND)

    # --- other questions ---------------------------------------------------------------------

    def balances(self) -> Mapping[str, Decimal] | None:
        def ask(api: Any) -> dict[str, Decimal]:
            answer, held = api.fetch_balance(), {}
            for asset, total in answer["total"].items():
                # Some exchanges tell only what is free.
                told = answer["free"].get(asset) if total is None else total
                held[asset] = self._answers.amount(told, f"the balance of {asset}")
            return {asset: total for asset, total in held.items() if total}

        return self._client.call(ask)

    def quote(self, symbol: str) -> Quote | None:
        def ask(api: Any) -> Quote | None:
            answer = api.fetch_ticker(symbol)
            if answer["last"] is None:
                return None
            at = text(answer, "timestamp")
            return Quote(
                symbol,
                self._clock.micros() if at is None else int(at) * MILLISECOND,
                self._answers.amount(answer["last"], f"the price of {symbol}"),
            )

        try:
            return self._client.call(ask)
        except BrokerRejected:
            return None

    def _age_s(self, order: Order) -> float:
        """Return how long ago an order was stored, in the machine's seconds."""
        return (self._clock.micros() - order.updated_at) / 1_000_000 / (self._clock.speed or 1.0)
