"""Dealer: makes orders of tickets, each once.

Money is never moved twice. An order of a run has an id made from the run and its number in
it; it is stored before it is sent. An attempt that comes again finds it, asks the broker
when nobody knows whether it was sent, and only sends what the broker never saw, under the
same id.
"""

from __future__ import annotations

from collections.abc import Mapping

from closingbell.core.bar import Quote
from closingbell.core.clock import Clock
from closingbell.core.error import OrderRefused
from closingbell.core.ledger import Holder
from closingbell.core.order import Order, OrderState, client_order_id
from closingbell.trading.account import Account
from closingbell.trading.admission import admit, sound
from closingbell.trading.attempt_orders import AttemptBook, AttemptOrders, counts
from closingbell.trading.bookkeeper import Bookkeeper
from closingbell.trading.courier import Courier
from closingbell.trading.draft import Draft
from closingbell.trading.placement import Placement
from closingbell.trading.ticket import Ticket


class Dealer:
    """Takes tickets to brokers; its methods are those of the desk."""

    def __init__(
        self, bookkeeper: Bookkeeper, clock: Clock, accounts: Mapping[str, Account]
    ) -> None:
        self._books = bookkeeper
        self._clock = clock
        self._courier = Courier(bookkeeper, clock)
        self._attempts = AttemptBook(bookkeeper.ledger, accounts)

    def place(
        self, account: Account, ticket: Ticket, holder: Holder | None, by: Placement
    ) -> Order:
        """Place an order, once; `Desk.place` says how."""
        ticket = sound(ticket)
        attempt = self._attempts.of(by)
        with attempt.lock, account.lane:
            while (met := attempt.meet(ticket)) is not None:
                met = self._courier.current(account, met)
                if met.state is OrderState.NEW:
                    met = self._courier.meet(account, met, holder)
                # Recovery may have cancelled it a moment ago: then it is placed anew.
                if by.run_id is None or counts(met):
                    return met
            if account.broker.matches:
                return self._store(account, ticket, attempt, holder)
            self._ask_price(account, ticket)
            order = self._store(account, ticket, attempt, holder)
            self._courier.send(account, order, holder)
            return self._courier.newest(account, order)

    def earlier(self, ticket: Ticket, by: Placement) -> Order | None:
        """Return the order that `place` would return for a ticket, and leave it to be met."""
        attempt = self._attempts.of(by)
        with attempt.lock:
            return attempt.meet(ticket, leave=True)

    def _store(
        self, account: Account, ticket: Ticket, attempt: AttemptOrders, holder: Holder | None
    ) -> Order:
        """Write an order down; a matching broker has it with that."""
        now, broker = self._clock.micros(), account.broker
        order_id, ordinal = attempt.new_id(ticket), attempt.next_ordinal()

        def decide() -> Draft:
            draft = self._books.draft(account, now)
            record = account.record
            # Each change raises the version: no other order of the account has this id.
            chosen = order_id or client_order_id(f"{record.name}@{record.version}", 0)
            order = admit(account, ticket, attempt.by, chosen, ordinal, now)
            if broker.matches:
                draft.place(order)
                accept(draft, order)
            else:
                draft.place(broker.fit(order))
            return draft

        with account.lock:
            draft = self._books.settle(account, decide, holder)
        attempt.ordinal = ordinal
        return draft.orders[draft.placed[0].id]

    def _ask_price(self, account: Account, ticket: Ticket) -> None:
        """Let a broker tell a price that nobody knows yet."""
        if ticket.symbol not in account.prices:
            quote = account.broker.quote(ticket.symbol)
            if quote is not None:
                with account.lock:
                    account.quote(quote.symbol, quote.at, quote.price)
                    account.revalue()

    def cancel(self, account: Account, order_id: str, holder: Holder | None) -> Order:
        """Cancel an order; `Desk.cancel` says how."""
        with account.lane:
            order = account.orders.get(order_id) or self._books.ledger.order(order_id)
            if order is None or order.account != account.terms.name:
                name = account.terms.name
                raise OrderRefused("order_id", order_id, f"the id of an order of account {name!r}")
            if not order.is_working:
                return order
            if not account.broker.matches:
                return self._courier.cancel(account, order, holder)
            by_hand = holder is None
            self._courier.move(account, order, OrderState.CANCELLED, "cancelled", holder, by_hand)
            return self._courier.current(account, order)

    def sync(self, account: Account) -> int:
        """Book what happened at a remote broker; `Desk.sync` says how."""
        if account.broker.matches:
            return 0
        with account.lane:
            return self._courier.sync(account)

    def recover(self, account: Account, patience_s: float) -> list[Order]:
        """Settle the orders that were stored and perhaps never sent; `Desk.recover` says how."""
        with account.lane:
            return self._courier.recover(account, patience_s)


def decide_end(draft: Draft) -> Draft:
    """No more market data will come: a paper broker fills what it can."""
    for order in draft.account.ranked():
        accept(draft, order)
    return draft


def accept(draft: Draft, order: Order) -> None:
    """Let a matching broker say what becomes of an order that it has, without new data."""
    account = draft.account
    known = account.prices.get(order.symbol)
    if known is None:
        return
    closed = known[0] == order.effective_at == account.cursor and not account.cursor_opened
    match = account.broker.on_order(
        order,
        Quote(order.symbol, *known),
        draft.means(order),
        closed=closed,
        ended=account.ended,
    )
    draft.take(order, match)
    if draft.entries:
        draft.mark()
