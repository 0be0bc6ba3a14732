"""AccountTerms: what an account is, as the app declares it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

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
    options: tuple[tuple[str, Any], ...] = ()
