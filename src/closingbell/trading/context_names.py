"""Names of the other framework's Context, offered where they mean the same here.

Left out are names that mean something else there: its percentages run from 0 to 100
(`create_market_sell_order(percentage_of_position=50)`), its trades are round trips and not
fills (`get_open_trades`, `get_closed_trades`), and its positions hold cash too
(`get_number_of_positions`).
"""

from __future__ import annotations

from typing import Any

from closingbell.core.error import UnknownSymbol
from closingbell.core.order import Side
from closingbell.trading.money import Money
from closingbell.trading.order_word import read_side, read_terms
from closingbell.trading.placed_order import PlacedOrder
from closingbell.trading.portfolio import Portfolio
from closingbell.trading.sizing import read_size
from closingbell.trading.target_calls import TargetCalls


class ContextNames(TargetCalls):
    """Second names, for scripts that come from there."""

    __slots__ = ()

    def get_portfolio_value(self) -> Money:
        """Return what the account is worth: `get_portfolio().get_total_value()`."""
        return self._portfolio().total_value

    def get_total_size(self) -> Money:
        """As `get_portfolio_value`."""
        return self._portfolio().total_value

    def get_unallocated(self) -> Money:
        """Return the cash that no working purchase may need: `get_portfolio().free_cash`."""
        return self._portfolio().free_cash

    def get_allocated(self) -> Money:
        """Return what the positions are worth."""
        return sum((p.current_value for p in self._portfolio().positions), Money(0))

    def get_trading_symbol(self) -> str:
        """Return the account's currency."""
        return self._portfolio().currency

    def has_position(self, symbol: str) -> bool:
        """Whether any of a symbol is held."""
        account = self._seat.account(self._name)
        try:
            return bool(account.book.quantity(self._seat.resolve(account, symbol)))
        except UnknownSymbol:
            return False

    def has_balance(self, symbol: str, amount: Any) -> bool:
        """Whether at least so much is held of a symbol, or of a currency as cash."""
        portfolio = self._portfolio()
        if symbol in portfolio.cash_by_currency:
            return bool(portfolio.cash_by_currency[symbol] >= amount)
        account = self._seat.account(self._name)
        try:
            held = account.book.quantity(self._seat.resolve(account, symbol))
            return bool(Money(held) >= amount)
        except UnknownSymbol:
            return False

    def has_open_buy_orders(self, target_symbol: str) -> bool:
        """Whether a purchase of a symbol is working."""
        return any(order.side is Side.BUY for order in self.get_open_orders(target_symbol))

    def has_open_sell_orders(self, target_symbol: str) -> bool:
        """Whether a sale of a symbol is working."""
        return any(order.side is Side.SELL for order in self.get_open_orders(target_symbol))

    def get_pending_orders(self, target_symbol: str | None = None) -> list[PlacedOrder]:
        """As `get_open_orders`."""
        return self.get_open_orders(target_symbol)

    def create_order(
        self, target_symbol: str, price: Any, order_type: Any, order_side: Any, amount: Any
    ) -> PlacedOrder:
        """Place an order; `price` is the limit of a limit order and None for a market order."""
        terms = read_terms(order_type, price, None, None, "gtc")
        size = read_size(None, None, amount, None)
        return self._placed(target_symbol, read_side(order_side), size, terms, None)

    def _portfolio(self) -> Portfolio:
        return Portfolio(self._seat.account(self._name), self._local)
