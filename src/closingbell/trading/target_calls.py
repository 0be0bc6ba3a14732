"""The calls of an algorithm that bring positions to a size: targets, weights, nothing at all."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from closingbell.core.amount import ZERO, plain, to_decimal
from closingbell.core.error import OrderRefused
from closingbell.core.order import OrderType, Side
from closingbell.trading.account import Account
from closingbell.trading.order_calls import OrderCalls
from closingbell.trading.order_word import MARKET
from closingbell.trading.placed_order import PlacedOrder
from closingbell.trading.portfolio import Position
from closingbell.trading.sizing import on_its_way, read_size, read_weight, target_quantity


class TargetCalls(OrderCalls):
    """Market orders for what lacks to a size."""

    __slots__ = ()

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
        told: Any = weights
        if not isinstance(told, Mapping):
            raise OrderRefused("weights", told, "fractions by symbol, such as {'AAPL': 0.5}")
        for name, given in told.items():
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

    # --- inside --------------------------------------------------------------------------

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
