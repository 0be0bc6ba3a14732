"""A simulation's result that was worked out by hand from the shipped prices, to report on."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from closingbell.core.bar import Bar
from closingbell.core.book import Book, RoundTrip
from closingbell.core.clock import from_micros, to_micros
from closingbell.core.entry import Entry, EntryKind
from closingbell.core.error import UnknownBacktest
from closingbell.core.ledger import BacktestRecord, Snapshot
from closingbell.core.order import Order, OrderState, OrderType, Side, client_order_id
from closingbell.session_hours import session_hours
from closingbell.simulation.firing import FiringSpool, RunNumbers
from closingbell.simulation.result import (
    AccountResult,
    EventCounts,
    RunOutput,
    SimulatedAlert,
    SimulationResult,
    TaskCount,
)
from closingbell.trading.market.demo import demo_bars
from closingbell.trading.market.memory import MemoryBars
from closingbell.trading.terms import AccountTerms

TRADER, WATCHER = "trend_follower", "drawdown_watch"
_CENT = Decimal("0.01")
_ZERO = Decimal(0)


class MemoryBacktests:
    """Stored backtests in memory; keeps the contract of `core.ledger.Backtests`."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[BacktestRecord, dict[str, list[bytes]]]] = {}

    def put(self, record: BacktestRecord, pages: Mapping[str, Sequence[bytes]]) -> str:
        given = {kind: list(each) for kind, each in pages.items()}
        found, number = record.id, 1
        while found in self._held:
            kept, kept_pages = self._held[found]
            if (kept.name, kept.summary, kept_pages) == (record.name, record.summary, given):
                return found
            number += 1
            found = f"{record.id}-{number}"
        self._held[found] = (record._replace(id=found), given)
        return found

    def get(self, backtest_id: str) -> BacktestRecord:
        matching = [each for each in self._held if each.startswith(backtest_id)]
        if backtest_id in self._held:
            matching = [backtest_id]
        if len(matching) != 1:
            raise UnknownBacktest(backtest_id, self._held)
        return self._held[matching[0]][0]

    def pages(self, backtest_id: str, kind: str) -> list[bytes]:
        return self._held[self.get(backtest_id).id][1].get(kind, [])

    def recent(self, limit: int = 50) -> list[BacktestRecord]:
        return [record for record, _ in reversed(self._held.values())][:limit]

    def remove(self, backtest_id: str) -> bool:
        return self._held.pop(backtest_id, None) is not None


def shipped_bars() -> MemoryBars:
    """The demo's bars, in the sessions of New York."""
    return demo_bars(session_hours("XNYS"))


class _Account:
    """Books fills at closes and keeps the curve."""

    def __init__(self, terms: AccountTerms, start: int) -> None:
        self.terms, self.book = terms, Book()
        self.entries: list[Entry] = []
        self.orders: list[Order] = []
        self.trips: list[RoundTrip] = []
        self.snapshots: list[Snapshot] = []
        self.prices: dict[str, Decimal] = {}
        self.peak = _ZERO
        self.put(EntryKind.CASH, start, amount=terms.cash)
        self.mark(start)

    def put(self, kind: EntryKind, at: int, **given: object) -> None:
        seq = len(self.entries) + 1
        entry = Entry(self.terms.name, seq, kind, at, self.terms.currency)._replace(**given)  # type: ignore[arg-type]
        self.entries.append(entry)
        trip = self.book.apply(entry)
        if trip is not None:
            self.trips.append(trip)

    def trade(self, symbol: str, change: Decimal, at: int, run_id: str) -> None:
        price = self.prices[symbol]
        ordinal = 1 + sum(order.run_id == run_id for order in self.orders)
        order_id = client_order_id(run_id, ordinal)
        self.orders.append(
            Order(
                id=order_id,
                account=self.terms.name,
                symbol=symbol,
                side=Side.BUY if change > 0 else Side.SELL,
                type=OrderType.MARKET,
                quantity=abs(change),
                state=OrderState.FILLED,
                filled=abs(change),
                created_at=at,
                effective_at=at,
                updated_at=at,
                run_id=run_id,
                ordinal=ordinal,
                task=TRADER,
            )
        )
        self.put(
            EntryKind.FILL,
            at,
            amount=-change * price,
            fee=(abs(change) * price * Decimal("0.0005")).quantize(_CENT),
            symbol=symbol,
            quantity=change,
            price=price,
            order_id=order_id,
            run_id=run_id,
            task=TRADER,
            external_id=f"{order_id}@{at}",
        )

    def mark(self, at: int) -> None:
        held = self.book.positions
        worth = sum((h.quantity * self.prices[h.symbol] for h in held), _ZERO)
        cost = sum((h.cost for h in held), _ZERO)
        currency = self.terms.currency
        cash = self.book.cash[currency]
        self.peak = max(self.peak, cash + worth)
        realized = sum((h.realized for h in self.book.holdings.values()), _ZERO)
        self.snapshots.append(
            Snapshot(
                self.terms.name,
                at,
                cash + worth,
                cash,
                self.peak,
                self.book.deposits[currency],
                realized,
                worth - cost,
                abs(worth),
            )
        )

    def result(self) -> AccountResult:
        return AccountResult(
            terms=self.terms,
            entries=self.entries,
            orders=self.orders,
            snapshots=self.snapshots,
            round_trips=self.trips,
            prices=self.prices,
        )


