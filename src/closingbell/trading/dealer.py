"""Dealer: places and cancels orders, and asks brokers what became of them.

Money is never moved twice. An order of a run has an id made from the run and its number in
it; it is stored before it is sent. An attempt that comes again finds it, asks the broker
when nobody knows whether it was sent, and only sends what the broker never saw, under the
same id.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

from closingbell.core.bar import Quote
from closingbell.core.clock import Clock
from closingbell.core.error import (
    BrokerError,
    BrokerNonsense,
    BrokerRejected,
    BrokerUnavailable,
    FenceLost,
    OrderRefused,
)
from closingbell.core.ledger import Holder, OrderChange
from closingbell.core.order import Order, OrderState, OrderType, Side, client_order_id
from closingbell.trading.account import Account
from closingbell.trading.admission import admit, sound
from closingbell.trading.bookkeeper import Bookkeeper
from closingbell.trading.broker.protocol import Activity, Execution, OrderReport
from closingbell.trading.draft import Draft
from closingbell.trading.placement import Placement
from closingbell.trading.ticket import Ticket

#: The reason of an order that the broker never saw.
NEVER_SENT = "it never reached the broker"
#: Of so many attempts it is known which orders of earlier attempts they met again.
_REMEMBERED = 10_000


class _Attempt:
    """The orders of earlier attempts that this one has not met again, and the last ordinal."""

    __slots__ = ("found", "ordinal")

    def __init__(self, found: list[Order], ordinal: int) -> None:
        self.found = found
        self.ordinal = ordinal


class Dealer:
    """Takes tickets to brokers; its methods are those of the desk."""

    def __init__(
        self, bookkeeper: Bookkeeper, clock: Clock, accounts: Mapping[str, Account]
    ) -> None:
        self._books = bookkeeper
        self._clock = clock
        self._accounts = accounts
        self._attempts: OrderedDict[tuple[str, int, int], _Attempt] = OrderedDict()
        self._lock = Lock()

    # --- placing -------------------------------------------------------------------------

    def place(
        self, account: Account, ticket: Ticket, holder: Holder | None, by: Placement
    ) -> Order:
        """Place an order, once; `Desk.place` says how."""
        ticket = sound(ticket)
        with account.lane:
            attempt = self._attempt(by)
            met, order_id = self._met(account, ticket, by, attempt)
            if met is not None:
                return self._meet(account, met, holder)
            ordinal = attempt.ordinal + 1 if by.run_id is not None else 0
            if not account.broker.matches:
                self._ask_price(account, ticket)
            order = self._store(account, ticket, by, order_id, ordinal, holder)
            attempt.ordinal = ordinal
            if account.broker.matches:
                return order
            self._send(account, order, holder)
            return self._newest(account, order)

    def earlier(self, account: Account, ticket: Ticket, by: Placement) -> Order | None:
        """Return the order that `place` would return for a ticket, and leave it to be met."""
        with account.lane:
            if ticket.key is not None:
                return self._keyed(account, ticket, by)[0]
            wanted = _shape(ticket)
            return next((o for o in self._attempt(by).found if _shape(o) == wanted), None)

    def _attempt(self, by: Placement) -> _Attempt:
        """Return what is known of the attempt that places an order."""
        if by.run_id is None:
            return _Attempt([], 0)
        key = (by.run_id, by.fence, by.attempt)
        with self._lock:
            known = self._attempts.get(key)
            if known is not None:
                self._attempts.move_to_end(key)
                return known
        ledger = self._books.ledger
        orders = [
            order for name in self._accounts for order in ledger.orders(name, run_id=by.run_id)
        ]
        orders.sort(key=lambda order: order.ordinal)
        earlier = [
            order
            for order in orders
            if order.fence < by.fence
            and order.id == client_order_id(by.run_id, order.ordinal)
            and _counts(order)
        ]
        made = _Attempt(earlier, orders[-1].ordinal if orders else 0)
        with self._lock:
            self._attempts[key] = made
            if len(self._attempts) > _REMEMBERED:
                self._attempts.popitem(last=False)
        return made

    def _met(
        self, account: Account, ticket: Ticket, by: Placement, attempt: _Attempt
    ) -> tuple[Order | None, str | None]:
        """Return the order that a ticket is about already, or the id of the one to be made.

        No id is one that the account gives.
        """
        if ticket.key is not None:
            return self._keyed(account, ticket, by)
        for place, order in enumerate(attempt.found):
            if _shape(order) == _shape(ticket):
                return attempt.found.pop(place), None
        if by.run_id is None:
            return None, None
        return None, client_order_id(by.run_id, attempt.ordinal + 1)

    def _keyed(
        self, account: Account, ticket: Ticket, by: Placement
    ) -> tuple[Order | None, str | None]:
        key, number = ticket.key or "", 0
        if not key.strip():
            raise OrderRefused("key", ticket.key, "a name for the order, or none")
        while True:
            order_id = key if by.run_id is None else client_order_id(f"{by.run_id}/{key}", number)
            order = self._books.ledger.order(order_id)
            if order is None:
                return None, order_id
            if order.account != account.terms.name or order.run_id != by.run_id:
                raise OrderRefused("key", key, "a name that no other order has")
            if by.run_id is None or _counts(order):
                return order, order_id
            number += 1

    def _store(
        self,
        account: Account,
        ticket: Ticket,
        by: Placement,
        order_id: str | None,
        ordinal: int,
        holder: Holder | None,
    ) -> Order:
        """Write an order down; a matching broker has it with that."""
        now = self._clock.micros()

        def decide() -> Draft:
            draft = self._books.draft(account, now)
            record = account.record
            # Each change raises the version: no other order of the account has this id.
            chosen = order_id or client_order_id(f"{record.name}@{record.version}", 0)
            order = admit(account, ticket, by, chosen, ordinal, now)
            if not account.broker.matches:
                order = account.broker.fit(order)
            draft.place(order)
            if account.broker.matches:
                accept(draft, draft.move(order, OrderState.OPEN))
            return draft

        with account.lock:
            draft = self._books.settle(account, decide, holder)
            return draft.orders[draft.placed[0].id]

    def _ask_price(self, account: Account, ticket: Ticket) -> None:
        """Let a broker tell a price that nobody knows yet."""
        if ticket.symbol not in account.prices:
            quote = account.broker.quote(ticket.symbol)
            if quote is not None and quote.price.is_finite() and quote.price > 0:
                with account.lock:
                    account.quote(quote.symbol, quote.at, quote.price)
                    account.revalue()

    # --- sending -------------------------------------------------------------------------

    def _send(self, account: Account, order: Order, holder: Holder | None) -> None:
        """Send an order that is stored: once, and once more if the broker never saw it.

        Raises:
            BrokerRejected: it does not trade.
            BrokerError: nobody knows; the order stays new.
            FenceLost: the attempt may not trade any more; the order stays new.
        """
        broker = account.broker
        for again in (True, False):
            try:
                report = _sound_report(broker.kind, broker.submit(order))
            except BrokerRejected as problem:
                self._reject(account, order, problem.problem)
                raise
            except Exception as problem:
                # It may have arrived: only the broker knows.
                try:
                    found = _sound_report(broker.kind, broker.find(order), missing=True)
                except Exception:
                    raise _as_broker_error(broker.kind, problem) from problem
                if found is None:
                    if not again:
                        raise _as_broker_error(broker.kind, problem) from problem
                    order = self._stamp(account, order, holder)
                    if order.state is not OrderState.NEW:
                        return
                    continue
                report = found
            self._follow(account, order, report)
            return

    def _stamp(self, account: Account, order: Order, holder: Holder | None) -> Order:
        """Write down that an order is sent again now; return it as it stands.

        What was sent before and is late may be refused by this instant, so that two attempts
        never have the same order on its way.

        Raises:
            FenceLost: the attempt may not trade any more.
        """
        now = self._clock.micros()

        def decide() -> Draft:
            draft = self._books.draft(account, now)
            current = self.current(account, order)
            if current.state is OrderState.NEW:
                draft.step(current, OrderChange(current.id, OrderState.NEW, now))
            return draft

        with account.lock:
            draft = self._books.settle(account, decide, holder)
            return draft.orders.get(order.id) or self.current(account, order)

    def _follow(self, account: Account, order: Order, report: OrderReport | None) -> None:
        """Write down what the broker says of an order.

        Raises:
            BrokerRejected: it does not want it.
        """
        if report is None:
            return
        if report.state is OrderState.REJECTED:
            reason = report.reason or "no reason was given"
            self._reject(account, order, reason)
            raise BrokerRejected(account.broker.kind, reason)
        now = self._clock.micros()

        def decide() -> Draft:
            draft = self._books.draft(account, now)
            _report(draft, self.current(account, order), report)
            return draft

        with account.lock:
            self._books.settle(account, decide)

    def _reject(self, account: Account, order: Order, reason: str) -> None:
        self._move(account, order, OrderState.REJECTED, reason)

    def _move(
        self,
        account: Account,
        order: Order,
        state: OrderState,
        reason: str,
        holder: Holder | None = None,
    ) -> None:
        now = self._clock.micros()

        def decide() -> Draft:
            draft = self._books.draft(account, now)
            current = self.current(account, order)
            if current.is_working:
                draft.move(current, state, reason)
            return draft

        with account.lock:
            self._books.settle(account, decide, holder)

    def current(self, account: Account, order: Order) -> Order:
        """Return an order as it stands now."""
        working = account.orders.get(order.id)
        return working or self._books.ledger.order(order.id) or order

    def _newest(self, account: Account, order: Order) -> Order:
        """Return an order after the broker was asked for its trades, if it answers."""
        with contextlib.suppress(BrokerError):
            self.sync(account)
        return self.current(account, order)

    # --- orders of which nobody knows whether they were sent -------------------------------

    def _meet(self, account: Account, order: Order, holder: Holder | None) -> Order:
        """Return an order of an earlier attempt; send it if the broker never saw it."""
        order = self.current(account, order)
        if order.state is not OrderState.NEW:
            return order
        with self._books.ledger.holding(f"order {order.id}"):
            order = self._books.ledger.order(order.id) or order
            if order.state is OrderState.NEW:
                report = _sound_report(
                    account.broker.kind, account.broker.find(order), missing=True
                )
                if report is None:
                    order = self._stamp(account, order, holder)
                    if order.state is OrderState.NEW:
                        self._send(account, order, holder)
                else:
                    self._follow(account, order, report)
        return self._newest(account, order)

    def recover(self, account: Account, patience_s: float) -> list[Order]:
        """Settle the orders that were stored and perhaps never sent; `Desk.recover` says how."""
        left = []
        with account.lane:
            with account.lock:
                account.refresh(self._books.ledger)
                doubtful = [o for o in account.ranked() if o.state is OrderState.NEW]
            for order in doubtful:
                with (
                    self._books.ledger.holding(f"order {order.id}"),
                    contextlib.suppress(BrokerRejected),
                ):
                    self._recover(account, order, patience_s)
                left.append(self.current(account, order))
        return left

    def _recover(self, account: Account, order: Order, patience_s: float) -> None:
        order = self._books.ledger.order(order.id) or order
        if order.state is not OrderState.NEW:
            return
        broker = account.broker
        report = _sound_report(broker.kind, broker.find(order), missing=True)
        if report is not None:
            self._follow(account, order, report)
            return
        age_s = (self._clock.micros() - order.created_at) / 1_000_000
        if age_s >= patience_s and not self._is_sending(account, order):
            self._move(account, order, OrderState.CANCELLED, NEVER_SENT)

    def _is_sending(self, account: Account, order: Order) -> bool:
        """Return whether the attempt that made an order still holds its run."""
        if order.run_id is None:
            return False
        try:
            self._books.check(account, Holder(order.run_id, order.fence))
        except FenceLost:
            return False
        return True

    # --- cancelling ----------------------------------------------------------------------

    def cancel(self, account: Account, order_id: str, holder: Holder | None) -> Order:
        """Cancel an order; `Desk.cancel` says how."""
        with account.lane:
            known = account.orders.get(order_id) or self._books.ledger.order(order_id)
            if known is None or known.account != account.terms.name:
                name = account.terms.name
                raise OrderRefused("order_id", order_id, f"the id of an order of account {name!r}")
            if not known.is_working:
                return known
            if account.broker.matches:
                self._move(account, known, OrderState.CANCELLED, "cancelled", holder)
                return self.current(account, known)
            self._books.check(account, holder)
            if known.state is OrderState.NEW:
                self._cancel_doubtful(account, known, holder)
                known = self.current(account, known)
            if known.is_working:
                report = _sound_report(account.broker.kind, account.broker.cancel(known))
                self._follow(account, known, report)
            return self._newest(account, known)

    def _cancel_doubtful(self, account: Account, order: Order, holder: Holder | None) -> None:
        broker = account.broker
        report = _sound_report(broker.kind, broker.find(order), missing=True)
        if report is not None:
            self._follow(account, order, report)
            return
        own = holder is not None and holder.run_id == order.run_id
        if not own and self._is_sending(account, order):
            raise BrokerUnavailable(broker.kind, f"order {order.id} is on its way; ask again")
        self._move(account, order, OrderState.CANCELLED, NEVER_SENT)

    # --- news ----------------------------------------------------------------------------

    def sync(self, account: Account) -> int:
        """Book what happened at a remote broker; `Desk.sync` says how."""
        if account.broker.matches:
            return 0
        with account.lane:
            with account.lock:
                if self._books.shared:
                    account.refresh(self._books.ledger)
                working = account.ranked()
            told = account.broker.activity(working, account.memory.get("broker", {}))
            if not isinstance(told, Activity):
                raise BrokerNonsense(account.broker.kind, f"activity is {told!r}")
            now = self._clock.micros()
            with account.lock:
                draft = self._books.settle(account, lambda: self._booked(account, told, now))
                return len(draft.entries)

    def _booked(self, account: Account, told: Activity, now: int) -> Draft:
        draft, kind = self._books.draft(account, now), account.broker.kind
        booked: set[str] = set()
        for execution in told.executions:
            order = self._order_of(account, draft, execution.order_id)
            if order is None:
                continue
            name = execution.external_id or f"{order.id}@{execution.at}"
            if name in account.known or name in booked:
                continue
            booked.add(name)
            _check_execution(kind, order, execution)
            draft.fill(order, execution._replace(external_id=name))
        for report in told.reports:
            _sound_report(kind, report)
            order = self._order_of(account, draft, report.order_id)
            if order is not None:
                _report(draft, order, report)
        draft.mark()
        draft.remember("broker", dict(told.sync))
        return draft

    def _order_of(self, account: Account, draft: Draft, order_id: str | None) -> Order | None:
        """Return an order of the account, or None for one that did not come from here."""
        if order_id is None:
            return None
        order = draft.orders.get(order_id) or account.orders.get(order_id)
        order = order or self._books.ledger.order(order_id)
        return order if order is not None and order.account == account.terms.name else None


def _shape(asked: Order | Ticket) -> tuple[str, str, Side, OrderType]:
    """Return by what an attempt that comes again knows its orders."""
    return (asked.account, asked.symbol, asked.side, asked.type)


def _counts(order: Order) -> bool:
    """Whether an order was or may be traded: one that certainly was not is made anew."""
    if order.state is OrderState.REJECTED:
        return False
    return not (order.state is OrderState.CANCELLED and order.reason == NEVER_SENT)


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


def _report(draft: Draft, order: Order, report: OrderReport) -> None:
    """Let an order follow its broker's report; how much has traded is what executions say.

    It ends when all that it traded is booked: its trades would not be asked for any more.
    """
    state = order.state
    if state is OrderState.NEW:
        state = OrderState.OPEN
    if order.is_working and report.state in _ENDED and report.filled <= order.filled:
        state = report.state
    broker_id = report.broker_id if report.broker_id != order.broker_id else None
    if state is not order.state or broker_id is not None:
        draft.step(
            order, OrderChange(order.id, state, draft.at, broker_id=broker_id, reason=report.reason)
        )


_ENDED = (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED)


def _sound_report(kind: str, report: Any, missing: bool = False) -> Any:
    """Return a broker's answer if it is one.

    Raises:
        BrokerNonsense: it is not.
    """
    if report is None and missing:
        return None
    if not isinstance(report, OrderReport) or not isinstance(report.state, OrderState):
        raise BrokerNonsense(kind, f"the answer {report!r} says nothing of an order")
    return report


def _check_execution(kind: str, order: Order, execution: Execution) -> None:
    """Refuse a trade that cannot be; nothing of the answer is booked then."""
    quantity, price, fee = execution.quantity, execution.price, execution.fee
    if not (quantity.is_finite() and price.is_finite() and fee.is_finite()):
        raise BrokerNonsense(kind, f"a trade of order {order.id} has amounts that are no numbers")
    if quantity <= 0 or price <= 0 or fee < 0:
        raise BrokerNonsense(
            kind, f"a trade of order {order.id} says {quantity} at {price}, fee {fee}"
        )
    if order.filled + quantity > order.quantity:
        raise BrokerNonsense(
            kind,
            f"order {order.id} of {order.quantity} would have traded {order.filled + quantity}",
        )


def _as_broker_error(kind: str, problem: Exception) -> BrokerError:
    if isinstance(problem, BrokerError):
        return problem
    return BrokerNonsense(kind, f"{type(problem).__name__}: {problem}")
