"""Desk: the accounts of one process, the market data that passes them, and their orders.

A moment of market data is decided purely (from the account and the data to one `Change`)
and then recorded once. A moment that changes nothing but prices writes nothing: prices, peak
and cursor travel with the next change. After a restart the walk goes on from the stored
cursor and comes to the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from closingbell.core.amount import plain, to_decimal
from closingbell.core.bar import Quote, Slice
from closingbell.core.clock import Clock
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.error import OrderRefused, UnknownAccount
from closingbell.core.ledger import AccountRecord, Holder, Ledger
from closingbell.core.order import Order
from closingbell.trading import fact
from closingbell.trading.account import Account
from closingbell.trading.bookkeeper import Bookkeeper
from closingbell.trading.broker.protocol import Broker
from closingbell.trading.dealer import Dealer, decide_end
from closingbell.trading.draft import Draft
from closingbell.trading.marked_book import CLOSE, OPEN
from closingbell.trading.moment import (
    decide_closing,
    decide_daily_close,
    decide_mark,
    decide_opening,
    decide_quotes,
    decide_snapshot,
)
from closingbell.trading.placement import Placement
from closingbell.trading.terms import AccountTerms
from closingbell.trading.ticket import Ticket


class Desk:
    """One per process. Every method may be called from any thread.

    Attributes:
        accounts: by name.
        ledger: where changes become true.
        clock: whose time is written to orders.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        wanted: Callable[[str], bool] = lambda _type: True,
        keep_round_trips: bool = False,
        shared: bool = False,
    ) -> None:
        """Begin without accounts.

        Args:
            ledger: the store's, or a `MemoryLedger`.
            clock: the app's.
            wanted: which types of facts somebody waits for; others are not made.
            keep_round_trips: whether accounts keep their `round_trips`.
            shared: whether other processes trade for the same accounts: each account is then
                read anew before something is decided.
        """
        self.ledger = ledger
        self.clock = clock
        self.accounts: dict[str, Account] = {}
        self._wanted = wanted
        self._keep_round_trips = keep_round_trips
        self._books = Bookkeeper(ledger, wanted, shared)
        self._dealer = Dealer(self._books, clock, self.accounts)
        #: Accounts by timeframe and, under None, all, by name.
        self._walked: dict[str | None, tuple[Account, ...]] = {}

    # --- accounts ------------------------------------------------------------------------

    def add(self, terms: AccountTerms, broker: Broker) -> Account:
        """Open an account, or open it again as it is stored.

        What it begins with is its first entry, a deposit; of an account that is there already
        the declared cash has no effect.

        Raises:
            SettingError: a term cannot be meant.
            AccountMismatch: it is stored with another currency or another kind of broker.
        """
        terms.check()
        now, cash = self.clock.micros(), terms.cash
        record = AccountRecord(terms.name, terms.currency, cash, broker.kind, now, peak=cash)
        deposit = None
        if cash:
            deposit = Entry(
                terms.name, 1, EntryKind.CASH, now, terms.currency, cash, note="opening deposit"
            )
        self.ledger.open_account(record, deposit)
        account = Account(terms, broker, self.ledger, self._keep_round_trips)
        self.accounts[terms.name] = account
        ordered = [account for _, account in sorted(self.accounts.items())]
        self._walked = {None: tuple(ordered)}
        for timeframe in {account.terms.timeframe for account in ordered}:
            self._walked[timeframe] = tuple(a for a in ordered if a.terms.timeframe == timeframe)
        return account

    def account(self, name: str) -> Account:
        """Return an account.

        Raises:
            UnknownAccount: there is none of that name.
        """
        account = self.accounts.get(name)
        if account is None:
            raise UnknownAccount(name, self.accounts)
        return account

    def refresh(self, name: str) -> bool:
        """Follow what other processes wrote of an account; return whether there was anything."""
        account = self.account(name)
        with account.lock:
            return account.refresh(self.ledger)

    # --- market data ---------------------------------------------------------------------

    def closing(self, at: int, slices: Sequence[Slice], timeframe: str | None = None) -> None:
        """Let bars that end now become known: fills by them, marks at their closes, facts.

        Everything of one instant and timeframe comes in one call. An account whose cursor is
        there or further leaves it out.

        Args:
            at: the instant, in microseconds.
            slices: what ends then.
            timeframe: only for accounts of this one; None = for all.
        """
        accounts, books = self._walked.get(timeframe, ()), self._books
        told = self._wanted(fact.MARKET_DATA_UPDATE)
        for account in accounts:
            with account.lock:
                if books.shared:
                    account.refresh(self.ledger)
                if at <= account.cursor:
                    continue
                account.ended = False
                moved = account.mark(at, slices, CLOSE)
                tells = told and account is accounts[0]
                if tells or account.orders or account.counts_volumes:
                    self._decide(account, at, decide_closing, slices, tells)
                elif moved and account.watch():
                    self._decide(account, at, decide_mark, False)
                else:
                    account.cursor, account.cursor_opened = at, False

    def opening(self, at: int, slices: Sequence[Slice], timeframe: str | None = None) -> None:
        """Let bars start now: corporate actions, fills at their first prices, marks, facts.

        Arguments as `closing`, which comes first where both have something of one instant.
        """
        for account in self._walked.get(timeframe, ()):
            with account.lock:
                if self._books.shared:
                    account.refresh(self.ledger)
                cursor = account.cursor
                if at < cursor or (at == cursor and account.cursor_opened):
                    continue
                account.ended = False
                decides = account.counts_volumes or bool(account.orders)
                for part in slices:
                    if part[3]:
                        decides = True
                        account.split(part[3])
                moved = account.mark(at, slices, OPEN)
                if decides:
                    self._decide(account, at, decide_opening, slices)
                elif moved and account.watch():
                    self._decide(account, at, decide_mark, True)
                else:
                    account.cursor, account.cursor_opened = at, True

    def quotes(self, account: str, quotes: Sequence[Quote]) -> None:
        """Take live prices: marks, and fills where the broker matches. Older ones are left out.

        The pairs of foreign currencies, such as "EUR/USD", are told like any other symbol.
        """
        quoted = self.account(account)
        with quoted.lock:
            if self._books.shared:
                quoted.refresh(self.ledger)
            fresh = {
                quote.symbol: quote
                for quote in quotes
                if quote.price > 0 and quoted.quote(quote.symbol, quote.at, quote.price)
            }
            if not fresh:
                return
            quoted.revalue()
            if quoted.orders or quoted.watch():
                at = max(quote.at for quote in fresh.values())
                self._decide(quoted, at, decide_quotes, fresh)

    def end_of_data(self, names: Iterable[str] | None = None) -> None:
        """Say that no more market data will come, until some does.

        A paper broker then fills market orders, working ones among them, at the last price.

        Args:
            names: of which accounts; None = of all.
        """
        for account in self._named(names):
            with account.lock:
                account.ended = True
                if account.broker.matches and account.orders:
                    self._decide(account, self.clock.micros(), decide_end)

    def daily_close(self, at: int, calendar: str, session_date: str) -> None:
        """End a session: "day" orders expire, and accounts of the venue tell "daily_close".

        Args:
            at: when it ended.
            calendar: whose session; accounts of other venues leave it out.
            session_date: its date, ISO.
        """
        for account in self._walked.get(None, ()):
            if account.terms.calendar == calendar:
                with account.lock:
                    if self._books.shared:
                        account.refresh(self.ledger)
                    if account.memory.get("daily_close", -1) < at:
                        self._decide(account, at, decide_daily_close, session_date)

    def snapshot(self, at: int, names: Iterable[str] | None = None) -> None:
        """Store what accounts are worth; one that cannot be valued has no point at `at`.

        Args:
            at: the instant; a point that is there already is replaced.
            names: of which accounts; None = of all.
        """
        for account in self._named(names):
            with account.lock:
                self._decide(account, at, decide_snapshot)

    def _decide(
        self, account: Account, at: int, decision: Callable[..., Draft], *data: object
    ) -> None:
        """Take a decision from the account as it is and make it true; once more if need be."""
        books = self._books
        books.settle(account, lambda: decision(books.draft(account, at), *data))

    def _named(self, names: Iterable[str] | None) -> Iterable[Account]:
        return self._walked.get(None, ()) if names is None else map(self.account, names)

    # --- orders --------------------------------------------------------------------------

    def place(self, ticket: Ticket, holder: Holder | None, by: Placement) -> Order:
        """Place an order, at most once however often its run is tried.

        An order that an earlier attempt of the run placed (same account, symbol, side and type,
        the first one not met yet; or the same key) is returned and not sent again; when nobody
        knows whether it was sent, the broker is asked first. A new one is stored before it is
        sent. What the broker rejected, or certainly never saw, is made anew.

        Args:
            ticket: what is wanted.
            holder: the attempt in whose name; None for a person.
            by: who places it, and from when it may trade.

        Raises:
            UnknownAccount: no account of that name.
            OrderRefused: the ticket cannot be meant.
            NoPrice: nobody knows what it would cost.
            InsufficientFunds: it costs more than is free.
            InsufficientPosition: it sells more than is free, without short=True.
            FenceLost: another attempt holds the run now.
            BrokerRejected: the broker does not want it; it does not trade.
            BrokerError: no answer, and nobody knows; the order stays "new", the next attempt or
                `recover` finds out.
        """
        return self._dealer.place(self.account(ticket.account), ticket, holder, by)

    def earlier(self, ticket: Ticket, by: Placement) -> Order | None:
        """Return the order that `place` would return in a ticket's stead, or None; it changes nothing.

        So an attempt that comes again knows before it works out a size, from positions and cash
        that the earlier attempts' orders have changed.

        Raises:
            UnknownAccount: no account of that name.
            OrderRefused: its key is another order's.
        """
        self.account(ticket.account)
        return self._dealer.earlier(ticket, by)

    def cancel(self, account: str, order_id: str, holder: Holder | None) -> Order:
        """Cancel an order and return it; one that does not work any more is returned as it is.

        Raises:
            OrderRefused: the account has no order of that id.
            FenceLost: another attempt holds the run now.
            BrokerError: the broker could not be asked; nothing changed.
        """
        return self._dealer.cancel(self.account(account), order_id, holder)

    def sync(self, account: str) -> int:
        """Book what happened at a remote broker; return how many entries are new.

        What is told twice is booked once; trades of orders that did not come from here are left
        to reconciliation.

        Raises:
            BrokerError: it could not be asked, or its answer cannot be; nothing was booked.
        """
        return self._dealer.sync(self.account(account))

    def recover(self, account: str, patience_s: float = 60.0) -> list[Order]:
        """Settle orders that were stored and perhaps never sent; return them as they stand now.

        The broker is asked. What it never saw is cancelled once it is `patience_s` old and no
        attempt is sending it; it is never sent late. Younger ones stay "new": the run's next
        attempt sends them.

        Raises:
            BrokerError: it could not be asked.
        """
        return self._dealer.recover(self.account(account), patience_s)

    # --- cash ----------------------------------------------------------------------------

    def deposit(
        self,
        account: str,
        amount: object,
        currency: str | None = None,
        note: str | None = None,
        external_id: str | None = None,
    ) -> Entry | None:
        """Book cash that is paid in, or out (below 0).

        Returns:
            The entry; None when `external_id` is booked already.

        Raises:
            OrderRefused: the amount is no number, or zero, or more than is free to be paid out.
        """
        return self._cash(account, EntryKind.CASH, _amount(amount), currency, note, external_id)

    def charge(
        self,
        account: str,
        amount: object,
        currency: str | None = None,
        note: str | None = None,
        external_id: str | None = None,
    ) -> Entry | None:
        """Book what an account is charged (funding, a fee), or earns as interest (below 0).

        Returns:
            The entry; None when `external_id` is booked already.

        Raises:
            OrderRefused: the amount is no number, or zero.
        """
        return self._cash(account, EntryKind.CHARGE, -_amount(amount), currency, note, external_id)

    def _cash(
        self,
        name: str,
        kind: EntryKind,
        amount: Decimal,
        currency: str | None,
        note: str | None,
        external_id: str | None,
    ) -> Entry | None:
        account = self.account(name)
        unit, now = currency or account.terms.currency, self.clock.micros()

        def decide() -> Draft:
            draft = self._books.draft(account, now)
            if external_id is not None and external_id in account.known:
                return draft
            if kind is EntryKind.CASH and amount < 0:
                free = account.free_cash(unit)
                if -amount > free:
                    raise OrderRefused("amount", plain(amount), f"at most {free} {unit} paid out")
            draft.book_cash(kind, amount, unit, note, external_id)
            draft.mark()
            return draft

        with account.lock:
            entries = self._books.settle(account, decide).entries
            return entries[0] if entries else None


def _amount(given: object) -> Decimal:
    amount = Decimal(to_decimal(given, "amount"))
    if not amount:
        raise OrderRefused("amount", given, "an amount other than 0")
    return amount
