"""Entry: one line of an account's journal. Lines are added, and never changed.

The cash of an account is the sum of `amount - fee` over its entries, and a
position the sum of `quantity`, splits applied: everything else is derived.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from closingbell.core.amount import ZERO


class EntryKind(StrEnum):
    """What happened."""

    FILL = "fill"
    CASH = "cash"
    DIVIDEND = "dividend"
    SPLIT = "split"
    CHARGE = "charge"


class Entry(NamedTuple):
    """One line.

    Attributes:
        account: whose.
        seq: 1, 2, 3, ... within the account, without gaps.
        kind: what happened; a deposit or withdrawal is "cash", interest and funding "charge".
        at: when, in microseconds since the epoch.
        currency: of `amount` and `fee`.
        amount: what came into the account (negative: went out), before the fee.
        fee: what the trade cost on top; below 0 for a rebate.
        symbol: of a fill, a dividend or a split.
        quantity: of a fill, what came in (negative: went out); of a dividend, what was held.
        price: of a fill, per unit; of a dividend, the amount per unit; of a split, the ratio.
        order_id: the order that was filled.
        run_id: the run that made the order; task: its task.
        external_id: the broker's name of the fact, unique within the account: a fact that
            is told twice is booked once.
        note: what a person should know.
    """

    account: str
    seq: int
    kind: EntryKind
    at: int
    currency: str
    amount: Decimal = ZERO
    fee: Decimal = ZERO
    symbol: str | None = None
    quantity: Decimal = ZERO
    price: Decimal = ZERO
    order_id: str | None = None
    run_id: str | None = None
    task: str | None = None
    external_id: str | None = None
    note: str | None = None
