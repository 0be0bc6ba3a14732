"""Desk: the accounts of one process, the market data that passes them, and their orders.

A moment of market data is decided purely (from the account and the data to one `Change`)
and then recorded once. A moment that changes nothing but prices writes nothing: prices, peak
and cursor travel with the next change. After a restart the walk goes on from the stored
cursor and comes to the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial

from closingbell.core.amount import ONE, QUANTUM, ZERO, plain, to_decimal
from closingbell.core.bar import CorporateAction, Quote, Slice, Split, timeframe_seconds
from closingbell.core.clock import Clock
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.error import NoPrice, OrderRefused, SettingError, UnknownAccount
from closingbell.core.ledger import AccountRecord, Holder, Ledger, Snapshot
from closingbell.core.order import Order, OrderState
from closingbell.trading import fact
from closingbell.trading.account import CLOSE, OPEN, Account
from closingbell.trading.bookkeeper import Bookkeeper
from closingbell.trading.broker.protocol import Broker
from closingbell.trading.dealer import Dealer, accept
from closingbell.trading.draft import Draft
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
        _check_terms(terms)
        now = self.clock.micros()
        cash = terms.cash
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
        told = books.wants(fact.MARKET_DATA_UPDATE)
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
                    books.settle(account, partial(self._closed, account, at, slices, tells))
                elif moved and account.watch():
                    books.settle(account, partial(self._marked, account, at, (at, False)))
                else:
                    account.cursor, account.cursor_opened = at, False

    def _closed(self, account: Account, at: int, slices: Sequence[Slice], tells: bool) -> Draft:
        draft = self._books.draft(account, at)
        draft.cursor = (at, False)
        broker = account.broker
        bars = {bar.symbol: bar for part in slices for bar in part.bars}
        if broker.matches:
            for order in account.ranked():
                bar = bars.get(order.symbol)
                if bar is not None:
                    draft.take(order, broker.on_bar(bar, order, draft.means(order, bar.volume)))
        if account.counts_volumes:
            for symbol, bar in bars.items():
                taken = draft.volumes.get(symbol, (ZERO, ZERO))[1]
                draft.count(symbol, bar.volume, taken)
        draft.mark()
        if tells:
            draft.tell(fact.market_data_update(account.terms.timeframe, bars, at))
        return draft

    def opening(self, at: int, slices: Sequence[Slice], timeframe: str | None = None) -> None:
        """Let bars start now: corporate actions, fills at their first prices, marks, facts.

        Arguments as `closing`, which comes first where both have something of one instant.
        """
        books = self._books
        for account in self._walked.get(timeframe, ()):
            with account.lock:
                if books.shared:
                    account.refresh(self.ledger)
                cursor = account.cursor
                if at < cursor or (at == cursor and account.cursor_opened):
                    continue
                account.ended = False
                decides = account.counts_volumes or bool(account.orders)
                for part in slices:
                    if part[3]:
                        decides = True
                        _follow_splits(account, part[3])
                moved = account.mark(at, slices, OPEN)
                if decides:
                    books.settle(account, partial(self._opened, account, at, slices))
                elif moved and account.watch():
                    books.settle(account, partial(self._marked, account, at, (at, True)))
                else:
                    account.cursor, account.cursor_opened = at, True

    def _opened(self, account: Account, at: int, slices: Sequence[Slice]) -> Draft:
        draft = self._books.draft(account, at)
        draft.cursor = (at, True)
        for part in slices:
            for action in part.actions:
                draft.act(action)
        draft.revalue()
        broker = account.broker
        bars = {bar.symbol: bar for part in slices for bar in part.bars}
        if account.counts_volumes:
            for symbol in bars:
                draft.count(symbol, draft.volumes.get(symbol, (ZERO, ZERO))[0], ZERO)
        if broker.matches:
            for order in account.ranked():
                bar, order = bars.get(order.symbol), draft.order(order)
                if bar is not None and order.is_working:
                    quote = Quote(bar.symbol, at, bar.open)
                    draft.take(order, broker.on_open(quote, order, draft.means(order)))
        draft.mark()
        return draft

    def _marked(self, account: Account, at: int, cursor: tuple[int, bool]) -> Draft:
        draft = self._books.draft(account, at)
        draft.cursor = cursor
        draft.mark()
        return draft

    def quotes(self, account: str, quotes: Sequence[Quote]) -> None:
        """Take live prices: marks, and fills where the broker matches. Older ones are left out.

        The pairs of foreign currencies, such as "EUR/USD", are told like any other symbol.
        """
        held = self.account(account)
        with held.lock:
            if self._books.shared:
                held.refresh(self.ledger)
            fresh = {
                quote.symbol: quote
                for quote in quotes
                if quote.price > 0 and held.quote(quote.symbol, quote.at, quote.price)
            }
            if not fresh:
                return
            held.revalue()
            at = max(quote.at for quote in fresh.values())
            if held.orders and held.broker.matches:
                self._books.settle(held, partial(self._quoted, held, at, fresh))
            elif held.watch():
                cursor = (held.cursor, held.cursor_opened)
                self._books.settle(held, partial(self._marked, held, at, cursor))

    def _quoted(self, account: Account, at: int, quotes: Mapping[str, Quote]) -> Draft:
        draft = self._books.draft(account, at)
        for order in account.ranked():
            quote = quotes.get(order.symbol)
            if quote is not None:
                draft.take(order, account.broker.on_quote(quote, order, draft.means(order)))
        draft.mark()
        return draft

    def end_of_data(self, names: Iterable[str] | None = None) -> None:
        """Say that no more market data will come, until some does.

        A paper broker then fills market orders, working ones among them, at the last price.

        Args:
            names: of which accounts; None = of all.
        """
        for account in self._named(names):
            with account.lock:
                account.ended = True
                if account.orders and account.broker.matches:
                    self._books.settle(account, partial(self._ended, account))

    def _ended(self, account: Account) -> Draft:
        draft = self._books.draft(account, self.clock.micros())
        for order in account.ranked():
            accept(draft, order)
        return draft

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
                        decide = partial(self._day_closed, account, at, session_date)
                        self._books.settle(account, decide)
                        worth = _worth(account, at)
                        account.day = worth and (worth.value, worth.flows)

    def _day_closed(self, account: Account, at: int, session_date: str) -> Draft:
        draft = self._books.draft(account, at)
        if account.broker.matches:
            for order in account.ranked():
                if order.time_in_force == "day" and order.effective_at <= at:
                    draft.move(order, OrderState.EXPIRED, "the session is over")
        draft.remember("daily_close", at)
        if self._books.wants(fact.DAILY_CLOSE):
            worth, change = _worth(account, at), None
            if worth is not None:
                value, flows = account.day or (ZERO, ZERO)
                change = (worth.value - worth.flows) - (value - flows)
            draft.tell(fact.daily_close(account.terms.name, session_date, at, worth, change))
        return draft

    def snapshot(self, at: int, names: Iterable[str] | None = None) -> None:
        """Store what accounts are worth; one that cannot be valued has no point at `at`.

        Args:
            at: the instant; a point that is there already is replaced.
            names: of which accounts; None = of all.
        """
        for account in self._named(names):
            with account.lock:
                self._books.settle(account, partial(self._snapped, account, at))

    def _snapped(self, account: Account, at: int) -> Draft:
        draft = self._books.draft(account, at)
        worth = _worth(account, at)
        if worth is not None:
            draft.snapshots.append(worth)
        return draft

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
        return self._dealer.earlier(self.account(ticket.account), ticket, by)

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


def _follow_splits(account: Account, actions: Iterable[CorporateAction]) -> None:
    for action in actions:
        if isinstance(action, Split):
            account.split(action.symbol, action.at, action.ratio)


def _worth(account: Account, at: int) -> Snapshot | None:
    try:
        return account.worth(at)
    except NoPrice:
        return None


def _check_terms(terms: AccountTerms) -> None:
    """Refuse terms that cannot be meant."""
    if not terms.name.strip():
        raise SettingError("account", terms.name, "a name")
    if not terms.currency.strip():
        raise SettingError("currency", terms.currency, "a currency such as 'USD'")
    for name, value, least in (
        ("cash", terms.cash, ZERO),
        ("leverage", terms.leverage, ONE),
        ("lot", terms.lot, QUANTUM),
    ):
        if value is not None and not (value.is_finite() and value >= least):
            raise SettingError(name, value, f"a number not below {plain(least)}")
    limit = terms.max_drawdown
    if limit is not None and not (limit.is_finite() and 0 < limit <= 1):
        raise SettingError("max_drawdown", limit, "a fraction above 0 and at most 1, or None")
    timeframe_seconds(terms.timeframe)
