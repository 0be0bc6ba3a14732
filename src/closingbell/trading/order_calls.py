"""The calls of an algorithm that place, cancel and show orders."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from closingbell.core.amount import ZERO, plain, to_decimal
from closingbell.core.error import OrderRefused
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
from closingbell.trading.portfolio import Position
from closingbell.trading.reduction import is_reduction, reduce_once
from closingbell.trading.seat import Seat
from closingbell.trading.sizing import (
    Size,
    on_its_way,
    quantity_of,
    read_size,
    read_weight,
    target_quantity,
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

    def order_value(self, target_symbol: str, value: Any) -> PlacedOrder:
        """Buy for so much cash at the market; below 0 it sells for so much."""
        cash = to_decimal(value, "value")
        side = Side.SELL if cash < 0 else Side.BUY
        return self._placed(
            target_symbol, side, read_size(None, None, None, abs(cash)), MARKET, None
        )

    def order_percent(self, target_symbol: str, percentage: Any) -> PlacedOrder:
        """Buy for a fraction of the account's total value; below 0 it sells for as much.

        Raises:
            OrderRefused: the fraction is 0, or beyond any leverage.
        """
        weight = read_weight(percentage)
        if not weight:
            raise OrderRefused("percentage", percentage, "a fraction other than 0")
        side = Side.SELL if weight < 0 else Side.BUY
        account, symbol = self._account_and(target_symbol)
        price = self._seat.price(account, symbol)
        return self._show(
            self._seat.place(
                account,
                symbol,
                side,
                MARKET,
                lambda: target_quantity(account, symbol, abs(weight), price),
                None,
            )
        )

    # --- targets -------------------------------------------------------------------------

    def order_target_percent(self, target_symbol: str, percentage: Any) -> PlacedOrder | None:
        """Buy or sell at the market until a position is this fraction of the total value.

        What working orders will still trade counts as traded, so that calling it again places
        nothing new. Below 0 it is a short position.

        Returns:
            The order, or None where the position is there already.
        """
        weight = read_weight(percentage)
        account, symbol = self._account_and(target_symbol)
        price = self._seat.price(account, symbol)
        return self._retarget(account, symbol, target_quantity(account, symbol, weight, price))

    def order_target_value(self, target_symbol: str, value: Any) -> PlacedOrder | None:
        """As `order_target_percent`, for a position of this worth in the symbol's currency."""
        worth = to_decimal(value, "value")
        account, symbol = self._account_and(target_symbol)
        price = self._seat.price(account, symbol)
        return self._retarget(account, symbol, worth / price)

    def order_target_quantity(self, target_symbol: str, quantity: Any) -> PlacedOrder | None:
        """As `order_target_percent`, for a position of so many units."""
        units = to_decimal(quantity, "quantity")
        account, symbol = self._account_and(target_symbol)
        return self._retarget(account, symbol, units)

    def set_target_weights(
        self, weights: Mapping[str, Any], *, tolerance: Any = 0, close_others: bool = False
    ) -> list[PlacedOrder]:
        """Bring positions to these fractions of the total value, at the market.

        Sales are placed before purchases, which may spend what those will bring. What working
        orders will still trade counts as traded.

        Args:
            weights: by symbol; what they leave is cash. Below 0 is a short position.
            tolerance: a position that is off by no more than this fraction of the total value
                stays as it is.
            close_others: whether positions that are not named are closed.

        Returns:
            The orders that were placed.

        Raises:
            OrderRefused: a symbol is named twice, or the weights add up to more than the
                account's leverage.
        """
        self._seat.require_alive()
        account = self._seat.account(self._name)
        spare = to_decimal(tolerance, "tolerance")
        wanted: dict[str, Decimal] = {}
        for name, given in weights.items():
            symbol = self._seat.resolve(account, name)
            if symbol in wanted:
                raise OrderRefused("weights", name, f"{symbol} once")
            wanted[symbol] = read_weight(given, f"the weight of {name}")
        total = sum(map(abs, wanted.values()), ZERO)
        if total > account.terms.leverage:
            most = plain(account.terms.leverage)
            raise OrderRefused("weights", plain(total), f"a sum of at most {most}")
        if close_others:
            for holding in account.book.positions:
                wanted.setdefault(holding.symbol, ZERO)
        changes = {symbol: self._change(account, symbol, w, spare) for symbol, w in wanted.items()}
        made = [
            self._seat.retarget(account, symbol, "weight", change)
            for symbol, change in sorted(changes.items(), key=lambda pair: (pair[1] > 0, pair[0]))
        ]
        return [self._show(order) for order in made if order is not None]

    def close_position(self, symbol: str | Position) -> PlacedOrder | None:
        """Sell all of a position at the market (buy back a short one).

        Its working orders are cancelled first, but for market orders that close it already.

        Returns:
            The order; None without a position, or where one that closes it is on its way.
        """
        name = symbol.symbol if isinstance(symbol, Position) else symbol
        account, resolved = self._account_and(name)
        self._seat.require_alive()
        side = Side.SELL if account.book.quantity(resolved) > 0 else Side.BUY
        for order in account.ranked():
            closes = order.side is side and order.type is OrderType.MARKET
            if order.symbol == resolved and not closes and not self._seat.is_unmet(order):
                self._seat.cancel(account, order.id)
        made = self._seat.retarget(account, resolved, "close", -on_its_way(account, resolved))
        return None if made is None else self._show(made)

    def close_all_positions(self) -> list[PlacedOrder]:
        """Close every position; see `close_position`."""
        account = self._seat.account(self._name)
        made = [self.close_position(holding.symbol) for holding in account.book.positions]
        return [order for order in made if order is not None]

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

    def _retarget(self, account: Account, symbol: str, target: Decimal) -> PlacedOrder | None:
        change = target - on_its_way(account, symbol)
        made = self._seat.retarget(account, symbol, "target", change)
        return None if made is None else self._show(made)

    def _change(self, account: Account, symbol: str, weight: Decimal, spare: Decimal) -> Decimal:
        price = self._seat.price(account, symbol)
        change = target_quantity(account, symbol, weight, price) - on_its_way(account, symbol)
        if spare and abs(change) <= abs(target_quantity(account, symbol, spare, price)):
            return ZERO
        return change

    def _show(self, order: Order) -> PlacedOrder:
        return placed_order(order, self._local)
