"""Reduction: the percentage sale of a risk task, placed once in a drawdown.

A task that looks each minute, and halves its positions while the drawdown is too large, would
sell again and again: 100 % becomes 1.6 % in six minutes. With `once_per_breach` its sale of one
percentage of a symbol counts for the whole drawdown, from one peak of the account to the next, and
while a sale of it works no other one is placed. A sale of another percentage is another decision: a
position that was trimmed to its largest size is still halved in the crash that follows. What was
placed is known by peak and percentage, in the ledger's latches: also after a restart, and in other
processes.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from closingbell.core.amount import plain
from closingbell.core.order import Order, Side
from closingbell.trading.account import Account
from closingbell.trading.seat import Seat

#: Among so many orders of a symbol, the newest ones, the first reduction is looked for.
_LOOKED_AT = 1_000


def reduce_once(
    seat: Seat, account: Account, symbol: str, share: Decimal, place: Callable[[], Order]
) -> Order:
    """Place a reduction unless the task placed the same one in the present drawdown.

    A reduction that was cancelled or rejected before anything of it traded does not count.

    Args:
        seat: of the attempt.
        account: in which.
        symbol: what is sold.
        share: the fraction of the position.
        place: places the order.

    Returns:
        The order: the new one, the one of this drawdown, the one of the same run, or one that
        still works.
    """
    name, task = account.terms.name, seat.call.claim.task
    done = seat.reduced.get((name, symbol)) or _working(seat, account, symbol)
    if done is None:
        ledger, holder, now = seat.desk.ledger, seat.holder, seat.clock.micros()
        peak = plain(account.peak.normalize())
        latch = f"reduction {task} {symbol} {peak} {plain(share.normalize())}"
        with ledger.holding(f"{name} {latch}"):
            if not ledger.latch(name, latch, holder, True, now):
                done = _standing(seat, account, symbol)
                if done is None:
                    ledger.latch(name, latch, holder, False, now)
                    ledger.latch(name, latch, holder, True, now)
            if done is None:
                try:
                    order = place()
                except Exception:
                    ledger.latch(name, latch, holder, False, now)
                    raise
                seat.reduced[name, symbol] = order
                return order
    seat.reduced[name, symbol] = done
    seat.call.context.log.info(
        "%s was reduced in this drawdown already: order %s, %s; no further sale until the account "
        "reaches a new peak (once_per_breach)", symbol, done.id, done.state.value,
    )  # fmt: skip
    return done


def is_reduction(seat: Seat, order: Order) -> bool:
    """Whether an order is a working sale of a task that acts once: it is not cancelled by itself."""
    task = seat.call.task
    return task.once_per_breach and order.task == task.name and order.side is Side.SELL


def _working(seat: Seat, account: Account, symbol: str) -> Order | None:
    """Return the task's working sale of a symbol, if it has one.

    What an earlier attempt of the same run placed is left to be met: perhaps nobody knows yet
    whether it was sent.
    """
    task = seat.call.claim.task
    for order in account.ranked():
        own = order.task == task and order.symbol == symbol and order.side is Side.SELL
        if own and not seat.is_unmet(order):
            return order
    return None


def _standing(seat: Seat, account: Account, symbol: str) -> Order | None:
    """Return the task's newest sale of a symbol, if it traded or still may."""
    task = seat.call.claim.task
    orders = seat.desk.ledger.orders(account.terms.name, symbol=symbol, limit=_LOOKED_AT)
    sales = [order for order in orders if order.task == task and order.side is Side.SELL]
    newest = max((order.created_at for order in sales), default=0)
    for order in sales:
        if order.created_at == newest and (order.is_working or order.filled):
            return order
    return None
