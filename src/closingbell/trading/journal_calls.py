"""The calls of an algorithm about its account's books: journal, equity curve, charges, broker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from closingbell.core.entry import Entry
from closingbell.trading.local_time import LocalTime
from closingbell.trading.money import Money
from closingbell.trading.reconciliation import Difference, reconcile
from closingbell.trading.seat import Seat


class EquityMark(NamedTuple):
    """What the account was worth at one instant, in its currency.

    Attributes:
        at: naive in the app's zone.
        flows: net deposits so far, what it began with included.
        exposure: the absolute worth of all positions.
    """

    at: datetime
    value: Money
    cash: Money
    peak: Money
    flows: Money
    realized: Money
    unrealized: Money
    exposure: Money


class JournalCalls:
    """The books of one account."""

    __slots__ = ()
    _seat: Seat
    _local: LocalTime
    _name: str

    def get_journal(self, after_seq: int = 0) -> list[Entry]:
        """Return the account's entries, the oldest first: fills, cash, dividends, splits, charges.

        They are given as they are stored: `at` is in microseconds since the epoch.

        Args:
            after_seq: only those with a higher `seq`.
        """
        self._seat.account(self._name)
        return self._seat.desk.ledger.entries(self._name, after_seq=after_seq)

    def get_equity_curve(
        self, after_date: datetime | date | str | None = None, limit: int | None = None
    ) -> list[EquityMark]:
        """Return what the account was worth at each daily close, the oldest first.

        Args:
            after_date: only points at it or after it.
            limit: at most so many, the newest ones.
        """
        self._seat.account(self._name)
        after = None if after_date is None else self._local.read(after_date, "after_date") - 1
        points = self._seat.desk.ledger.snapshots(self._name, after=after, limit=limit)
        return [
            EquityMark(
                self._local.show(point.at),
                *map(
                    Money,
                    (
                        point.value,
                        point.cash,
                        point.peak,
                        point.flows,
                        point.realized,
                        point.unrealized,
                        point.exposure,
                    ),
                ),
            )
            for point in points
        ]

    def charge(
        self, amount: Any, note: str, *, key: str, currency: str | None = None
    ) -> Entry | None:
        """Book what the account is charged, such as funding or a fee, or below 0 earns.

        Args:
            amount: in `currency`.
            note: what for.
            key: the caller's name for it, unique within the account: the same key is booked once,
                by whichever run or attempt.
            currency: default the account's.

        Returns:
            The entry; None when the key is booked already.

        Raises:
            OrderRefused: the amount is no number, or zero.
        """
        self._seat.require_alive()
        self._seat.account(self._name)
        return self._seat.desk.charge(self._name, amount, currency, note, key)

    def reconcile(
        self,
        *,
        after_date: datetime | date | str | None = None,
        tolerance: Mapping[str, Any] | None = None,
        foreign: bool = False,
        earlier: Iterable[Difference] = (),
    ) -> list[Difference]:
        """Return what the ledger and the broker tell differently; nothing is mended.

        The broker's news are booked first. A paper or simulated broker keeps no books of its own:
        nothing differs there.

        Args:
            after_date: trades from then on are compared; default all that the broker tells.
            tolerance: by asset, how far balances may be apart; 1e-8 where nothing is said.
            foreign: whether assets count that the ledger never had.
            earlier: what was found last time: a difference that was there keeps its `since`.

        Raises:
            BrokerError: the broker could not be asked, or its answer cannot be read.
        """
        seat = self._seat
        seat.require_alive()
        account = seat.account(self._name)
        allowed = {asset: Decimal(str(far)) for asset, far in (tolerance or {}).items()}
        return reconcile(
            account,
            seat.desk.ledger,
            sync=lambda: seat.desk.sync(self._name),
            now=seat.clock.micros(),
            since=0 if after_date is None else self._local.read(after_date, "after_date"),
            tolerance=allowed,
            foreign=foreign,
            earlier=earlier,
        )
