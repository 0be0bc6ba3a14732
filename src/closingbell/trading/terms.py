"""AccountTerms: what an account is, as the app declares it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from closingbell.core.amount import ONE, QUANTUM, ZERO, plain
from closingbell.core.bar import timeframe_seconds
from closingbell.core.error import SettingError

#: The account of a task that names none.
MAIN = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTerms:
    """What an account is.

    Attributes:
        name: unique.
        cash: what it begins with, in `currency`.
        currency: in which it is valued.
        broker: "paper", "simulated", "ccxt", or a Broker of your own.
        timeframe: of the bars that match its orders and mark its positions.
        calendar: the venue whose closes end its days; "24/7" for midnight UTC.
        short: whether it may sell what it does not hold.
        leverage: purchases may cost up to so many times the account's value.
        lot: quantities are multiples of it; None = any fraction.
        max_drawdown: a fraction; falling further from the peak emits "drawdown_breach".
        options: of the broker, such as fees, slippage or an exchange's name.
    """

    name: str = MAIN
    cash: Decimal = Decimal(10_000)
    currency: str = "USD"
    broker: Any = "paper"
    timeframe: str = "1d"
    calendar: str = "XNYS"
    short: bool = False
    leverage: Decimal = Decimal(1)
    lot: Decimal | None = None
    max_drawdown: Decimal | None = None
    # Not shown: there may be keys among them.
    options: tuple[tuple[str, Any], ...] = field(default=(), repr=False)

    def check(self) -> None:
        """Refuse terms that cannot be meant.

        Raises:
            SettingError: which one, and what would be right.
            MarketDataError: the timeframe cannot be read.
        """
        if not self.name.strip() or not self.name.isprintable():
            raise SettingError("account", self.name, "a name that can be printed")
        if not self.currency.strip():
            raise SettingError("currency", self.currency, "a currency such as 'USD'")
        for name, value, least in (
            ("cash", self.cash, ZERO),
            ("leverage", self.leverage, ONE),
            ("lot", self.lot, QUANTUM),
        ):
            if value is not None and not (value.is_finite() and value >= least):
                raise SettingError(name, value, f"a number not below {plain(least)}")
        limit = self.max_drawdown
        if limit is not None and not (limit.is_finite() and 0 < limit <= 1):
            raise SettingError("max_drawdown", limit, "a fraction above 0 and at most 1, or None")
        timeframe_seconds(self.timeframe)
