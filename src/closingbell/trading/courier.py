"""Courier: takes stored orders to a remote broker, and finds out what became of them.

Whether an order arrived is only known from the broker. An answer that is missing is asked
for; only what the broker never saw is sent again, under the same id.
"""

from __future__ import annotations

import contextlib

from closingbell.core.clock import Clock
from closingbell.core.error import BrokerError, BrokerRejected, BrokerUnavailable, FenceLost
from closingbell.core.ledger import Holder, OrderChange
from closingbell.core.order import Order, OrderState
from closingbell.trading.account import Account
from closingbell.trading.attempt_orders import NEVER_SENT
from closingbell.trading.bookkeeper import Bookkeeper
from closingbell.trading.broker.protocol import OrderReport
from closingbell.trading.broker_answer import book_activity, follow_report
from closingbell.trading.draft import Draft


class Courier:
    """Talks to remote brokers; its callers hold the account's `lane`."""

    def __init__(self, bookkeeper: Bookkeeper, clock: Clock) -> None:
        self._books = bookkeeper
        self._clock = clock

    def current(self, account: Account, order: Order) -> Order:
        """Return an order as it stands now."""
        working = account.orders.get(order.id)
        return working or self._books.ledger.order(order.id) or order

    def newest(self, account: Account, order: Order) -> Order:
        """Return an order after the broker was asked for its trades, if it answers."""
        with contextlib.suppress(BrokerError):
            self.sync(account)
        return self.current(account, order)

    # --- sending -------------------------------------------------------------------------

    def send(self, account: Account, order: Order, holder: Holder | None) -> None:
        """Send an order that is stored: once, and once more if the broker never saw it.

        Raises:
            BrokerRejected: it does not trade.
            BrokerError: nobody knows; the order stays new.
            FenceLost: the attempt may not trade any more; the order stays new.
        """
        broker = account.broker
        for again in (True, False):
            try:
                report = broker.submit(order)
            except BrokerRejected as problem:
                self.move(account, order, OrderState.REJECTED, problem.problem)
                raise
            except BrokerError as problem:
                # It may have arrived: only the broker knows.
                try:
                    found = broker.find(order)
                except BrokerError:
                    raise problem from None
                if found is None:
                    if not again:
                        raise
                    order = self._stamp(account, order, holder)
                    if order.state is not OrderState.NEW:
                        return
                    continue
                report = found
            self._follow(account, order, report)
            return

    def meet(self, account: Account, order: Order, holder: Holder | None) -> Order:
        """Return an order of an earlier attempt; send it if the broker never saw it."""
        with self._books.ledger.holding(f"order {order.id}"):
            order = self._books.ledger.order(order.id) or order
            if order.state is OrderState.NEW:
                report = account.broker.find(order)
                if report is not None:
                    self._follow(account, order, report)
                else:
                    order = self._stamp(account, order, holder)
                    if order.state is OrderState.NEW:
                        self.send(account, order, holder)
        return self.newest(account, order)

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

    def _follow(
        self, account: Account, order: Order, report: OrderReport, asked: bool = False
    ) -> None:
        """Write down what the broker says of an order, and who asked for it.

        Raises:
            BrokerRejected: it does not want it.
        """
        if report.state is OrderState.REJECTED:
            reason = report.reason or "no reason was given"
            self.move(account, order, OrderState.REJECTED, reason)
            raise BrokerRejected(account.broker.kind, reason)
        now = self._clock.micros()

        def decide() -> Draft:
            draft = self._books.draft(account, now)
            follow_report(draft, self.current(account, order), report)
            if asked:
                draft.asked.append(order.id)
            return draft

        with account.lock:
            self._books.settle(account, decide)

    def move(
        self,
        account: Account,
        order: Order,
        state: OrderState,
        reason: str,
        holder: Holder | None = None,
        asked: bool = False,
    ) -> None:
        """End an order that still works; `asked`: because somebody outside of a run wants it."""
        now = self._clock.micros()

        def decide() -> Draft:
            draft = self._books.draft(account, now)
            current = self.current(account, order)
            if current.is_working:
                draft.move(current, state, reason)
                if asked:
                    draft.asked.append(order.id)
            return draft

        with account.lock:
            self._books.settle(account, decide, holder)

    # --- finding out ---------------------------------------------------------------------

    def recover(self, account: Account, patience_s: float) -> list[Order]:
        """Settle the orders that were stored and perhaps never sent; `Desk.recover` says how."""
        with account.lock:
            account.refresh(self._books.ledger)
            doubtful = [order for order in account.ranked() if order.state is OrderState.NEW]
        for order in doubtful:
            with self._books.ledger.holding(f"order {order.id}"):
                stored = self._books.ledger.order(order.id) or order
                if stored.state is OrderState.NEW:
                    with contextlib.suppress(BrokerRejected):
                        self._recover(account, stored, patience_s)
        return [self.current(account, order) for order in doubtful]

    def _recover(self, account: Account, order: Order, patience_s: float) -> None:
        report = account.broker.find(order)
        if report is not None:
            self._follow(account, order, report)
            return
        age_s = (self._clock.micros() - order.updated_at) / 1_000_000
        if age_s >= patience_s and not self._is_sending(account, order):
            self.move(account, order, OrderState.CANCELLED, NEVER_SENT)

    def _is_sending(self, account: Account, order: Order) -> bool:
        """Return whether the attempt that made an order still holds its run."""
        if order.run_id is None:
            return False
        try:
            self._books.check(account, Holder(order.run_id, order.fence))
        except FenceLost:
            return False
        return True

    def cancel(self, account: Account, order: Order, holder: Holder | None) -> Order:
        """Cancel a working order; `Desk.cancel` says how."""
        self._books.check(account, holder)
        kind = account.broker.kind
        if order.state is OrderState.NEW:
            report = account.broker.find(order)
            if report is not None:
                self._follow(account, order, report)
            else:
                own = holder is not None and holder.run_id == order.run_id
                if not own and self._is_sending(account, order):
                    raise BrokerUnavailable(kind, f"order {order.id} is on its way; ask again")
                by_hand = holder is None
                self.move(account, order, OrderState.CANCELLED, NEVER_SENT, asked=by_hand)
            order = self.current(account, order)
        if order.is_working:
            report = account.broker.cancel(order)
            self._follow(account, order, report, asked=holder is None)
        return self.newest(account, order)

    def sync(self, account: Account) -> int:
        """Book what happened at the broker; `Desk.sync` says how."""
        with account.lock:
            if self._books.shared:
                account.refresh(self._books.ledger)
            working = account.ranked()
        told = account.broker.activity(working, account.memory.get("broker", {}))
        now = self._clock.micros()

        def decide() -> Draft:
            draft = self._books.draft(account, now)
            book_activity(draft, told, self._books.ledger.order)
            return draft

        with account.lock:
            return len(self._books.settle(account, decide).entries)
