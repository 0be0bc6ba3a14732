"""Report: what a backtest says, as values, text, JSON, a page, and something to store.

The same tasks, data and seed give the same bytes: machine times and what tasks print (which may
tell addresses and times of the machine) are outside of `to_json`.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from closingbell.core.book import RoundTrip
from closingbell.core.entry import Entry
from closingbell.core.error import UnknownAccount, UnknownBacktest
from closingbell.core.ledger import BacktestRecord, Backtests
from closingbell.core.order import Order
from closingbell.simulation.account_report import (
    AccountReport,
    EquityPoint,
    FinalPosition,
    account_report,
)
from closingbell.simulation.benchmark import Benchmark
from closingbell.simulation.firing import FiringLine, read_page
from closingbell.simulation.metrics import Metrics
from closingbell.simulation.plain import plain
from closingbell.simulation.result import (
    EventCounts,
    RunOutput,
    SimulatedAlert,
    SimulationResult,
    TaskCount,
)
from closingbell.trading.terms import MAIN

if TYPE_CHECKING:
    from closingbell.simulation.comparison import Comparison

#: Kinds of pages of a stored backtest.
DOCUMENT, OUTPUT, FIRINGS = "document", "output", "firings"
#: Bytes of one page, packed.
PAGE_BYTES = 1 << 20
#: Outside of the document: what is stored beside it, or differs from run to run.
_BESIDE = frozenset({"id", "firing_pages", "failures", "output", "machine_s"})


class FiringPages(Protocol):
    """Where the task ledger is: in a temporary file, or in the store."""

    def pages(self) -> Iterable[bytes]:
        """Return its packed blocks, in order."""
        ...


class StoredFirings:
    """The task ledger of a stored backtest, fetched when it is asked for."""

    def __init__(self, backtests: Backtests, backtest_id: str) -> None:
        self._backtests = backtests
        self._id = backtest_id

    def pages(self) -> Iterable[bytes]:
        return self._backtests.pages(self._id, FIRINGS)


@dataclass(slots=True, kw_only=True, eq=False)
class Report:
    """What a backtest says.

    Instants are microseconds since the epoch; fractions are fractions.

    Attributes:
        id: made from the inputs and the seed.
        start, end: the window; `end` is its last instant.
        timezone: the app's.
        parameters: what the backtest was asked for.
        accounts: by name.
        tasks: counts by task, in the order of registration.
        alerts: those that were kept; `alert_count` is how many there were.
        failures: what failed attempts printed, and their errors; the first of them.
        output: what other runs printed; the last of them.
        facts: events by type, with how often.
        not_done: what tasks asked for and a backtest does not do, with how often.
        notes: what a reader should know.
        firing_count: lines of the task ledger.
        machine_s: machine seconds that it took; None for a stored one.
    """

    id: str = ""
    name: str
    start: int
    end: int
    seed: int
    timezone: str
    parameters: Mapping[str, Any]
    accounts: Mapping[str, AccountReport]
    tasks: Mapping[str, TaskCount]
    alerts: Sequence[SimulatedAlert] = ()
    alert_count: int = 0
    failures: Sequence[RunOutput] = ()
    output: Sequence[RunOutput] = ()
    facts: Mapping[str, int] = field(default_factory=dict)
    not_done: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    events: EventCounts = field(default_factory=EventCounts)
    firing_count: int = 0
    machine_s: float | None = None
    firing_pages: Any = None

    # --- accounts --------------------------------------------------------------------------

    def account(self, name: str | None = None) -> AccountReport:
        """Return an account's part; without a name that of "main", or of the first one.

        Raises:
            UnknownAccount: there is none of that name.
        """
        wanted = name if name is not None else MAIN
        found = self.accounts.get(wanted)
        if found is None and name is None:
            found = next(iter(self.accounts.values()), None)
        if found is None:
            raise UnknownAccount(wanted, self.accounts)
        return found

    @property
    def currency(self) -> str:
        """Of the main account."""
        return self.account().currency

    @property
    def metrics(self) -> Metrics:
        """Of the main account."""
        return self.account().metrics

    @property
    def equity(self) -> Sequence[EquityPoint]:
        """The main account's equity curve, a point for each day."""
        return self.account().equity

    @property
    def trades(self) -> list[Entry]:
        """The main account's fills, in order."""
        return self.account().trades

    @property
    def round_trips(self) -> Sequence[RoundTrip]:
        """What the main account opened and closed again."""
        return self.account().round_trips

    @property
    def orders(self) -> Sequence[Order]:
        """The main account's orders."""
        return self.account().orders

    @property
    def positions(self) -> Sequence[FinalPosition]:
        """What the main account holds at the end."""
        return self.account().positions

    # --- the task ledger -------------------------------------------------------------------

    def firings(self) -> Iterator[FiringLine]:
        """Yield the task ledger: a line for each firing and each run, as they ended.

        It is read as you go; a year of minutes has a million lines.
        """
        for page in self.packed_firings():
            yield from read_page(page)

    def packed_firings(self) -> Iterable[bytes]:
        """Return the task ledger in packed blocks, for who wants only the first or the last."""
        pages: FiringPages | None = self.firing_pages
        return () if pages is None else pages.pages()

    # --- forms -----------------------------------------------------------------------------

    def summary(self) -> str:
        """Return the main figures as text, for a terminal."""
        from closingbell.simulation.summary import summary_text

        return summary_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it but the task ledger's lines as JSON values.

        Amounts are decimal text, instants microseconds. `firings` has the number of the ledger's
        lines and their digest.
        """
        document = {name: plain(value) for name, value in self._document().items()}
        digest = hashlib.sha256()
        for page in self.packed_firings():
            digest.update(page)
        return {
            **document,
            "id": self.id,
            "firings": {"count": self.firing_count, "sha256": digest.hexdigest()},
        }

    def to_json(self) -> bytes:
        """Return `to_dict` as canonical JSON: the same tasks, data and seed give the same bytes."""
        return msgspec.json.encode(self.to_dict(), order="sorted")

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one page that needs no server and no network; return its path."""
        from closingbell.simulation.page.report_page import report_page

        target = Path(path)
        target.write_text(report_page(self), encoding="utf-8")
        return target

    def to_frame(
        self, table: str = "equity", *, account: str | None = None, library: str = "pandas"
    ) -> Any:
        """Return a table as a data frame.

        Args:
            table: "equity", "trades", "round_trips", "orders" or "firings".
            account: whose; the main one by default.
            library: "pandas", "polars" or "pyarrow"; the first two must be installed.

        Raises:
            BacktestError: there is no such table or library.
        """
        from closingbell.simulation.frame import frame

        return frame(self, table, account, library)

    def compare(self, other: Report) -> Comparison:
        """Return what this backtest and another one differ in."""
        from closingbell.simulation.comparison import compare

        return compare(self, other)

    # --- in a store ------------------------------------------------------------------------

    def record(self, started_at: int, finished_at: int) -> BacktestRecord:
        """Return what lists of backtests show of it; the times are of the machine."""
        main = self.account()
        summary = {
            "start": self.start,
            "end": self.end,
            "seed": self.seed,
            "account": main.name,
            "currency": main.currency,
            "parameters": plain(self.parameters),
            "metrics": plain(main.metrics),
            "trades": len(main.trades),
            "firings": self.firing_count,
            "tasks": list(self.tasks),
        }
        return BacktestRecord(self.id, self.name, started_at, finished_at, summary)

    def pages(self) -> dict[str, Sequence[bytes]]:
        """Return all of it as pages to store, by kind; `read_report` puts them together."""
        output = {"failures": self.failures, "output": self.output}
        return {
            DOCUMENT: _pages_of(self._document()),
            OUTPUT: _pages_of(output),
            FIRINGS: list(self.packed_firings()),
        }

    def _document(self) -> dict[str, Any]:
        return {
            each.name: getattr(self, each.name) for each in fields(self) if each.name not in _BESIDE
        }


