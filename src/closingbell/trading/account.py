"""Account: one account in memory, as its ledger and the market's last prices leave it.

Who reads needs no lock: books and orders are replaced, never changed. Who writes (the
desk) holds `lock`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from closingbell.core.amount import ZERO
from closingbell.core.book import Book, RoundTrip
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.error import NoPrice
from closingbell.core.ledger import AccountRecord, Ledger, Snapshot
from closingbell.core.order import Order, Side
from closingbell.trading import valuation
from closingbell.trading.broker.heard import heard
from closingbell.trading.broker.protocol import Broker
from closingbell.trading.buying_power import buying_power, coming, reserved
from closingbell.trading.drawdown import moved_peak
from closingbell.trading.marked_book import MarkedBook
from closingbell.trading.terms import AccountTerms

if TYPE_CHECKING:
    from closingbell.trading.draft import Draft


#: Entries that are read at once.
_PART = 10_000


class Account(MarkedBook):
    """One account.

    Attributes:
        broker: who takes its orders.
        record: as it was last read or written.
        orders: working orders by id.
        cursor: market data is applied up to this instant, and with `cursor_opened` the opening
            prints of it too.
        ended: no more market data will come.
        memory: what is kept with the account as JSON values: "broker" (its own `sync`),
            "daily_close" (when the last one was), "day" (value and flows then), "volumes".
        counts_volumes: whether the broker fills by volumes, so that they must be counted.
        volumes: then, by symbol, what the last bar's was and how much of the present bar's the
            account took already.
        known: names of facts that are booked: a fact that is told twice is booked once.
        round_trips: closed parts of positions, oldest first, where the desk keeps them.
        lock: held by who changes the account.
        lane: held by who talks to the broker; taken before `lock`.
    """

    __slots__ = (
        "_ranked",
        "broker",
        "counts_volumes",
        "cursor",
        "cursor_opened",
        "ended",
        "known",
        "lane",
        "lock",
        "memory",
        "orders",
        "record",
        "round_trips",
        "volumes",
    )

    def __init__(
        self, terms: AccountTerms, broker: Broker, ledger: Ledger, keep_round_trips: bool = False
    ) -> None:
        """Read the account from the ledger.

        Raises:
            UnknownAccount: the ledger has none of that name.
        """
        record = self.record = ledger.account(terms.name)
        super().__init__(terms, record)
        self.broker = heard(broker)
        self.lock = threading.RLock()
        self.lane = threading.RLock()
        self.round_trips: list[RoundTrip] | None = [] if keep_round_trips else None
        self.ended = False
        self.known: set[str] = set()
        self.counts_volumes = broker.counts_volumes
        self.cursor, self.cursor_opened = record.cursor, record.cursor_opened
        self.memory: Mapping[str, Any] = record.sync
        self.volumes: dict[str, tuple[Decimal, Decimal]] = {
            symbol: (Decimal(last), Decimal(taken))
            for symbol, (last, taken) in record.sync.get("volumes", {}).items()
        }
        self._follow(ledger, self.book)
        self.revalue()

    # --- the ledger ----------------------------------------------------------------------

    def refresh(self, ledger: Ledger) -> bool:
        """Follow what others wrote; return whether there was anything.

        Marks that are newer here than there stay.
        """
        record = ledger.account(self.terms.name)
        if record.version == self.record.version:
            return False
        before = self.marked
        ahead = (self.cursor, self.cursor_opened) >= (record.cursor, record.cursor_opened)
        self.record, self.memory, self.breached = record, record.sync, record.breached
        for symbol, told in record.prices.items():
            if symbol not in self.prices or self.prices[symbol][0] < told[0]:
                self.prices[symbol] = told
        moved = self._follow(ledger, self.book.fork())
        if not ahead:
            self.cursor, self.cursor_opened = record.cursor, record.cursor_opened
            self.peak = record.peak
        elif not moved:
            self.peak = max(self.peak, record.peak)
        else:
            with contextlib.suppress(NoPrice):
                flow = valuation.converted(moved, self.prices, self.terms.currency)
                self.peak = moved_peak(self.peak, before, flow)
        self.revalue()
        return True

    def _follow(self, ledger: Ledger, book: Book) -> dict[str, Decimal]:
        """Apply entries that are new; return the cash flows among them, by currency."""
        flows: dict[str, Decimal] = {}
        # In parts: a journal of years need not be held at once to be folded.
        while book.seq < self.record.seq:
            left = self.record.seq - book.seq
            part = ledger.entries(self.terms.name, after_seq=book.seq, limit=min(left, _PART))
            for entry in part:
                self.note(entry, book.apply(entry))
                if entry.kind == EntryKind.CASH:
                    flows[entry.currency] = flows.get(entry.currency, ZERO) + entry.amount
            if not part:
                break
        self.book = book
        self.orders = {order.id: order for order in ledger.orders(self.terms.name, working=True)}
        self._ranked: list[Order] | None = None
        return flows

    def accept(self, draft: Draft, record: AccountRecord | None) -> None:
        """Become what a draft leads to.

        Args:
            draft: made from this account, and from nothing older.
            record: as the ledger has it now; None when there was nothing to write.
        """
        if record is not None:
            self.record = record
        self.memory = draft.memory
        self.breached = draft.breached
        self.cursor, self.cursor_opened = draft.cursor
        self.volumes = draft.volumes
        if draft.orders:
            orders = dict(self.orders)
            for order in draft.orders.values():
                if order.is_working:
                    orders[order.id] = order
                else:
                    orders.pop(order.id, None)
            self.orders, self._ranked = orders, None
        if draft.entries:
            for entry, trip in zip(draft.entries, draft.trips, strict=True):
                self.note(entry, trip)
            self.follow(draft.book, draft.entries, draft.value)
        self.set_peak(draft.peak)

    def note(self, entry: Entry, trip: RoundTrip | None) -> None:
        """Remember what an entry that was booked leaves behind."""
        if entry.external_id and not (self.broker.matches and entry.kind == EntryKind.FILL):
            self.known.add(entry.external_id)
        if trip is not None and self.round_trips is not None:
            self.round_trips.append(trip)

    def worth(self, at: int) -> Snapshot:
        """Return what the account is worth, as one point of its equity curve.

        Raises:
            NoPrice: something held has no price.
        """
        return Snapshot(
            self.terms.name,
            at,
            self.value(),
            self.cash(),
            max(self.peak, self.value()),
            self.flows(),
            self.realized(),
            self.unrealized(),
            self.exposure(),
        )

    # --- what is free --------------------------------------------------------------------

    def ranked(self) -> list[Order]:
        """Return the working orders in the order in which they trade."""
        if self._ranked is None:
            self._ranked = sorted(self.orders.values(), key=lambda order: order.rank)
        return self._ranked

    def currency_of(self, symbol: str) -> str:
        """Return what a symbol is quoted in."""
        return valuation.currency_of(symbol, self.terms.currency)

    def reserved(self, currency: str) -> Decimal:
        """Return what working purchases may cost: at their limit, their stop, or the last price."""
        own = self.terms.currency
        return reserved(self.orders.values(), self.prices, currency, own)

    def buying_power(self, side: Side, currency: str) -> Decimal:
        """Return by how much an order may add to what is at stake, working orders left aside."""
        return buying_power(self.terms, self.book, self.prices, side, currency)

    def free_cash(self, currency: str | None = None) -> Decimal:
        """Return what may be spent: cash less what working purchases may cost, 0 or more.

        With leverage or short positions, what may be added to what is at stake.

        Args:
            currency: None = the account's.
        """
        wanted = currency or self.terms.currency
        return max(self.buying_power(Side.BUY, wanted) - self.reserved(wanted), ZERO)

    def free_for(self, order: Order) -> Decimal:
        """Return by how much a new order may add to what is at stake, 0 or more.

        Where orders are matched here they trade one after the other: a purchase may also spend
        what market sales that trade before it will bring, at the last prices.
        """
        currency = self.currency_of(order.symbol)
        power = self.buying_power(order.side, currency) - self.reserved(currency)
        if self.broker.matches and order.side is Side.BUY:
            own = self.terms.currency
            power += coming(self.orders.values(), self.prices, order, own)
        return max(power, ZERO)

    def free_quantity(self, symbol: str) -> Decimal:
        """Return what is held and not for sale by a working order, 0 or more."""
        selling = sum(
            (
                o.remaining
                for o in self.orders.values()
                if o.symbol == symbol and o.side is Side.SELL
            ),
            ZERO,
        )
        return max(self.book.quantity(symbol) - selling, ZERO)

    def watched(self) -> list[str]:
        """Return whose prices the account needs: positions, working orders, currency pairs."""
        ordered = [order.symbol for order in self.orders.values()]
        return valuation.needed_prices(self.book, ordered, self.terms.currency)
