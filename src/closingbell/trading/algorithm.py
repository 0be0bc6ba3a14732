"""Algorithm: the object that every task receives: its account, its market, its desk.

Longer than 400 lines because what a task may ask and do is read, and documented, in one place.

Amounts, prices and quantities are `Money`: exact, and at home beside floats. Datetimes are naive
in the app's zone, here alone; aware ones are accepted. In a backtest, on paper and live the same
calls mean the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from closingbell.core.alert import SEVERITIES
from closingbell.core.call import Call
from closingbell.core.clock import Clock
from closingbell.core.context import Context
from closingbell.core.entry import EntryKind
from closingbell.core.error import ArgumentRefused, UnknownSymbol
from closingbell.core.order import Side
from closingbell.trading.context_names import ContextNames
from closingbell.trading.fact import MARKET_DATA_UPDATE
from closingbell.trading.journal_calls import JournalCalls
from closingbell.trading.local_time import LocalTime
from closingbell.trading.market.protocol import StoreResult
from closingbell.trading.market.reader import MarketReader
from closingbell.trading.market_bar import MarketData
from closingbell.trading.market_calls import MarketCalls
from closingbell.trading.money import Money, as_json
from closingbell.trading.order_word import read_side
from closingbell.trading.pace import Pace
from closingbell.trading.portfolio import Portfolio, Position
from closingbell.trading.seat import Seat
from closingbell.trading.services import Services
from closingbell.trading.terms import MAIN
from closingbell.trading.trade import Trade, trade_of

if TYPE_CHECKING:
    from closingbell.trading.desk import Desk


class Algorithm(ContextNames, JournalCalls, MarketCalls):
    """What a task may ask and do."""

    __slots__ = ("_local", "_name", "_seat", "_services")

    def __init__(
        self,
        *,
        desk: Desk,
        market: MarketReader,
        call: Call,
        clock: Clock,
        zone: ZoneInfo,
        services: Services,
        account: str = MAIN,
        pace: Pace | None = None,
    ) -> None:
        """Make the object of one attempt.

        Args:
            desk: where accounts are.
            market: point-in-time reads of market data.
            call: the attempt.
            clock: the desk's time.
            zone: of the datetimes.
            services: everything else.
            account: which one it trades.
            pace: keeps a live attempt in step with the market; None in a backtest.
        """
        self._seat = Seat(call, clock, desk, market, pace)
        self._local = LocalTime(zone)
        self._services = services
        self._name = account

    def __repr__(self) -> str:
        return f"<Algorithm of task {self._seat.call.claim.task!r}, account {self._name!r}>"

    # --- where it stands -----------------------------------------------------------------

    @property
    def mode(self) -> str:
        """What the account trades with: "live" for real money, "paper", or "backtest"."""
        return self._seat.account(self._name).broker.mode

    @property
    def account(self) -> str:
        """The name of the account that it trades."""
        return self._name

    @property
    def accounts(self) -> list[str]:
        """The names of all accounts."""
        return sorted(self._seat.desk.accounts)

    def for_account(self, name: str) -> Algorithm:
        """Return the same for another account.

        Raises:
            UnknownAccount: it was not added.
        """
        self._seat.account(name)
        other = Algorithm.__new__(Algorithm)
        other._seat, other._local, other._services = self._seat, self._local, self._services
        other._name = name
        return other

    @property
    def context(self) -> Context:
        """The run's view of itself."""
        return self._seat.call.context

    @property
    def task(self) -> str:
        """The task's name."""
        return self._seat.call.claim.task

    @property
    def instant(self) -> int:
        """The instant that it is for the run, in microseconds since the epoch."""
        return self._seat.now()

    def now(self) -> datetime:
        """Return the desk's time, naive in the app's zone; in a backtest the simulated one.

        On a clock that runs faster than the machine's it is the instant for which the run works.
        """
        return self._local.show(self._seat.now())

    def sleep(self, seconds: float) -> None:
        """Block for `seconds` of the desk's time, below 0 for none; the market goes on meanwhile.

        Raises:
            ArgumentRefused: `seconds` is no finite number.
            RunCancelled: the run was cancelled or stopped meanwhile.
        """
        clock = self._seat.clock
        self._seat.slumber(seconds)
        if clock.speed:
            self.context.wait_cancelled(max(seconds, 0) / clock.speed)
        else:
            clock.sleep(max(seconds, 0))
        self._seat.require_alive()

    async def sleep_async(self, seconds: float) -> None:
        """As `sleep`, for async tasks: it lets others run."""
        self._seat.slumber(seconds)
        await self._seat.clock.sleep_async(max(seconds, 0))
        self._seat.require_alive()

    def log(self, message: str, *args: object, level: int = logging.INFO) -> None:
        """Log a line that is kept with the run; `args` fill its `%s`."""
        self.context.log.log(level, message, *args)

    def record(self, **values: Any) -> None:
        """Keep values with the run: one line of JSON in its log, with the desk's time."""
        text = msgspec.json.encode({"at": self.now(), **as_json(values)}, enc_hook=str).decode()
        self.log("record %s", text)

    # --- the account ---------------------------------------------------------------------

    def get_portfolio(self) -> Portfolio:
        """Return the account as it stands now: value, cash, gains, drawdown, positions.

        Raises:
            NoPrice: something that is held cannot be valued.
        """
        return self._portfolio()

    def get_positions(self) -> list[Position]:
        """Return the open positions by symbol; cash is none of them."""
        return self._portfolio().positions

    def get_position(self, symbol: str) -> Position | None:
        """Return the position in a symbol, or None; "BTC" and "BTC/EUR" name the same."""
        account = self._seat.account(self._name)
        try:
            name = self._seat.resolve(account, symbol)
        except UnknownSymbol:
            return None
        return next((p for p in self._portfolio().positions if p.symbol == name), None)

    def get_trades(
        self,
        before_date: datetime | date | str | None = None,
        after_date: datetime | date | str | None = None,
        symbol: str | None = None,
        *,
        side: Any = None,
        task: str | None = None,
        run_id: str | None = None,
        archived: bool | None = False,
        limit: int | None = None,
    ) -> list[Trade]:
        """Return fills, the oldest first.

        Args:
            before_date: only those before it; a date is its first instant.
            after_date: only those at it or after it.
            symbol: only of this symbol.
            side: only "buy" or "sell".
            task: only of orders that this task placed.
            run_id: only of orders that this run placed.
            archived: those that were put away (True), the others (False), or both (None).
            limit: at most so many, the newest ones.
        """
        seat, local = self._seat, self._local
        account = seat.account(self._name)
        entries = seat.desk.ledger.entries(
            self._name,
            kind=EntryKind.FILL,
            symbol=None if symbol is None else seat.resolve(account, symbol),
            before=None if before_date is None else local.read(before_date, "before_date"),
            after=None if after_date is None else local.read(after_date, "after_date") - 1,
            archived=archived,
        )
        wanted = None if side is None else read_side(side)
        found = [
            trade_of(entry, local)
            for entry in entries
            if task in (None, entry.task)
            and run_id in (None, entry.run_id)
            and (wanted is None or (entry.quantity > 0) == (wanted is Side.BUY))
        ]
        return found if limit is None else found[max(len(found) - limit, 0) :]

    def archive_trades(self, trades: Iterable[Trade]) -> int:
        """Put trades away: they still count, and `get_trades` leaves them out.

        Returns:
            How many were not put away before.
        """
        self._seat.require_alive()
        numbers: list[int] = []
        for trade in trades:
            if getattr(trade, "account", None) != self._name:
                raise ArgumentRefused("trades", trade, f"trades of account {self._name!r}")
            numbers.append(trade.id)
        self._seat.account(self._name)
        now = self._seat.clock.micros()
        return self._seat.desk.ledger.archive(self._name, numbers, now)

    # --- the market ----------------------------------------------------------------------

    def get_price(self, symbol: str) -> Money:
        """Return the latest price.

        Raises:
            UnknownSymbol: nothing of that name has market data.
            NoPrice: it has none yet.
        """
        account, name = self._account_and(symbol)
        return Money(self._seat.price(account, name))

    def get_latest_price(self, symbol: str) -> Money:
        """As `get_price`."""
        return self.get_price(symbol)

    def get_market_data(
        self,
        symbol: str,
        timeframe: str | None = None,
        start: datetime | date | str | None = None,
        end: datetime | date | str | None = None,
        limit: int | None = None,
        *,
        adjusted: bool = False,
    ) -> MarketData:
        """Return bars that are over by now, oldest first.

        Args:
            symbol: whose.
            timeframe: "1d", "1h", "5m", ...; default the account's.
            start: only bars that start at or after it.
            end: only bars that end at or before it; default now.
            limit: only the newest so many.
            adjusted: as if the splits until now had always been.

        Raises:
            UnknownSymbol: nothing of it is stored.
            LookAhead: `end` or `start` is later than now.
        """
        account, name = self._account_and(symbol)
        bars = self._seat.market.get(
            name,
            timeframe or account.terms.timeframe,
            None if start is None else self._local.read(start, "start"),
            None if end is None else self._local.read(end, "end"),
            limit,
            adjusted=adjusted,
        )
        return MarketData(bars, self._local)

    def get_symbols(self) -> list[str]:
        """Return the symbols that have market data, sorted."""
        return sorted(self._seat.market.symbols())

    def store_market_data(
        self, symbol: str, data: Any, timeframe: str | None = None
    ) -> StoreResult:
        """Add bars or prices to the app's market data, or put them in place of what is there.

        All of it is stored, or nothing. Storing the same again changes nothing. What changed is
        told as the event `market_data_update`, except by a run that such an event started: it
        would start itself for ever.

        Args:
            symbol: whose.
            data: bars, rows as dicts, a table of pandas, polars or pyarrow, or a single price.
            timeframe: of the bars; default told from the rows.

        Returns:
            How many bars were `added` and `changed`, of how many given (`bars`).

        Raises:
            MarketDataError: anything is wrong with it, or it ends after now.
        """
        self._seat.require_alive()
        return self._services.catalogue.store(
            symbol,
            data,
            timeframe=timeframe,
            timezone=self._local.zone,
            facts=self._services.event_of(self._seat.call) != MARKET_DATA_UPDATE,
        )

    def archive_market_data(
        self, before_date: datetime | date | str, symbols: Iterable[str] | None = None
    ) -> int:
        """Put bars away that were over by then; return how many. They are not deleted."""
        self._seat.require_alive()
        return self._services.catalogue.archive(
            self._local.read(before_date, "before_date"), symbols
        )

    # --- the database --------------------------------------------------------------------

    def rebuild_database_indices(self) -> None:
        """Rebuild every index of the app's database."""
        self._seat.require_alive()
        self._services.maintenance.rebuild_indices()

    def update_database_statistics(self) -> None:
        """Let the database look again at what its tables hold."""
        self._seat.require_alive()
        self._services.maintenance.update_statistics()

    def backup_database(self, path: str) -> Mapping[str, Any]:
        """Write a restorable copy of the app's database while others write.

        Args:
            path: of the new file: SQL text when it ends in ".sql".

        Returns:
            `path`, `bytes` and `format`.

        Raises:
            BackupError: it cannot be written; nothing is left half-written.
        """
        self._seat.require_alive()
        return self._services.maintenance.backup(str(path))

    # --- tasks, events, alerts -----------------------------------------------------------

    def get_task_status(self) -> dict[str, dict[str, Any]]:
        """Return how each task stands, by name, from the store.

        Each value has `last_run`, `last_status`, `last_error` (None after a success),
        `last_success`, `next_run` and `running`.
        """
        return {
            name: {
                key: self._local.show_aware(value) if isinstance(value, datetime) else value
                for key, value in status.items()
            }
            for name, status in self._services.task_status().items()
        }

    def get_last_result(self, task: str | None = None) -> Any:
        """Return what the latest successful run of a task returned, as JSON values, or None.

        So a task remembers from run to run, also over a restart: whatever it returns is kept as
        long as its runs are (`retention`).

        Args:
            task: which; default the run's own.
        """
        return self._services.last_result(task or self.task)

    def trigger_event(
        self, event_type: str, event_data: Mapping[str, Any] | None = None
    ) -> list[str]:
        """Store an event and the runs that it starts; return their ids.

        Amounts in the data become JSON numbers.
        """
        self._seat.require_alive()
        return self._services.trigger_event(event_type, as_json(dict(event_data or {})))

    def send_alert(self, message: str, severity: str = "WARNING", **data: Any) -> None:
        """Raise an alert that a person must see.

        Args:
            message: one sentence.
            severity: "INFO", "WARNING", "ERROR" or "CRITICAL", in any case.
            data: what else a person needs to know, as JSON values.
        """
        level = str(severity).upper()
        if level not in SEVERITIES:
            raise ArgumentRefused("severity", severity, "one of " + ", ".join(SEVERITIES))
        self._services.send_alert(str(message), level, self._seat.call, as_json(data))

    def latch(self, name: str, condition: object) -> bool:
        """Say whether a condition that holds is this run's to act on.

        True once for each time that the condition comes true, however often and in how many
        processes it is looked at: for the run that saw it first, in all its attempts. When it no
        longer holds the latch opens again. It survives restarts.

        Args:
            name: of the latch, unique within the account.
            condition: whether it holds now.
        """
        seat = self._seat
        seat.require_alive()
        seat.account(self._name)
        now = seat.clock.micros()
        return seat.desk.ledger.latch(
            self._name, f"latch {name}", seat.holder, bool(condition), now
        )