def report_of(
    result: SimulationResult,
    *,
    name: str | None = None,
    benchmarks: Mapping[str, Benchmark] | None = None,
    risk_free: float = 0.0,
) -> Report:
    """Return what a simulation's result says.

    Args:
        result: of the simulation; its task ledger stays where it is.
        name: for people; made from the window by default.
        benchmarks: curves to compare with, by account.
        risk_free: a fraction a year, for the Sharpe and Sortino ratios.
    """
    curves = benchmarks or {}
    report = Report(
        name=name or "backtest",
        start=result.start,
        end=result.end,
        seed=result.seed,
        timezone=result.timezone,
        parameters=dict(result.parameters),
        accounts={
            each: account_report(account, benchmark=curves.get(each), risk_free=risk_free)
            for each, account in result.accounts.items()
        },
        tasks=dict(result.tasks),
        alerts=list(result.alerts),
        alert_count=result.alert_count,
        failures=list(result.failures),
        output=list(result.output),
        facts=dict(result.facts),
        not_done=dict(result.not_done),
        notes=list(result.notes),
        events=result.events,
        firing_count=len(result.firings),
        machine_s=result.machine_s,
        firing_pages=result.firings,
    )
    report.id = _identity(report)
    return report


def read_report(backtests: Backtests, backtest_id: str) -> Report:
    """Return a stored report; its task ledger is fetched when it is asked for.

    Raises:
        UnknownBacktest: there is none.
    """
    record = backtests.get(backtest_id)
    report = msgspec.json.decode(stored_document(backtests, record.id), type=Report)
    output = msgspec.json.decode(
        _joined(backtests.pages(record.id, OUTPUT)), type=dict[str, list[RunOutput]]
    )
    report.id = record.id
    report.failures, report.output = output["failures"], output["output"]
    report.firing_pages = StoredFirings(backtests, record.id)
    return report


