"""Account: one account in memory, as its ledger and the market's last prices leave it.

Who reads needs no lock: books and orders are replaced, never changed. Who writes (the
desk) holds `lock`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from closingbell.core.amount import ONE, ZERO, rounded
from closingbell.core.bar import Slice
from closingbell.core.book import Book, RoundTrip
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.error import NoPrice
from closingbell.core.ledger import AccountRecord, Ledger, Snapshot
from closingbell.core.order import Order, OrderType, Side
from closingbell.trading import valuation
from closingbell.trading.broker.protocol import Broker
from closingbell.trading.drawdown import drawdown_limits, drawdown_of, moved_peak
from closingbell.trading.terms import AccountTerms

if TYPE_CHECKING:
    from closingbell.trading.draft import Draft

#: Which price of a bar marks a position: fields of `Bar`.
OPEN: Final = 3
CLOSE: Final = 6


class Account:
    """One account.

    Attributes:
        terms: what the app declares.
        broker: who takes its orders.
        record: as it was last read or written.
        book: cash, positions and gains.
        orders: working orders by id.
        prices: the latest price by symbol, as (instant, price).
        peak: the highest value at any mark. A cash flow moves it in proportion, so that
            deposits are no gains and withdrawals no losses.
        breached: whether the drawdown limit is breached at present.
        cursor: market data is applied up to this instant, and with `cursor_opened` the opening
            prints of it too.
        ended: no more market data will come.
        day: (value, flows) at the last daily close.
        memory: what is kept with the account as JSON values: "broker" (its own `sync`),
            "daily_close" (the last one), "volumes".
        volumes: where the broker takes a share of them: by symbol, what the last bar's was and
            how much of the present bar's the account took already.
        known: names of facts that are booked: a fact that is told twice is booked once.
        round_trips: closed parts of positions, oldest first, where the desk keeps them.
        lock: held by who changes the account.
        lane: held by who talks to the broker; taken before `lock`.
    """

    __slots__ = (
        "_counts",
        "_floor",
        "_held",
        "_ranked",
        "_rearm",
        "_split_at",
        "_value",
        "book",
        "breached",
        "broker",
        "cursor",
        "cursor_opened",
        "day",
        "ended",
        "known",
        "lane",
        "lock",
        "memory",
        "orders",
        "peak",
        "prices",
        "record",
        "round_trips",
        "terms",
        "volumes",
    )

    def __init__(
        self, terms: AccountTerms, broker: Broker, ledger: Ledger, keep_round_trips: bool = False
    ) -> None:
        """Read the account from the ledger.

        Raises:
            UnknownAccount: the ledger has none of that name.
        """
        self.terms = terms
        self.broker = broker
        self.lock = threading.RLock()
        self.lane = threading.RLock()
        self.round_trips: list[RoundTrip] | None = [] if keep_round_trips else None
        self.ended = False
        self.known: set[str] = set()
        self.book = Book()
        self._counts = broker.counts_volumes
        self._split_at: dict[str, int] = {}
        self._value: Decimal | None = None
        #: What moves the value with each price; None where currencies or prices are in between.
        self._held: dict[str, Decimal] | None = None
        self._floor: Decimal | None = None
        self._rearm = ZERO
        record = self.record = ledger.account(terms.name)
        self.prices = dict(record.prices)
        self.peak = record.peak
        self.breached = record.breached
        self.cursor, self.cursor_opened = record.cursor, record.cursor_opened
        self.memory: Mapping[str, Any] = record.sync
        self.volumes: dict[str, tuple[Decimal, Decimal]] = {
            symbol: (Decimal(last), Decimal(taken))
            for symbol, (last, taken) in record.sync.get("volumes", {}).items()
        }
        self._follow(ledger, self.book)
        newest = ledger.snapshots(terms.name, limit=1)
        self.day = (newest[0].value, newest[0].flows) if newest else None
        self.revalue()

    # --- the ledger ----------------------------------------------------------------------

    def refresh(self, ledger: Ledger) -> bool:
        """Follow what others wrote; return whether there was anything.

        Marks that are newer here than there stay.
        """
        record = ledger.account(self.terms.name)
        if record.version == self.record.version:
            return False
        before = self._value
        ahead = (self.cursor, self.cursor_opened) >= (record.cursor, record.cursor_opened)
        self.record, self.memory, self.breached = record, record.sync, record.breached
        for symbol, told in record.prices.items():
            if symbol not in self.prices or self.prices[symbol][0] < told[0]:
                self.prices[symbol] = told
        moved = self._follow(ledger, self.book.fork())
        if not ahead:
            self.cursor, self.cursor_opened = record.cursor, record.cursor_opened
        if not ahead:
            self.peak = record.peak
        elif moved:
            flow = valuation.converted(moved, self.prices, self.terms.currency)
            self.peak = moved_peak(self.peak, before, flow)
        else:
            self.peak = max(self.peak, record.peak)
        self.revalue()
        return True

    def _follow(self, ledger: Ledger, book: Book) -> dict[str, Decimal]:
        """Apply entries that are new; return the cash flows among them, by currency."""
        flows: dict[str, Decimal] = {}
        for entry in ledger.entries(self.terms.name, after_seq=book.seq):
            if entry.seq > self.record.seq:
                break
            self.note(entry, book.apply(entry))
            if entry.kind == EntryKind.CASH:
                flows[entry.currency] = flows.get(entry.currency, ZERO) + entry.amount
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
            self.book = draft.book
            for entry, trip in zip(draft.entries, draft.trips, strict=True):
                self.note(entry, trip)
            self._hold(draft)
        if self.peak != draft.peak:
            self.peak = draft.peak
            self._set_limits()

    def _hold(self, draft: Draft) -> None:
        held, currency = self._held, self.terms.currency
        if held is None or any(entry.currency != currency for entry in draft.entries):
            self.revalue()
            return
        for entry in draft.entries:
            if entry.symbol is not None:
                quantity = self.book.quantity(entry.symbol)
                if quantity:
                    held[entry.symbol] = quantity
                else:
                    held.pop(entry.symbol, None)
        self._value = draft.value

    def note(self, entry: Entry, trip: RoundTrip | None) -> None:
        """Remember what an entry that was booked leaves behind."""
        if entry.external_id and not (self.broker.matches and entry.kind == EntryKind.FILL):
            self.known.add(entry.external_id)
        if trip is not None and self.round_trips is not None:
            self.round_trips.append(trip)

    # --- marks ---------------------------------------------------------------------------

    def mark(self, at: int, parts: Sequence[Slice], field: Literal[3, 6]) -> bool:
        """Take the bars' `field` (`OPEN` or `CLOSE`) as the prices of now.

        Returns:
            Whether the account's value may have moved.
        """
        prices, held, before = self.prices, self._held, self._value
        if not held or before is None:
            for part in parts:
                for bar in part[2]:
                    prices[bar[0]] = (at, bar[field])
            if held is not None and not held:
                return False
            self.revalue()
            return True
        value = before
        for part in parts:
            for bar in part[2]:
                symbol, price = bar[0], bar[field]
                quantity = held.get(symbol)
                if quantity is not None:
                    value += quantity * (price - prices[symbol][1])
                prices[symbol] = (at, price)
        if value is before:
            return False
        self._value = value
        return True

    def quote(self, symbol: str, at: int, price: Decimal) -> bool:
        """Take a price unless a later one is known; return whether it was taken.

        `revalue` has to follow.
        """
        known = self.prices.get(symbol)
        if known is not None and known[0] > at:
            return False
        self.prices[symbol] = (at, price)
        return True

    def split(self, symbol: str, at: int, ratio: Decimal) -> None:
        """Let the price of a symbol follow its split, once."""
        known = self.prices.get(symbol)
        if known is not None and self._split_at.get(symbol) != at:
            self._split_at[symbol] = at
            self.prices[symbol] = (known[0], rounded(known[1] / ratio))
            self.revalue()

    def watch(self) -> bool:
        """Raise the peak; return whether the drawdown limit was crossed, either way."""
        value = self._value
        if value is None:
            return False
        if value > self.peak:
            self.peak = value
            self._set_limits()
        if self._floor is None:
            return False
        return value >= self._rearm if self.breached else value < self._floor

    def revalue(self) -> None:
        """Value everything anew, and find out how the next marks can be taken."""
        currency, book, prices = self.terms.currency, self.book, self.prices
        held = {h.symbol: h.quantity for h in book.holdings.values() if h.quantity}
        plain = all(symbol in prices for symbol in held) and not any(
            amount and other != currency for other, amount in book.cash.items()
        )
        if plain:
            plain = all(book.holdings[symbol].currency == currency for symbol in held)
        self._held = held if plain else None
        try:
            self._value = valuation.value_of(book, prices, currency)
        except NoPrice:
            self._value = None
        self._set_limits()

    def _set_limits(self) -> None:
        limit = self.terms.max_drawdown
        if limit is None:
            self._floor = None
        else:
            self._floor, self._rearm = drawdown_limits(self.peak, limit)

    @property
    def counts_volumes(self) -> bool:
        """Whether the broker takes a share of volumes, so that they must be counted."""
        return self._counts

    @property
    def marked(self) -> Decimal | None:
        """The value at the marks, or None while a price is missing."""
        return self._value

    # --- what it is worth ----------------------------------------------------------------

    def price(self, symbol: str) -> Decimal:
        """Return the latest price.

        Raises:
            NoPrice: none is known.
        """
        return valuation.price_of(self.prices, symbol)

    def value(self) -> Decimal:
        """Return cash and positions at the latest prices, in the account's currency.

        Raises:
            NoPrice: of a position, or of a currency's pair, no price is known.
        """
        if self._value is None:
            self._value = valuation.value_of(self.book, self.prices, self.terms.currency)
        return self._value

    def cash(self) -> Decimal:
        """Return the cash of all currencies in the account's own.

        Raises:
            NoPrice: of a currency's pair no price is known.
        """
        return valuation.converted(self.book.cash, self.prices, self.terms.currency)

    def exposure(self) -> Decimal:
        """Return the absolute worth of all positions, in the account's currency."""
        return valuation.worth_of_positions(self.book, self.prices, self.terms.currency)[1]

    def realized(self) -> Decimal:
        """Return realised gains, fees and charges counted, in the account's currency."""
        return valuation.realized_of(self.book, self.prices, self.terms.currency)

    def unrealized(self) -> Decimal:
        """Return what positions are worth above their cost, in the account's currency."""
        return valuation.unrealized_of(self.book, self.prices, self.terms.currency)

    def flows(self) -> Decimal:
        """Return net deposits, the first one included, in the account's currency."""
        return valuation.converted(self.book.deposits, self.prices, self.terms.currency)

    def drawdown(self) -> Decimal:
        """Return the fraction of the peak that is lost; 0 for a peak of zero or below."""
        return drawdown_of(self.value(), self.peak)

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
        total = ZERO
        for order in self.orders.values():
            if order.side is Side.BUY and self.currency_of(order.symbol) == currency:
                known = self.prices.get(order.symbol)
                price = order.limit_price or order.stop_price or (known[1] if known else ZERO)
                total += order.remaining * price
        return total

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
        coming = ZERO
        if self.broker.matches and order.side is Side.BUY:
            for sale in self.orders.values():
                if sale.side is Side.SELL and sale.type is OrderType.MARKET:
                    known = self.prices.get(sale.symbol)
                    same = self.currency_of(sale.symbol) == currency
                    if same and known is not None and sale.rank < order.rank:
                        coming += sale.remaining * known[1]
        power = self.buying_power(order.side, currency) + coming
        return max(power - self.reserved(currency), ZERO)

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


def buying_power(
    terms: AccountTerms, book: Book, prices: valuation.Prices, side: Side, currency: str
) -> Decimal:
    """Return by how much an order may add to what is at stake, in its currency, 0 or more.

    Without leverage and short positions it is the cash in that currency. Otherwise it is
    value x leverage - exposure, and for a purchase without leverage no more than the cash.
    An account that owes more than it has has none, and can only reduce its positions.
    """
    cash = book.cash.get(currency, ZERO)
    if terms.leverage == ONE and not terms.short:
        return max(cash, ZERO)
    try:
        net, gross = valuation.worth_of_positions(book, prices, terms.currency)
        value = valuation.converted(book.cash, prices, terms.currency) + net
        power = value * terms.leverage - gross
        if currency != terms.currency:
            power /= valuation.rate(prices, currency, terms.currency)
    except NoPrice:
        return ZERO
    if terms.leverage == ONE and side is Side.BUY:
        power = min(power, cash)
    return max(power, ZERO)
