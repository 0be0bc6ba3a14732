"""BarCatalogue: bars in Parquet files, of which a manifest says which are the truth.

A change writes new files first, and then one transaction puts them into the
manifest, with the event. Whoever dies in between leaves a file that nobody
reads; `sweep` takes it away. Two writers at once: one is first, the other
reads again and merges again.

    {root}/bars/{timeframe}/{symbol}/{period}-{version}-{unique}.parquet
    {root}/archive/...     the same, of what was put away
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from closingbell.core.bar import Bar, CorporateAction, SessionHours, Slice
from closingbell.core.clock import Clock
from closingbell.core.error import LedgerConflict
from closingbell.core.ledger import Fact, FileVersion, Manifest
from closingbell.trading.market.action import check_actions
from closingbell.trading.market.door import Batch, read_bars, update_fact
from closingbell.trading.market.encoding import Block, joined, table_to_bytes
from closingbell.trading.market.gap import find_gaps
from closingbell.trading.market.inspection import Problem, adopt, problems
from closingbell.trading.market.protocol import Gap, StoreResult
from closingbell.trading.market.shelf import ARCHIVE, BARS, Shelf
from closingbell.trading.market.soundness import check_digits
from closingbell.trading.market.upsert import Merged, check_neighbours, merged, periods
from closingbell.trading.market.view import CatalogueView, files_gone, is_archived

if TYPE_CHECKING:
    import pyarrow as pa

#: So often a writer that others keep overtaking begins again.
_ATTEMPTS = 32
_ORPHAN_AGE = timedelta(days=1)


class BarCatalogue:
    """Stored bars.

    Args:
        root: a folder, or an address that pyarrow knows, such as "s3://bucket/market".
        manifest: which files are the truth.
        hours: the sessions in which daily bars trade, of symbols without a "/"; None = a day is
            a calendar day.
        clock: what is later than its time is refused.

    Raises:
        SettingError: the address cannot be read.
    """

    def __init__(
        self, root: str | Path, manifest: Manifest, hours: SessionHours | None, clock: Clock
    ) -> None:
        self.manifest = manifest
        self._hours = hours
        self._clock = clock
        self._shelf = Shelf(root, clock)
        # Threads of one process take turns instead of overtaking each other.
        self._writing = threading.Lock()

    # --- reading ---------------------------------------------------------------------------

    def view(self, symbol: str | None = None, timeframe: str | None = None) -> CatalogueView:
        """Return the bars as they are now: a source that asks the manifest no more.

        Args:
            symbol: only this one's; None = all.
            timeframe: only this one; None = all.
        """
        return CatalogueView(
            self._shelf,
            self.manifest.files(symbol, timeframe),
            self.manifest.actions(),
            self.manifest.files,
        )

    def symbols(self) -> list[str]:
        return self.view().symbols()

    def timeframes(self) -> list[str]:
        return self.view().timeframes()

    def span(self, timeframe: str) -> tuple[int, int] | None:
        return self.view(timeframe=timeframe).span(timeframe)

    def slices(
        self, timeframe: str, start: int, end: int, symbols: Iterable[str] | None = None
    ) -> Iterator[Slice]:
        return self.view(timeframe=timeframe).slices(timeframe, start, end, symbols)

    def bars(
        self,
        symbol: str,
        timeframe: str,
        start: int,
        end: int,
        limit: int | None = None,
        *,
        archived: bool = False,
    ) -> list[Bar]:
        view = CatalogueView(
            self._shelf, self.manifest.files(symbol, timeframe), (), self.manifest.files
        )
        return view.bars(symbol, timeframe, start, end, limit, archived=archived)

    def actions(self, start: int, end: int) -> list[CorporateAction]:
        return [action for action in self.manifest.actions() if start <= action.at < end]

    def gaps(self, symbol: str, timeframe: str) -> list[Gap]:
        """Return where bars are missing between the first and the last one.

        Daily bars are missing where a session has none. Shorter ones are missing where a step
        of the timeframe has none; of symbols with session hours, only within sessions.
        """
        hours = None if "/" in symbol else self._hours
        return find_gaps(self.view(symbol, timeframe), symbol, timeframe, hours)

    # --- writing ---------------------------------------------------------------------------

    def store(
        self,
        symbol: str,
        data: Any,
        *,
        timeframe: str | None = None,
        timezone: ZoneInfo | None = None,
        facts: bool = True,
    ) -> StoreResult:
        batch = read_bars(
            symbol,
            data,
            timeframe=timeframe,
            timezone=timezone,
            hours=self._hours,
            now=self._clock.micros(),
        )
        check_digits(symbol, batch.bars)
        with self._writing:
            for _ in range(_ATTEMPTS):
                try:
                    added, changed = self._upsert(symbol, batch, facts)
                except (FileNotFoundError, LedgerConflict) as problem:
                    overtaken = problem
                    continue
                return StoreResult(added, changed, len(batch.bars), batch.timeframe, batch.notes)
        raise self._given_up(symbol, batch.timeframe, overtaken)

    def put_actions(self, actions: Sequence[CorporateAction]) -> int:
        """Store splits and dividends; return how many were not known.

        Raises:
            MarketDataError: a ratio or an amount is not above zero.
        """
        check_actions(actions)
        return self.manifest.put_actions(actions)

    def archive(self, before: int, symbols: Iterable[str] | None = None) -> int:
        wanted = None if symbols is None else set(symbols)
        series = {
            (file.symbol, file.timeframe)
            for file in self.manifest.files()
            if not is_archived(file) and (wanted is None or file.symbol in wanted)
        }
        return sum(self._archive_series(*one, before) for one in sorted(series))

    def sweep(self, older_than: timedelta = _ORPHAN_AGE) -> int:
        """Delete files that the manifest does not name; return how many.

        Args:
            older_than: younger ones may be about to be named.
        """
        limit = self._clock.machine_micros() - older_than // timedelta(microseconds=1)
        found = [name for name, written in self._shelf.files() if written <= limit]
        named = {file.file for file in self.manifest.files()}
        orphans = [name for name in found if name not in named]
        for name in orphans:
            self._shelf.remove(name)
        return len(orphans)

    def problems(self, symbols: Iterable[str] | None = None) -> Iterator[Problem]:
        """Read every file, archived ones too, and yield what is wrong.

        Args:
            symbols: only theirs; None = all.
        """
        wanted = None if symbols is None else set(symbols)
        files = self.manifest.files()
        chosen = [file for file in files if wanted is None or file.symbol in wanted]
        return problems(self._shelf, chosen)

    def adopt(self) -> list[FileVersion]:
        """Take into the manifest what only the folder knows, after an older database was put back.

        Of each period whose file is gone, or that the manifest does not know, the newest file
        counts.
        """
        with self._writing:
            return adopt(self._shelf, self.manifest, self._clock.micros())

    def _upsert(self, symbol: str, batch: Batch, facts: bool) -> tuple[int, int]:
        """Merge and write; return how many bars were added and changed.

        Raises:
            FileNotFoundError: another writer replaced a file.
            LedgerConflict: another writer was first.
        """
        live = {
            file.period: file
            for file in self.manifest.files(symbol, batch.timeframe)
            if not is_archived(file)
        }
        changes: dict[str, Merged] = {}
        for period, row, bars in periods(batch.timeframe, batch.bars):
            present = live.get(period)
            table = None if present is None else self._shelf.table(present.file)
            changes[period] = merged(symbol, table, bars, row)
        added = sum(change.added for change in changes.values())
        changed = sum(change.changed for change in changes.values())
        tables = {
            period: change.table for period, change in changes.items() if change.table is not None
        }
        if not tables:
            return 0, 0
        files = [
            self._describe(BARS, symbol, batch.timeframe, period, live.get(period), table)
            for period, table in tables.items()
        ]
        fresh = {file.period: file for file in files}
        check_neighbours(symbol, list({**live, **fresh}.values()), batch.bars)
        self._publish(
            dict(zip(files, tables.values(), strict=True)),
            [],
            [update_fact(symbol, batch, added, changed, self._clock.micros())] if facts else [],
        )
        # Nobody begins to read these any more; who is about to reads the new version.
        for period in fresh:
            if period in live:
                self._shelf.remove(live[period].file)
        return added, changed

    def _archive_series(self, symbol: str, timeframe: str, before: int) -> int:
        with self._writing:
            for _ in range(_ATTEMPTS):
                try:
                    return self._put_away(symbol, timeframe, before)
                except (FileNotFoundError, LedgerConflict) as problem:
                    overtaken = problem
        raise self._given_up(symbol, timeframe, overtaken)

    def _put_away(self, symbol: str, timeframe: str, before: int) -> int:
        import pyarrow.compute as pc

        present = self.manifest.files(symbol, timeframe)
        away = {file.period: file for file in present if is_archived(file)}
        tables: dict[FileVersion, pa.Table] = {}
        gone: list[FileVersion] = []
        moved = 0
        for file in present:
            if is_archived(file) or file.first >= before:
                continue
            table = self._shelf.table(file.file)
            block = Block(symbol, table)
            count = block.rows_until(before)
            if not count:
                continue
            moved += count
            period = f"{ARCHIVE}/{file.period}"
            there = away.get(period)
            part = table.slice(0, count)
            if there is not None:
                old = self._shelf.table(there.file)
                again = pc.is_in(
                    old.column("start"), value_set=part.column("start").combine_chunks()
                )
                part = joined(old.filter(pc.invert(again)), part)
            tables[self._describe(ARCHIVE, symbol, timeframe, period, there, part)] = part
            rest = table.slice(count)
            if len(rest):
                tables[self._describe(BARS, symbol, timeframe, file.period, file, rest)] = rest
            else:
                gone.append(file)
        if moved:
            # The old files stay for the next sweep: who reads them now reads all of them.
            self._publish(tables, gone, [])
        return moved

    def _describe(
        self,
        top: str,
        symbol: str,
        timeframe: str,
        period: str,
        present: FileVersion | None,
        table: pa.Table,
    ) -> FileVersion:
        version = 1 if present is None else present.version + 1
        block = Block(symbol, table)
        plain = period.removeprefix(f"{ARCHIVE}/")
        return FileVersion(
            symbol=symbol,
            timeframe=timeframe,
            period=period,
            file=self._shelf.name(top, symbol, timeframe, plain, version),
            version=version,
            rows=len(block),
            first=block.starts[0],
            last=block.ends[-1],
        )

    def _publish(
        self,
        tables: dict[FileVersion, pa.Table],
        gone: Sequence[FileVersion],
        facts: Sequence[Fact],
    ) -> None:
        for file, table in tables.items():
            self._shelf.put(file.file, table_to_bytes(table))
        try:
            self.manifest.replace(list(tables), gone, facts, self._clock.micros())
        except LedgerConflict:
            # After any other error nobody knows whether the files count; a sweep finds out.
            for file in tables:
                self._shelf.remove(file.file)
            raise

    def _given_up(self, symbol: str, timeframe: str, overtaken: Exception) -> Exception:
        if isinstance(overtaken, LedgerConflict):
            return overtaken
        return files_gone(self.manifest.files(symbol, timeframe))