def report_of_document(backtest_id: str, document: Mapping[str, Any]) -> Report:
    """Return the report that a service tells; its task ledger and output stay there.

    Args:
        backtest_id: of the backtest.
        document: the values of its JSON text.
    """
    report = msgspec.json.decode(msgspec.json.encode(document), type=Report)
    report.id = backtest_id
    return report


def stored_document(backtests: Backtests, backtest_id: str) -> bytes:
    """Return a stored report as the JSON text that it is kept as.

    Raises:
        UnknownBacktest: there is none of that very id.
    """
    pages = backtests.pages(backtest_id, DOCUMENT)
    if not pages:
        raise UnknownBacktest(backtest_id)
    return _joined(pages)


def _identity(report: Report) -> str:
    inputs = [
        report.name,
        report.start,
        report.end,
        report.seed,
        report.timezone,
        plain(report.parameters),
        [plain(account.terms) for account in report.accounts.values()],
        list(report.tasks),
    ]
    text = msgspec.json.encode(inputs, order="sorted")
    return hashlib.blake2b(text, digest_size=6).hexdigest()


def _pages_of(value: Any) -> list[bytes]:
    # Not sorted: tasks and accounts stay in their order.
    packed = zlib.compress(msgspec.json.encode(value, enc_hook=_encoded), 6)
    return [packed[at : at + PAGE_BYTES] for at in range(0, len(packed), PAGE_BYTES)]


def _joined(pages: Iterable[bytes]) -> bytes:
    return zlib.decompress(b"".join(pages))


def _encoded(value: Any) -> Any:
    # Amounts that came through the algorithm's door are of a subclass.
    if isinstance(value, Decimal):
        return Decimal(value)
    raise TypeError(
        f"a report cannot hold a {type(value).__name__}: expected JSON values or amounts"
    )
