"""The calls of an algorithm that place, cancel and show orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from closingbell.core.order import Order, OrderType, Side
from closingbell.trading.account import Account
from closingbell.trading.local_time import LocalTime
from closingbell.trading.order_word import (
    MARKET,
    Terms,
    read_side,
    read_state,
    read_terms,
    read_type,
)
from closingbell.trading.placed_order import PlacedOrder, placed_order
from closingbell.trading.reduction import is_reduction, reduce_once
from closingbell.trading.seat import Seat
from closingbell.trading.sizing import (
    Size,
    quantity_of,
    read_size,
)


class OrderCalls:
    """Placing, cancelling and showing the orders of one account."""

    __slots__ = ()
    _seat: Seat
    _local: LocalTime
    _name: str

    # --- one order -----------------------------------------------------------------------

    def create_buy_order(
        self,
        target_symbol: str,
        percentage: Any = None,
        quantity: Any = None,
        amount: Any = None,
        value: Any = None,
        order_type: Any = None,
        price: Any = None,
        limit_price: Any = None,
        stop_price: Any = None,
        time_in_force: str = "gtc",
        key: str | None = None,
    ) -> PlacedOrder:
        """Place a purchase.

        How much is said in one way: `percentage`, `quantity` (or `amount`), or `value`.

        Args:
            target_symbol: "AAPL"; "BTC" and "BTC/EUR" name the same.
            percentage: a fraction of the free cash, above 0 and at most 1.
            quantity: units.
            amount: another word for quantity.
            value: cash to spend, at the limit or the latest price.
            order_type: "MARKET", "LIMIT", "STOP", "STOP_LIMIT" or "MARKET_ON_CLOSE", in any case;
                default what the prices say: without any it is a market order.
            price: another word for limit_price.
            limit_price: pay no more.
            stop_price: wait until it trades at this price or above.
            time_in_force: "gtc" (until cancelled) or "day" (until the session's end).
            key: your name for the order, unique within the run: the same key is the same order.

        Raises:
            OrderRefused: a word of it cannot be meant.
            UnknownSymbol: nothing of that name has market data.
            InsufficientFunds: it costs more than is free.
            NoPrice: nobody knows what it would cost.
            BrokerError: the broker refused it, or nobody knows; a retry finds out.
            RunCancelled: the run may act no more.
            FenceLost: another attempt holds the run.
        """
        size = read_size(percentage, quantity, amount, value)
        terms = read_terms(order_type, price, limit_price, stop_price, time_in_force)
        return self._placed(target_symbol, Side.BUY, size, terms, key)

    def create_sell_order(
        self,
        target_symbol: str,
        percentage: Any = None,
        quantity: Any = None,
        amount: Any = None,
        value: Any = None,
        order_type: Any = None,
        price: Any = None,
        limit_price: Any = None,
        stop_price: Any = None,
        time_in_force: str = "gtc",
        key: str | None = None,
    ) -> PlacedOrder:
        """Place a sale; as `create_buy_order`, but that `percentage` is one of the position.

        With `once_per_breach` (the default of risk tasks) a task's sale of one percentage of a
        symbol is placed once in a drawdown, and none while one is working: a second call returns
        the order that is there.

        Raises:
            InsufficientPosition: it sells more than is held and free, in an account without
                short=True.
        """
        size = read_size(percentage, quantity, amount, value)
        terms = read_terms(order_type, price, limit_price, stop_price, time_in_force)
        return self._placed(target_symbol, Side.SELL, size, terms, key)

    def create_market_order(
        self,
        target_symbol: str,
        order_side: Any,
        amount: Any = None,
        *,
        percentage: Any = None,
        quantity: Any = None,
        value: Any = None,
        key: str | None = None,
    ) -> PlacedOrder:
        """Place a market order; `order_side` is "buy" or "sell"."""
        size = read_size(percentage, quantity, amount, value)
        return self._placed(target_symbol, read_side(order_side), size, MARKET, key)

    def create_limit_order(
        self,
        target_symbol: str,
        price: Any,
        order_side: Any,
        amount: Any = None,
        *,
        percentage: Any = None,
        quantity: Any = None,
        value: Any = None,
        time_in_force: str = "gtc",
        key: str | None = None,
    ) -> PlacedOrder:
        """Place an order that trades at `price` or better; `order_side` is "buy" or "sell"."""
        size = read_size(percentage, quantity, amount, value)
        terms = read_terms(OrderType.LIMIT, price, None, None, time_in_force)
        return self._placed(target_symbol, read_side(order_side), size, terms, key)

    def create_stop_order(
        self,
        target_symbol: str,
        stop_price: Any,
        order_side: Any = Side.SELL,
        amount: Any = None,
        *,
        limit_price: Any = None,
        percentage: Any = None,
        quantity: Any = None,
        value: Any = None,
        time_in_force: str = "gtc",
        key: str | None = None,
    ) -> PlacedOrder:
        """Place an order that waits until `stop_price` trades, then sells (or buys) at the market.

        With a `limit_price` it then trades at that price or better.
        """
        size = read_size(percentage, quantity, amount, value)
        kind = OrderType.STOP if limit_price is None else OrderType.STOP_LIMIT
        terms = read_terms(kind, None, limit_price, stop_price, time_in_force)
        return self._placed(target_symbol, read_side(order_side), size, terms, key)

    def create_limit_buy_order(
        self, target_symbol: str, price: Any, amount: Any = None, **words: Any
    ) -> PlacedOrder:
        """Place a limit purchase; as `create_limit_order`."""
        return self.create_limit_order(target_symbol, price, Side.BUY, amount, **words)

    def create_limit_sell_order(
        self, target_symbol: str, price: Any, amount: Any = None, **words: Any
    ) -> PlacedOrder:
        """Place a limit sale; as `create_limit_order`."""
        return self.create_limit_order(target_symbol, price, Side.SELL, amount, **words)

    # --- orders that are there -----------------------------------------------------------

    def cancel_order(self, order: str | PlacedOrder) -> PlacedOrder:
        """Cancel an order, given itself or its id; return it as it stands then.

        An order that does not work any more is returned as it is.

        Raises:
            OrderRefused: the account has no such order.
            BrokerError: the broker could not be asked; nothing changed.
        """
        account = self._seat.account(self._name)
        order_id = order.id if isinstance(order, PlacedOrder) else order
        return self._show(self._seat.cancel(account, order_id))

    def cancel_all_orders(self, symbol: str | None = None) -> list[PlacedOrder]:
        """Cancel the account's working orders, of one symbol or of all; return them.

        Two kinds stay: the working sales of a task that acts once in a drawdown, when that task
        calls it, and what an earlier attempt of the same run placed after this point.
        """
        self._seat.require_alive()
        account = self._seat.account(self._name)
        chosen = None if symbol is None else self._seat.resolve(account, symbol)
        return [
            self._show(self._seat.cancel(account, order.id))
            for order in account.ranked()
            if (chosen is None or order.symbol == chosen)
            and not is_reduction(self._seat, order)
            and not self._seat.is_unmet(order)
        ]

    def get_order(self, order_id: str) -> PlacedOrder | None:
        """Return an order as it stands now, or None where the account has none of that id."""
        account = self._seat.account(self._name)
        found = account.orders.get(order_id) or self._seat.desk.ledger.order(order_id)
        return None if found is None or found.account != self._name else self._show(found)

    def get_orders(
        self,
        target_symbol: str | None = None,
        status: str | None = None,
        order_type: str | None = None,
        order_side: str | None = None,
        *,
        task: str | None = None,
        limit: int | None = None,
    ) -> list[PlacedOrder]:
        """Return the account's orders, the oldest first.

        Args:
            target_symbol: only of this symbol.
            status: only in this state ("new", "open", "filled", "cancelled", "rejected",
                "expired").
            order_type: only of this type.
            order_side: only "buy" or "sell".
            task: only those that this task placed.
            limit: at most so many, the newest ones.
        """
        account = self._seat.account(self._name)
        symbol = None if target_symbol is None else self._seat.resolve(account, target_symbol)
        wanted = {
            "state": None if status is None else read_state(status),
            "type": None if order_type is None else read_type(order_type),
            "side": None if order_side is None else read_side(order_side),
            "task": task,
        }
        asked = {name: value for name, value in wanted.items() if value is not None}
        found = [
            order
            for order in self._seat.desk.ledger.orders(
                self._name, symbol=symbol, limit=None if asked else limit
            )
            if all(getattr(order, name) == value for name, value in asked.items())
        ]
        newest = found if limit is None else found[max(len(found) - limit, 0) :]
        return [self._show(order) for order in newest]

    def get_open_orders(self, target_symbol: str | None = None) -> list[PlacedOrder]:
        """Return the working orders, in the order in which they trade."""
        account = self._seat.account(self._name)
        symbol = None if target_symbol is None else self._seat.resolve(account, target_symbol)
        return [self._show(order) for order in account.ranked() if symbol in (None, order.symbol)]

    # --- inside --------------------------------------------------------------------------

    def _account_and(self, name: str) -> tuple[Account, str]:
        account = self._seat.account(self._name)
        return account, self._seat.resolve(account, name)

    def _placed(
        self, name: str, side: Side, size: Size, terms: Terms, key: str | None
    ) -> PlacedOrder:
        seat = self._seat
        seat.require_alive()
        account, symbol = self._account_and(name)

        def quantity() -> Decimal:
            if size.quantity is not None:
                return size.quantity
            price = terms.limit_price or terms.stop_price or seat.price(account, symbol)
            return quantity_of(size, side, account, symbol, price)

        def place() -> Order:
            return seat.place(account, symbol, side, terms, quantity, key)

        share = size.percentage
        if side is Side.SELL and share is not None and seat.call.task.once_per_breach:
            return self._show(reduce_once(seat, account, symbol, share, place))
        return self._show(place())

    def _show(self, order: Order) -> PlacedOrder:
        return placed_order(order, self._local)
