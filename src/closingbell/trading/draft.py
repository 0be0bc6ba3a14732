"""Draft: a change of one account while it is decided.

It starts from the account and writes nothing into it: the book is forked at the first
entry. What it leads to is one `Change`, which the ledger takes or refuses as a whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from closingbell.core.amount import ZERO, plain
from closingbell.core.book import RoundTrip
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.error import NoPrice
from closingbell.core.ledger import AccountRecord, Change, Fact, Holder, OrderChange, Snapshot
from closingbell.core.order import WORKING_STATES, Order, OrderState
from closingbell.trading import fact, valuation
from closingbell.trading.account import Account
from closingbell.trading.broker.protocol import TRIGGERED, Execution, Match, Means
from closingbell.trading.broker.soundness import check_execution
from closingbell.trading.buying_power import buying_power
from closingbell.trading.drawdown import drawdown_limits, moved_peak


class Draft:
    """One change in the making.

    Attributes:
        account: what it starts from.
        at: when it happens, in microseconds.
        book: as the change leaves it.
        value: of the account at its marks; None while a price is missing.
        cursor: how far market data is applied, and whether openings of that instant are.
        volumes: as `Account.volumes`, after this change.
        trips: the round trips that its entries end, beside the entries.
        asked: orders that somebody outside of a run wants cancelled.
    """

    __slots__ = (
        "_forked",
        "_memory",
        "_wanted",
        "account",
        "asked",
        "at",
        "book",
        "breached",
        "cursor",
        "entries",
        "facts",
        "orders",
        "peak",
        "placed",
        "snapshots",
        "steps",
        "trips",
        "value",
        "volumes",
    )

    def __init__(self, account: Account, at: int, wanted: Callable[[str], bool]) -> None:
        """Begin with the account as it is.

        Args:
            account: whose change.
            at: when it happens.
            wanted: which types of facts somebody waits for.
        """
        self.account = account
        self.at = at
        self.book = account.book
        self.value = account.marked
        self.peak = account.peak
        self.breached = account.breached
        self.cursor = (account.cursor, account.cursor_opened)
        self.entries: list[Entry] = []
        self.placed: list[Order] = []
        self.steps: list[OrderChange] = []
        self.facts: list[Fact] = []
        self.snapshots: list[Snapshot] = []
        self.orders: dict[str, Order] = {}
        self.asked: list[str] = []
        self.volumes = account.volumes
        self.trips: list[RoundTrip | None] = []
        self._wanted = wanted
        self._memory: dict[str, Any] | None = None
        self._forked = False

    # --- entries -------------------------------------------------------------------------

    def book_cash(
        self,
        kind: EntryKind,
        amount: Decimal,
        currency: str,
        note: str | None = None,
        external_id: str | None = None,
    ) -> None:
        """Book cash that comes in (or goes out, below 0): a deposit, or a charge."""
        before = self.value
        self.book_entry(
            Entry(
                self.account.terms.name,
                self.book.seq + 1,
                kind,
                self.at,
                currency,
                amount,
                external_id=external_id,
                note=note,
            )
        )
        if kind is EntryKind.CASH:
            if currency == self.account.terms.currency:
                self.peak = moved_peak(self.peak, before, amount)
            elif before is not None and self.value is not None:
                self.peak = moved_peak(self.peak, before, self.value - before)

    def book_entry(self, entry: Entry) -> None:
        """Add a line, numbered on from the last."""
        if not self._forked:
            self.book, self._forked = self.book.fork(), True
        self.trips.append(self.book.apply(entry))
        self.entries.append(entry)
        account = self.account
        if self.value is None or entry.currency != account.terms.currency:
            self.revalue()
        elif entry.kind is EntryKind.FILL:
            worth = entry.quantity * account.prices[entry.symbol or ""][1]
            self.value += entry.amount - entry.fee + worth
        elif entry.kind is not EntryKind.SPLIT:
            self.value += entry.amount - entry.fee

    def revalue(self) -> None:
        """Value the book at the account's prices, as they are now."""
        account = self.account
        try:
            self.value = valuation.value_of(self.book, account.prices, account.terms.currency)
        except NoPrice:
            self.value = None

    # --- orders --------------------------------------------------------------------------

    def order(self, order: Order) -> Order:
        """Return an order as the change leaves it so far."""
        return self.orders.get(order.id, order)

    def place(self, order: Order) -> None:
        """Add a new order."""
        self.placed.append(order)
        self.orders[order.id] = order

    def move(
        self,
        order: Order,
        state: OrderState,
        reason: str | None = None,
        broker_id: str | None = None,
    ) -> Order:
        """Say where an order stands now; return it."""
        step = OrderChange(order.id, state, self.at, broker_id=broker_id, reason=reason)
        return self.step(self.order(order), step)

    def step(self, order: Order, step: OrderChange) -> Order:
        """Let an order follow a change; return it."""
        moved = self.orders[order.id] = step.apply(order)
        self.steps.append(step)
        return moved

    def means(self, order: Order, volume: Decimal | None = None) -> Means:
        """Return what the account has for an order after all that was decided so far.

        Args:
            order: the order.
            volume: of the bar that it is matched against, where that is known.
        """
        account, symbol = self.account, order.symbol
        terms, taken = account.terms, ZERO
        if account.counts_volumes:
            last, taken = self.volumes.get(symbol, (None, ZERO))
            volume = last if volume is None else volume
        return Means(
            self.book.quantity(symbol),
            buying_power(terms, self.book, account.prices, order.side, account.currency_of(symbol)),
            terms.short,
            terms.lot,
            volume,
            taken,
        )

    def take(self, order: Order, match: Match) -> None:
        """Follow what a matching broker made of an order."""
        if match.execution is not None:
            order = self.fill(order, match.execution)
        if match.triggered and order.is_working and order.reason != TRIGGERED:
            order = self.move(order, OrderState.OPEN, TRIGGERED)
        if match.cancel is not None and order.is_working:
            self.move(order, OrderState.CANCELLED, match.cancel)

    def fill(self, order: Order, execution: Execution) -> Order:
        """Book a trade of an order; return the order after it.

        A fee in another currency than the symbol's is a charge of its own; one in what was
        traded makes the quantity smaller (or larger, of a sale) than the execution's.

        Raises:
            BrokerNonsense: the trade cannot be.
        """
        account, symbol = self.account, order.symbol
        order = self.order(order)
        check_execution(account.broker.kind, order, execution)
        currency = account.currency_of(symbol)
        before = self.book.quantity(symbol)
        if symbol not in account.prices:
            account.quote(symbol, execution.at, execution.price)
        sign, fee, quantity = order.side.sign, execution.fee, execution.quantity
        other = execution.fee_currency or currency
        change = sign * quantity
        if other != currency and fee:
            if other == symbol.partition("/")[0]:
                change -= fee
            fee = ZERO
        self.book_entry(
            Entry(
                account.terms.name,
                self.book.seq + 1,
                EntryKind.FILL,
                execution.at,
                currency,
                -sign * quantity * execution.price,
                fee,
                symbol,
                change,
                execution.price,
                order.id,
                order.run_id,
                order.task,
                execution.external_id,
                execution.note,
            )
        )
        if fee != execution.fee and change == sign * quantity:
            name = execution.external_id and f"{execution.external_id}:fee"
            self.book_cash(
                EntryKind.CHARGE, -execution.fee, other, f"fee of order {order.id}", name
            )
        filled = order.filled + quantity
        state = order.state
        if state in WORKING_STATES:
            state = OrderState.FILLED if filled >= order.quantity else OrderState.OPEN
        order = self.step(order, OrderChange(order.id, state, execution.at, filled=filled))
        if account.counts_volumes:
            last, taken = self.volumes.get(symbol, (ZERO, ZERO))
            self.count(symbol, last, taken + quantity)
        if self._wanted(fact.ORDER_FILLED):
            self.facts.append(fact.order_filled(order, execution))
        if self._wanted(fact.POSITION_CHANGE):
            self._tell_position(symbol, before, execution.at)
        return order

    def _tell_position(self, symbol: str, before: Decimal, at: int) -> None:
        account, exposure = self.account, None
        with contextlib.suppress(NoPrice):
            exposure = valuation.worth_of_positions(
                self.book, account.prices, account.terms.currency
            )[1]
        self.facts.append(
            fact.position_change(
                account.terms.name,
                before,
                self.book.holdings[symbol],
                account.prices[symbol][1],
                exposure,
                at,
            )
        )

    # --- marks ---------------------------------------------------------------------------

    def mark(self) -> None:
        """Let the value that was reached raise the peak, or breach the drawdown limit."""
        value, limit = self.value, self.account.terms.max_drawdown
        if value is None:
            return
        self.peak = max(self.peak, value)
        if limit is None:
            return
        floor, rearm = drawdown_limits(self.peak, limit)
        if self.breached:
            self.breached = value < rearm
        elif value < floor:
            self.breached = True
            if self._wanted(fact.DRAWDOWN_BREACH):
                name = self.account.terms.name
                self.facts.append(fact.drawdown_breach(name, value, self.peak, limit, self.at))

    def count(self, symbol: str, last: Decimal, taken: Decimal) -> None:
        """Set what the last bar's volume was, and how much of the present bar's is taken."""
        if self.volumes is self.account.volumes:
            self.volumes = dict(self.volumes)
        self.volumes[symbol] = (last, taken)

    def tell(self, told: Fact) -> None:
        """Add a fact if somebody waits for its type."""
        if self._wanted(told.type):
            self.facts.append(told)

    def remember(self, name: str, value: Any) -> None:
        """Keep a JSON value with the account; nothing is written for its sake alone."""
        if self.memory.get(name) != value:
            self._memory = {**self.memory, name: value}

    @property
    def memory(self) -> Mapping[str, Any]:
        """What is kept with the account."""
        return self.account.memory if self._memory is None else self._memory

    # --- the change ----------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it needs to be written."""
        return not (
            self.entries
            or self.placed
            or self.steps
            or self.facts
            or self.snapshots
            or self.asked
            or self.breached != self.account.breached
        )

    def change(self, holder: Holder | None = None) -> Change:
        """Return what the ledger is asked to record."""
        account = self.account
        sync = dict(self.memory)
        if account.counts_volumes:
            sync["volumes"] = {
                symbol: [plain(last), plain(taken)]
                for symbol, (last, taken) in self.volumes.items()
            }
        record = AccountRecord(
            *account.record[:6],
            self.book.seq,
            self.peak,
            *self.cursor,
            dict(account.prices),
            self.breached,
            sync,
        )
        return Change(
            record,
            self.entries,
            self.placed,
            self.steps,
            self.snapshots,
            self.facts,
            holder,
            self.asked,
        )
