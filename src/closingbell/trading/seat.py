"""Seat: one attempt's place at the desk: in whose name it trades, and from when.

An attempt that comes again decides as if the earlier ones had not traded: what it asks for a
second time is the order that is there already, whatever has become of positions and cash
meanwhile. So its orders are met before they are sized.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from closingbell.core.amount import ONE, round_down
from closingbell.core.call import Call
from closingbell.core.clock import Clock, from_micros
from closingbell.core.error import ArgumentRefused, NoPrice, RunCancelled, UnknownSymbol
from closingbell.core.ledger import Holder
from closingbell.core.order import Order, Side
from closingbell.trading.account import Account
from closingbell.trading.market.reader import MarketReader
from closingbell.trading.order_word import MARKET, Terms
from closingbell.trading.pace import Pace
from closingbell.trading.placement import Placement
from closingbell.trading.symbol import resolve
from closingbell.trading.ticket import Ticket

if TYPE_CHECKING:
    from closingbell.trading.desk import Desk

_LONGEST_SLEEP_S = 100 * 366 * 86_400


def _may_sleep(seconds: Any) -> bool:
    try:
        return not isinstance(seconds, str) and abs(float(seconds)) <= _LONGEST_SLEEP_S
    except (TypeError, ValueError, OverflowError):
        return False


class Seat:
    """One attempt at the desk.

    Attributes:
        call: the attempt.
        clock: the desk's time.
        desk: where accounts are.
        market: what may be known of the market now.
        slept: desk microseconds that the attempt has slept through `algorithm.sleep`.
        reduced: what its percentage sales were, by account and symbol.
        pace: keeps the attempt in step with the market; None in a backtest.
    """

    __slots__ = ("_asked", "_met", "call", "clock", "desk", "market", "pace", "reduced", "slept")

    def __init__(
        self,
        call: Call,
        clock: Clock,
        desk: Desk,
        market: MarketReader,
        pace: Pace | None,
    ) -> None:
        """Take a seat.

        Args:
            call: the attempt.
            clock: the desk's time.
            desk: where accounts are.
            market: point-in-time reads.
            pace: keeps the attempt in step with the market; None in a backtest.
        """
        self.call = call
        self.clock = clock
        self.desk = desk
        self.market = market
        self.slept = 0
        self.reduced: dict[tuple[str, str], Order] = {}
        self.pace = pace
        self._met: set[str] | None = None
        self._asked: dict[str, int] | None = None

    def account(self, name: str) -> Account:
        """Return an account as it stands now.

        Raises:
            UnknownAccount: it was not added.
        """
        if self.pace is not None:
            self.pace.ready(name, self.call, self.due)
        return self.desk.account(name)

    # --- when ----------------------------------------------------------------------------

    @property
    def due(self) -> int:
        """The attempt's own instant: when its run was due, and what it has slept since."""
        return self.call.claim.due_at + self.slept

    def now(self) -> int:
        """Return the instant that it is for the attempt, in microseconds.

        On a clock that runs faster than the machine's, as in a replay, how long the machine took
        is not market time: there it is the attempt's own instant.
        """
        return self.due if self.clock.speed > 1 else self.clock.micros()

    def slumber(self, seconds: float) -> int:
        """Note that the attempt sleeps for so long; return until when.

        Raises:
            ArgumentRefused: that is no finite number.
        """
        if not _may_sleep(seconds):
            raise ArgumentRefused("seconds", seconds, "a number of seconds, at most 100 years")
        until = self.due if self.clock.speed > 1 else self.clock.micros()
        micros = round(max(seconds, 0) * 1_000_000)
        self.slept += micros
        if self.pace is not None:
            self.pace.asleep(self.call.claim.id, until + micros)
        return until + micros

    # --- in whose name -------------------------------------------------------------------

    @property
    def holder(self) -> Holder:
        """The attempt, whose fence every write carries."""
        claim = self.call.claim
        return Holder(claim.id, claim.fence)

    def placement(self, account: Account) -> Placement:
        """Return who places an order, and from when it may trade.

        An order counts from the instant that its run was due, not from when the machine came
        to run it: the first opening print at or after that instant is its own, in a backtest
        and in a replay alike. Once the market has moved past it, it counts from now.
        """
        claim, instant = self.call.claim, self.due
        if account.cursor > instant or not account.broker.matches:
            instant = self.clock.micros()
        return Placement(
            claim.id, claim.fence, claim.task, self.call.task.priority, instant, claim.attempt
        )

    def require_alive(self) -> None:
        """Refuse to act for an attempt that was cancelled, was stopped, or has ended.

        Raises:
            RunCancelled: it was.
        """
        call = self.call
        ended = call.stopping is not None or call.outcome is not None
        if not ended and not (call.has_context and call.context.cancelled):
            return
        reason = call.context.cancel_reason or "the attempt has ended; it may act no more"
        raise RunCancelled(call.claim.id, "cancelled", reason)

    # --- symbols and prices --------------------------------------------------------------

    def resolve(self, account: Account, given: str) -> str:
        """Return the symbol that a name means in an account.

        Raises:
            UnknownSymbol: nothing of that name is held or has market data.
            AmbiguousSymbol: several symbols would fit.
        """
        if given in account.prices:
            return given
        held = {holding.symbol for holding in account.book.holdings.values() if holding.quantity}
        held.update(order.symbol for order in account.orders.values())
        known = {*account.prices, *self.market.symbols()}
        try:
            return resolve(given, held, known, account.terms.currency)
        except UnknownSymbol:
            if account.broker.matches or not str(given).strip():
                raise
            # Which symbols there are, a remote broker knows.
            return str(given).strip()

    def price(self, account: Account, symbol: str) -> Decimal:
        """Return the latest price that is known.

        Raises:
            NoPrice: none is.
        """
        known = account.prices.get(symbol)
        if known is not None:
            return known[1]
        if not account.broker.matches:
            quote = account.broker.quote(symbol)
            if quote is not None:
                return quote.price
        if symbol in self.market.symbols():
            newest = self.market.get(symbol, account.terms.timeframe, limit=1)
            if newest:
                # The account has seen no bar of it yet; its orders need a price.
                with account.lock:
                    account.quote(symbol, newest[-1].end, newest[-1].close)
                return newest[-1].close
        raise NoPrice(symbol, from_micros(self.clock.micros()))

    # --- orders --------------------------------------------------------------------------

    def place(
        self,
        account: Account,
        symbol: str,
        side: Side,
        terms: Terms,
        size: Callable[[], Decimal],
        key: str | None,
    ) -> Order:
        """Place an order, or return the one that an earlier attempt placed in its stead.

        Args:
            account: in which.
            symbol: its whole name.
            side: which way.
            terms: at which price, and how long.
            size: returns how much; asked only when the order is not there yet.
            key: the caller's name for the order, or None.

        Raises:
            RunCancelled: the run may act no more.
            TradingError: the order is refused, or nobody knows what became of it.
        """
        self.require_alive()
        by = self.placement(account)
        ticket = Ticket(account.terms.name, symbol, side, terms.type, ONE, *terms[1:], key)
        met = self._meet(ticket, by)
        if met is not None:
            quantity = met.quantity
        else:
            quantity = size()
            if account.broker.matches:
                self.price(account, symbol)
        order = self.desk.place(ticket._replace(quantity=Decimal(quantity)), self.holder, by)
        if self._met is not None:
            self._met.add(order.id)
        return order

    def retarget(self, account: Account, symbol: str, what: str, change: Decimal) -> Order | None:
        """Place a market order for what lacks to a target; None when nothing does.

        Args:
            account: in which.
            symbol: its whole name.
            what: the kind of target; with the symbol and the number of such calls so far it
                names the order, whose side and size another attempt may see differently.
            change: what lacks, below 0 for a sale.
        """
        asked = self._asked = {} if self._asked is None else self._asked
        name = f"{what} {account.terms.name} {symbol}"
        asked[name] = asked.get(name, 0) + 1
        key = f"{name} {asked[name]}"
        ticket = Ticket(account.terms.name, symbol, Side.BUY, MARKET.type, ONE, key=key)
        met = self._meet(ticket, self.placement(account))
        if met is not None:
            side, quantity = met.side, met.quantity
        else:
            side, quantity = Side.BUY if change > 0 else Side.SELL, abs(change)
            if quantity != abs(account.book.quantity(symbol)):
                quantity = round_down(quantity, account.terms.lot)
        if not quantity:
            self.require_alive()
            return None
        return self.place(account, symbol, side, MARKET, lambda: quantity, key)

    def _meet(self, ticket: Ticket, by: Placement) -> Order | None:
        """Return the order of the run that is what a ticket asks for, if there is one."""
        if self.call.claim.fence <= 1 and ticket.key is None:
            return None
        if self._met is None:
            self._met = set()
        return self.desk.earlier(ticket, by)

    def is_unmet(self, order: Order) -> bool:
        """Whether an order is of an earlier attempt, which this one has not come to yet."""
        claim = self.call.claim
        return (
            order.run_id == claim.id
            and order.fence < claim.fence
            and order.id not in (self._met or ())
        )

    def cancel(self, account: Account, order_id: str) -> Order:
        """Cancel an order; one that is not working any more is returned as it is.

        Raises:
            RunCancelled: the run may act no more.
            OrderRefused: the account has no such order.
            BrokerError: nobody knows what became of it.
        """
        self.require_alive()
        return self.desk.cancel(account.terms.name, order_id, self.holder)
