"""DeskView: accounts as people look at them, in a process that need not trade.

Where the app's own desk has an account, that one is shown, with the prices that pass it. Else
the account is folded from the ledger: its whole journal at the first look, and what is new at
each further one. Nothing is ever written, and no broker is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

from fastapi import Request

from closingbell.app import App
from closingbell.core.book import Holding
from closingbell.core.clock import from_micros
from closingbell.core.error import NoPrice
from closingbell.core.ledger import AccountRecord
from closingbell.trading import valuation
from closingbell.trading.account import Account
from closingbell.trading.broker.paper import PaperBroker
from closingbell.trading.drawdown import drawdown_of
from closingbell.trading.terms import AccountTerms
from closingbell.wire.desk import PortfolioInfo, PositionInfo


class DeskView:
    """The accounts of an app's ledger, to be looked at."""

    def __init__(self, app: App) -> None:
        """Make it; nothing is read yet."""
        self._app = app
        self._lock = threading.Lock()
        self._folded: dict[str, Account] = {}

    def portfolio(self, name: str) -> PortfolioInfo:
        """Return what an account is worth, positions included.

        Raises:
            UnknownAccount: the ledger has none of that name.
        """
        record = self._app.store.ledger.account(name)
        live = self._app.machinery.floor.desk.accounts.get(name)
        if live is None:
            with self._lock:
                return _told(self._follow(record), record, is_live=False)
        with live.lock:
            live.refresh(self._app.store.ledger)
            return _told(live, record, is_live=self._app.is_running)

    def _follow(self, record: AccountRecord) -> Account:
        account = self._folded.get(record.name)
        if account is None:
            account = Account(self._terms(record), PaperBroker(), self._app.store.ledger)
            self._folded[record.name] = account
        else:
            account.refresh(self._app.store.ledger)
        return account

    def _terms(self, record: AccountRecord) -> AccountTerms:
        declared = self._app.accounts.get(record.name)
        if declared is not None:
            return declared
        # The ledger outlives what the app declares.
        return AccountTerms(
            name=record.name, cash=record.initial, currency=record.currency, broker=record.broker
        )


def desk_view(request: Request) -> DeskView:
    """Return the view of the app that a request is about; a dependency of routes."""
    state = request.app.state
    if not hasattr(state, "desk_view"):
        state.desk_view = DeskView(state.app)
    view: DeskView = state.desk_view
    return view


def _told(account: Account, record: AccountRecord, is_live: bool) -> PortfolioInfo:
    missing: list[str] = []

    def worth(value: Callable[[], Decimal]) -> Decimal | None:
        try:
            return value()
        except NoPrice as problem:
            missing.append(str(problem))
            return None

    value = worth(account.value)
    peak = account.peak if value is None else max(account.peak, value)
    positions = [_position(account, holding, value) for holding in account.book.positions]
    return PortfolioInfo(
        account=record.name,
        currency=record.currency,
        broker=record.broker,
        opened_at=from_micros(record.opened_at),
        is_live=is_live,
        priced_until=from_micros(account.cursor) if account.cursor >= 0 else None,
        total_value=value,
        cash=worth(account.cash),
        cash_by_currency={currency: cash for currency, cash in account.book.cash.items() if cash},
        free_cash=worth(account.free_cash),
        initial_value=record.initial,
        net_deposits=worth(account.flows),
        peak_value=peak,
        drawdown=None if value is None else drawdown_of(value, peak),
        max_drawdown=account.terms.max_drawdown,
        is_breached=account.breached,
        realized_pnl=worth(account.realized),
        unrealized_pnl=worth(account.unrealized),
        exposure=worth(account.exposure),
        working_orders=len(account.orders),
        positions=positions,
        missing_price=missing[0] if missing else None,
    )


def _position(account: Account, holding: Holding, total: Decimal | None) -> PositionInfo:
    prices, own = account.prices, account.terms.currency
    known = prices.get(holding.symbol)
    try:
        rate = valuation.rate(prices, holding.currency, own)
    except NoPrice:
        rate = None
    cost = None if rate is None else holding.cost * rate
    value = None if rate is None or known is None else holding.quantity * known[1] * rate
    return PositionInfo(
        symbol=holding.symbol,
        quantity=holding.quantity,
        currency=holding.currency,
        average_price=holding.average_price,
        price=None if known is None else known[1],
        priced_at=None if known is None else from_micros(known[0]),
        cost=cost,
        value=value,
        unrealized_pnl=None if value is None or cost is None else value - cost,
        realized_pnl=None if rate is None else holding.realized * rate,
        weight=None if value is None or not total else value / total,
        opened_at=from_micros(holding.opened_at),
    )
