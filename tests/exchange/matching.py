"""The local exchange's books: balances, orders and trades of one spot account.

Prices move only when a test moves them. A market order trades at the price that is set; a
limit order rests until the price crosses it, or until a test fills a part of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

EIGHT = Decimal("0.00000001")
OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})


class Refused(Exception):
    """The exchange's own answer to what it does not want."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class Market(NamedTuple):
    """A pair and its filters."""

    base: str
    quote: str
    tick: Decimal = Decimal("0.01")
    step: Decimal = Decimal("0.00001")
    least: Decimal = Decimal(5)

    @property
    def id(self) -> str:
        return self.base + self.quote


@dataclass
class ExchangeOrder:
    """An order as the exchange keeps it."""

    id: int
    client_id: str
    market: Market
    side: str
    type: str
    quantity: Decimal
    price: Decimal
    stop_price: Decimal
    time_in_force: str
    at: int
    visible_at: float
    status: str = "NEW"
    executed: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)
    locked: Decimal = Decimal(0)
    updated_at: int = 0
    waits_for_stop: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.executed


@dataclass
class Trade:
    """One line of the trade history."""

    id: int
    order: ExchangeOrder
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    at: int
    maker: bool
    visible_at: float


@dataclass
class Matching:
    """The account and the matching engine; every public method is one transaction.

    Attributes:
        balances: (free, locked) by asset.
        prices: by market id.
        fee_rate: of what a trade moves.
        fee_asset: in which fees are taken; None = in what is received, as real ones do.
        refuses_duplicates: whether a client id of an open order is refused for a new one.
        lag_s: seconds until a new order or trade can be seen by asking.
        liquidity: most that a market order finds, by market id.
        milliseconds: the exchange's clock.
    """

    milliseconds: Callable[[], int]
    markets: dict[str, Market]
    balances: dict[str, list[Decimal]] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    fee_rate: Decimal = Decimal("0.001")
    fee_asset: str | None = None
    refuses_duplicates: bool = True
    lag_s: float = 0.0
    liquidity: dict[str, Decimal] = field(default_factory=dict)
    orders: list[ExchangeOrder] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    # --- what the account does -------------------------------------------------------------

    def place(self, given: dict[str, str]) -> ExchangeOrder:
        """Take a new order."""
        with self.lock:
            market = self.market(given.get("symbol", ""))
            client_id = given.get("newClientOrderId", "")
            if not 1 <= len(client_id) <= 36:
                raise Refused(-1100, "Illegal characters found in parameter 'newClientOrderId'.")
            if self.refuses_duplicates and any(
                o.client_id == client_id and o.is_open for o in self.orders
            ):
                raise Refused(-2010, "Duplicate order sent.")
            order = self._read(market, client_id, given)
            self._reserve(order)
            self.orders.append(order)
            self._match(order, taker=True)
            return order

    def cancel(self, order: ExchangeOrder) -> None:
        """End an open order."""
        with self.lock:
            if not order.is_open:
                raise Refused(-2011, "Unknown order sent.")
            self._end(order, "CANCELED")

    def find(self, given: dict[str, str]) -> ExchangeOrder:
        """Return the newest order of that client id, or the one of that id."""
        with self.lock:
            market = self.market(given.get("symbol", ""))
            for order in reversed(self.seen()):
                if order.market is not market:
                    continue
                if str(order.id) == given.get("orderId"):
                    return order
                if "orderId" not in given and order.client_id == given.get("origClientOrderId"):
                    return order
            raise Refused(-2013, "Order does not exist.")

    def seen(self) -> list[ExchangeOrder]:
        """Return the orders that asking shows by now."""
        return [order for order in self.orders if order.visible_at <= time.monotonic()]

    def seen_trades(self) -> list[Trade]:
        """Return the trades that asking shows by now."""
        return [trade for trade in self.trades if trade.visible_at <= time.monotonic()]

    def market(self, market_id: str) -> Market:
        """Return a market."""
        try:
            return self.markets[market_id]
        except KeyError:
            raise Refused(-1121, "Invalid symbol.") from None

    # --- what a test does --------------------------------------------------------------------

    def set_price(self, market_id: str, price: Decimal) -> None:
        """Move the price: stops are triggered, and resting orders that it crosses trade."""
        with self.lock:
            self.prices[market_id] = price
            for order in self.orders:
                if order.is_open and order.market.id == market_id:
                    self._match(order, taker=False)

    def fill(self, client_id: str, quantity: Decimal, price: Decimal | None = None) -> None:
        """Fill a part of a resting order, at its own price unless told otherwise."""
        with self.lock:
            order = next(o for o in self.orders if o.client_id == client_id and o.is_open)
            self._trade(order, quantity, price or order.price, maker=True)

    def total(self, asset: str) -> Decimal:
        """Return all that is held of an asset."""
        with self.lock:
            return sum(self.balances.get(asset, []), Decimal(0))

    def deposit(self, asset: str, amount: Decimal) -> None:
        """Move something in, or out, past every ledger of ours."""
        with self.lock:
            self.balances.setdefault(asset, [Decimal(0), Decimal(0)])[0] += amount

    # --- inside ------------------------------------------------------------------------------

    def _read(self, market: Market, client_id: str, given: dict[str, str]) -> ExchangeOrder:
        def amount(name: str) -> Decimal:
            text = given.get(name, "0")
            # The real one refuses floats in scientific notation too.
            if not text.replace(".", "", 1).isdigit():
                raise Refused(-1100, f"Illegal characters found in parameter '{name}'.")
            return Decimal(text)

        kind, side = given.get("type", ""), given.get("side", "")
        if kind not in {"MARKET", "LIMIT", "STOP_LOSS", "STOP_LOSS_LIMIT"}:
            raise Refused(-1116, "Invalid orderType.")
        if side not in {"BUY", "SELL"}:
            raise Refused(-1117, "Invalid side.")
        quantity, price, stop = amount("quantity"), amount("price"), amount("stopPrice")
        if quantity <= 0 or quantity % market.step:
            raise Refused(-1013, "Filter failure: LOT_SIZE")
        if price % market.tick or stop % market.tick or (kind.endswith("LIMIT") and price <= 0):
            raise Refused(-1013, "Filter failure: PRICE_FILTER")
        if kind.startswith("STOP") and stop <= 0:
            raise Refused(-1102, "Mandatory parameter 'stopPrice' was not sent.")
        worth = quantity * (price or stop or self.prices[market.id])
        if worth < market.least:
            raise Refused(-1013, "Filter failure: NOTIONAL")
        return ExchangeOrder(
            id=len(self.orders) + 1001,
            client_id=client_id,
            market=market,
            side=side,
            type=kind,
            quantity=quantity,
            price=price,
            stop_price=stop,
            time_in_force=given.get("timeInForce", "GTC"),
            at=self.milliseconds(),
            visible_at=time.monotonic() + self.lag_s,
            updated_at=self.milliseconds(),
            waits_for_stop=kind.startswith("STOP"),
        )

    def _reserve(self, order: ExchangeOrder) -> None:
        asset = order.market.quote if order.side == "BUY" else order.market.base
        price = order.price or order.stop_price or self.prices[order.market.id]
        wanted = order.quantity * price if order.side == "BUY" else order.quantity
        held = self.balances.setdefault(asset, [Decimal(0), Decimal(0)])
        if wanted > held[0]:
            raise Refused(-2010, "Account has insufficient balance for requested action.")
        held[0] -= wanted
        held[1] += wanted
        order.locked = wanted

    def _match(self, order: ExchangeOrder, *, taker: bool) -> None:
        price = self.prices[order.market.id]
        buys = order.side == "BUY"
        if order.waits_for_stop:
            if price < order.stop_price if buys else price > order.stop_price:
                return
            order.waits_for_stop = False
        if order.type in {"MARKET", "STOP_LOSS"}:
            most = self.liquidity.get(order.market.id, order.remaining)
            if most:
                self._trade(order, min(most, order.remaining), price, maker=False)
            if order.is_open:
                self._end(order, "EXPIRED")
        elif price <= order.price if buys else price >= order.price:
            self._trade(order, order.remaining, price if taker else order.price, maker=not taker)

    def _trade(
        self, order: ExchangeOrder, quantity: Decimal, price: Decimal, *, maker: bool
    ) -> None:
        buys, market, worth = order.side == "BUY", order.market, quantity * price
        paid, got = (market.quote, market.base) if buys else (market.base, market.quote)
        out, into = (worth, quantity) if buys else (quantity, worth)
        fee_asset = self.fee_asset or got
        rate_base = into if fee_asset == got else worth
        fee = (rate_base * self.fee_rate).quantize(EIGHT, ROUND_DOWN)
        self.balances[paid][1] -= out
        order.locked -= out
        if order.locked < 0:
            # A stop that traded beyond its stop price: the rest comes from what is free.
            self.balances[paid][0] += order.locked
            self.balances[paid][1] -= order.locked
            order.locked = Decimal(0)
        self.balances.setdefault(got, [Decimal(0), Decimal(0)])[0] += into
        self.balances.setdefault(fee_asset, [Decimal(0), Decimal(0)])[0] -= fee
        order.executed += quantity
        order.spent += worth
        order.updated_at = self.milliseconds()
        order.status = "PARTIALLY_FILLED"
        self.trades.append(
            Trade(
                id=len(self.trades) + 28457,
                order=order,
                price=price,
                quantity=quantity,
                commission=fee,
                commission_asset=fee_asset,
                at=order.updated_at,
                maker=maker,
                visible_at=time.monotonic() + self.lag_s,
            )
        )
        if not order.remaining:
            self._end(order, "FILLED")

    def _end(self, order: ExchangeOrder, status: str) -> None:
        asset = order.market.quote if order.side == "BUY" else order.market.base
        self.balances[asset][0] += order.locked
        self.balances[asset][1] -= order.locked
        order.locked = Decimal(0)
        order.status = status
        order.updated_at = self.milliseconds()