def trend_result(
    symbols: Sequence[str] = ("IBM", "MSFT"),
    start: str = "2003-03-03T00:00:00-05:00",
    end: str = "2012-12-31T18:00:00-05:00",
    *,
    days: int = 100,
    seed: int = 7,
    cash: Decimal = Decimal(100_000),
    timezone: str = "America/New_York",
) -> SimulationResult:
    """Each Monday each symbol is held, with an even share, while it closes above its average."""
    first, last = (to_micros(datetime.fromisoformat(text)) for text in (start, end))
    account = _Account(AccountTerms(cash=cash, max_drawdown=Decimal("0.2")), first)
    averages = {symbol: deque[Decimal](maxlen=days) for symbol in symbols}
    numbers, spool = RunNumbers(seed), FiringSpool(seed)
    trader, watcher = TaskCount(), TaskCount()
    alerts: list[SimulatedAlert] = []
    breached, market = False, 0
    for part in shipped_bars().slices("1d", first, last, symbols):
        market += 2
        bars: dict[str, Bar] = {bar.symbol: bar for bar in part.bars}
        for symbol, bar in bars.items():
            averages[symbol].append(bar.close)
            account.prices[symbol] = bar.close
        # Watches at each close; the trader only on the first day of a week.
        watcher.runs += 1
        watcher.success += 1
        watcher.attempts += 1
        spool.add((part.end, WATCHER, WATCHER, watcher.runs, "success", None, 1, 0))
        if from_micros(part.end).weekday() != 0:
            reason = "not a Monday"
            trader.skipped_firings += 1
            trader.reasons[reason] = trader.reasons.get(reason, 0) + 1
            spool.add((part.end, TRADER, TRADER, -1, "skipped", reason, 0, 0))
        else:
            trader.runs += 1
            trader.success += 1
            trader.attempts += 1
            trader.sleep_s += 1.5
            run_id = numbers.run_id(TRADER, trader.runs)
            spool.add((part.end, TRADER, TRADER, trader.runs, "success", None, 1, 1_500_000))
            for symbol, bar in bars.items():
                _follow(account, symbol, bar, averages[symbol], len(symbols), run_id)
        account.mark(part.end)
        point = account.snapshots[-1]
        fall = 1 - point.value / point.peak
        if fall > Decimal("0.2") and not breached:
            alerts.append(
                SimulatedAlert(
                    part.end,
                    "task_alert",
                    "warning",
                    f"drawdown of {fall:.1%}",
                    WATCHER,
                    numbers.run_id(WATCHER, watcher.runs),
                    {"drawdown": str(fall)},
                )
            )
        breached = fall > Decimal("0.2")
    trader.failed, trader.runs, trader.timed_out = 1, trader.runs + 1, 1
    trader.attempts += 2
    trader.reasons["ConnectionError: reset by peer"] = 1
    trader.last_error = "ConnectionError: reset by peer"
    spool.add((last, TRADER, TRADER, trader.runs, "failed", trader.last_error, 2, 2_000_000))
    error = {"code": "raised", "type": "ConnectionError", "message": "reset by peer"}
    failure = RunOutput(
        last, TRADER, numbers.run_id(TRADER, trader.runs), 2, "failed",
        {**error, "traceback": "Traceback ...\nConnectionError: reset by peer\n", "bases": []},
        [("stdout", "asking for prices\n")],
    )  # fmt: skip
    return SimulationResult(
        start=first,
        end=last,
        seed=seed,
        timezone=timezone,
        parameters={
            "symbols": list(symbols),
            "days": days,
            "data": {"source": "the shipped history", "timeframe": "1d", "sha256": "5abadf99b2d3"},
        },
        accounts={"main": account.result()},
        tasks={TRADER: trader, WATCHER: watcher},
        firings=spool,
        alerts=alerts,
        alert_count=len(alerts),
        failures=[failure],
        facts={"daily_close": market // 2, "order_filled": len(account.orders)},
        not_done={"backup_database": 12},
        notes=["Orders fill at the close of the day on which they are made."],
        events=EventCounts(market=market, firings=len(spool), runs=watcher.runs + trader.attempts),
        machine_s=1.25,
        task_machine_s={TRADER: 0.5, WATCHER: 0.25},
    )


def _follow(
    account: _Account, symbol: str, bar: Bar, closes: deque[Decimal], parts: int, run_id: str
) -> None:
    average = sum(closes, _ZERO) / len(closes)
    held = account.book.quantity(symbol)
    if held and bar.close < average:
        account.trade(symbol, -held, bar.end, run_id)
    elif not held and bar.close > average and len(closes) == closes.maxlen:
        share = min(account.snapshots[-1].value / parts, account.book.cash["USD"])
        units = (share * Decimal("0.999") / bar.close).quantize(Decimal(1), ROUND_DOWN)
        if units:
            account.trade(symbol, units, bar.end, run_id)
