"""AttemptOrders: which orders the earlier attempts of a run placed, and the ids of new ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock, RLock

from closingbell.core.error import OrderRefused
from closingbell.core.ledger import Ledger
from closingbell.core.order import Order, OrderState, OrderType, Side, client_order_id
from closingbell.trading.placement import Placement
from closingbell.trading.ticket import Ticket

#: The reason of an order that the broker never saw.
NEVER_SENT = "it never reached the broker"
#: Of so many attempts it is known which orders of earlier attempts they met again.
_REMEMBERED = 10_000


class AttemptOrders:
    """The orders of earlier attempts that this attempt has not met again, by ordinal.

    Attributes:
        ordinal: of the run's last order; of a person, who has no run, always 0.
        lock: held while the attempt places an order: its orders are numbered one by one.
    """

    __slots__ = ("_earlier", "_ledger", "by", "lock", "ordinal")

    def __init__(self, ledger: Ledger, by: Placement, accounts: Iterable[str]) -> None:
        """Read what the run has placed in any of the accounts."""
        self._ledger = ledger
        self.by = by
        self.lock = RLock()
        self.ordinal = 0
        self._earlier: list[Order] = []
        if by.run_id is None:
            return
        orders = [order for name in accounts for order in ledger.orders(name, run_id=by.run_id)]
        orders.sort(key=lambda order: order.ordinal)
        if orders:
            self.ordinal = orders[-1].ordinal
        self._earlier = [
            order
            for order in orders
            if order.fence < by.fence
            and order.id == client_order_id(by.run_id, order.ordinal)
            and counts(order)
        ]

    def next_ordinal(self) -> int:
        """Return the number of the run's next order."""
        return self.ordinal + 1 if self.by.run_id is not None else 0

    def meet(self, ticket: Ticket, leave: bool = False) -> Order | None:
        """Return the order that a ticket is about already, or None.

        Args:
            ticket: a sound one.
            leave: let it be met again.

        Raises:
            OrderRefused: the key names an order of somebody else.
        """
        if ticket.key is not None:
            return self._keyed(ticket)[1]
        for place, order in enumerate(self._earlier):
            if _shape(order) == _shape(ticket):
                return order if leave else self._earlier.pop(place)
        return None

    def new_id(self, ticket: Ticket) -> str | None:
        """Return the id of a new order; None where the account is to give one."""
        if ticket.key is not None:
            return self._keyed(ticket)[0]
        if self.by.run_id is None:
            return None
        return client_order_id(self.by.run_id, self.next_ordinal())

    def _keyed(self, ticket: Ticket) -> tuple[str, Order | None]:
        """Return the id that a key makes, and the order that has it."""
        key, run_id, number = ticket.key or "", self.by.run_id, 0
        if not key.strip():
            raise OrderRefused("key", ticket.key, "a name for the order, or none")
        while True:
            order_id = key if run_id is None else client_order_id(f"{run_id}/{key}", number)
            order = self._ledger.order(order_id)
            if order is not None and (order.account, order.run_id) != (ticket.account, run_id):
                raise OrderRefused("key", key, "a name that no other order has")
            if order is None or run_id is None or counts(order):
                return order_id, order
            number += 1


class AttemptBook:
    """The latest attempts that placed orders in this process."""

    def __init__(self, ledger: Ledger, accounts: Iterable[str]) -> None:
        """Begin with none.

        Args:
            ledger: where orders are.
            accounts: names; those that are there when an attempt places its first order.
        """
        self._ledger = ledger
        self._accounts = accounts
        self._known: OrderedDict[tuple[str, int, int], AttemptOrders] = OrderedDict()
        self._lock = Lock()

    def of(self, by: Placement) -> AttemptOrders:
        """Return what is known of the attempt that places an order."""
        if by.run_id is None:
            return AttemptOrders(self._ledger, by, ())
        key = (by.run_id, by.fence, by.attempt)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        made = AttemptOrders(self._ledger, by, list(self._accounts))
        with self._lock:
            made = self._known.setdefault(key, made)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            return made


def _shape(asked: Order | Ticket) -> tuple[str, str, Side, OrderType]:
    """Return by what an attempt that comes again knows its orders."""
    return (asked.account, asked.symbol, asked.side, asked.type)


def counts(order: Order) -> bool:
    """Whether an order was or may be traded: one that certainly was not is made anew."""
    if order.state is OrderState.REJECTED:
        return False
    return not (order.state is OrderState.CANCELLED and order.reason == NEVER_SENT)
