"""Portfolio and Position: what an account is worth, as a task sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from closingbell.core.book import Holding
from closingbell.trading import valuation
from closingbell.trading.account import Account
from closingbell.trading.local_time import LocalTime
from closingbell.trading.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What is held of one symbol; a short position has quantity, cost and value below 0.

    Attributes:
        symbol: "AAPL", or "BTC/EUR".
        quantity: how much.
        average_price: what a unit cost, without fees; price: what it is worth now. Both are in
            `currency`, what the symbol is quoted in.
        cost: what the position cost, current_value: what it is worth. These and the gains are in
            the account's currency, at the present rate.
        unrealized_pnl: current_value less cost.
        realized_pnl: gains of this symbol so far, dividends and fees counted.
        opened_at: when it was opened, naive in the app's zone.
    """

    symbol: str
    quantity: Money
    average_price: Money
    price: Money
    currency: str
    cost: Money
    current_value: Money
    unrealized_pnl: Money
    realized_pnl: Money
    opened_at: datetime


class Portfolio:
    """An account as it stood when it was asked for; amounts are in its currency.

    Attributes:
        name: the account's.
        currency: in which it is valued.
    """

    def __init__(self, account: Account, local: LocalTime) -> None:
        """Take down how an account stands.

        Raises:
            NoPrice: it cannot be valued.
        """
        self.name = account.terms.name
        self.currency = account.terms.currency
        self._local = local
        self._book = account.book
        self._prices = dict(account.prices)
        self._value = account.value()
        self._peak = account.peak
        self._initial = account.record.initial
        self._free = account.free_cash(self.currency)

    def __repr__(self) -> str:
        return f"<Portfolio {self.name}: {self.total_value:,.2f} {self.currency}>"

    def get_total_value(self) -> Money:
        """Return cash and positions, at the latest prices."""
        return Money(self._value)

    def get_initial_value(self) -> Money:
        """Return what the account began with; later deposits are in `net_deposits`."""
        return Money(self._initial)

    def get_peak_value(self) -> Money:
        """Return the highest value so far.

        A deposit or a withdrawal moves it in proportion, and so is no gain and no drawdown.
        """
        return Money(max(self._peak, self._value))

    @property
    def total_value(self) -> Money:
        """As `get_total_value`."""
        return self.get_total_value()

    @property
    def initial_value(self) -> Money:
        """As `get_initial_value`."""
        return self.get_initial_value()

    @property
    def peak_value(self) -> Money:
        """As `get_peak_value`."""
        return self.get_peak_value()

    @property
    def drawdown(self) -> Money:
        """How far the value is below its peak, as a fraction of it; 0 without a peak above 0."""
        peak = self.get_peak_value()
        return (peak - self._value) / peak if peak > 0 else Money(0)

    @property
    def cash(self) -> Money:
        """Cash in all currencies."""
        return Money(valuation.converted(self._book.cash, self._prices, self.currency))

    @property
    def cash_by_currency(self) -> Mapping[str, Money]:
        """Cash as it lies there."""
        return {currency: Money(amount) for currency, amount in self._book.cash.items()}

    @property
    def free_cash(self) -> Money:
        """Cash in the account's currency, less what its working orders may cost."""
        return Money(self._free)

    @property
    def realized_pnl(self) -> Money:
        """Gains so far, with dividends, interest, fees and charges."""
        return Money(valuation.realized_of(self._book, self._prices, self.currency))

    @property
    def unrealized_pnl(self) -> Money:
        """What the positions are worth above their cost."""
        return Money(valuation.unrealized_of(self._book, self._prices, self.currency))

    @property
    def net_deposits(self) -> Money:
        """What was paid in less what was paid out, the beginning included."""
        return Money(valuation.converted(self._book.deposits, self._prices, self.currency))

    @property
    def exposure(self) -> Money:
        """The worth of all positions, short ones counted as positive."""
        return Money(valuation.worth_of_positions(self._book, self._prices, self.currency)[1])

    @cached_property
    def positions(self) -> list[Position]:
        """The open positions, by symbol; cash is none."""
        return [self._position(holding) for holding in self._book.positions]

    @property
    def weights(self) -> dict[str, Money]:
        """Each position's share of the total value; empty where there is none."""
        if not self._value:
            return {}
        return {p.symbol: p.current_value / self._value for p in self.positions}

    def _position(self, holding: Holding) -> Position:
        price = valuation.price_of(self._prices, holding.symbol)
        rate = valuation.rate(self._prices, holding.currency, self.currency)
        cost, value = holding.cost * rate, holding.quantity * price * rate
        return Position(
            symbol=holding.symbol,
            quantity=Money(holding.quantity),
            average_price=Money(holding.average_price),
            price=Money(price),
            currency=holding.currency,
            cost=Money(cost),
            current_value=Money(value),
            unrealized_pnl=Money(value - cost),
            realized_pnl=Money(holding.realized * rate),
            opened_at=self._local.show(holding.opened_at),
        )
