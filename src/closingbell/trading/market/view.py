"""CatalogueView: a catalogue's bars as its manifest named them at one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from closingbell.core.bar import Bar, CorporateAction, Slice
from closingbell.core.error import StoreUnavailable
from closingbell.core.ledger import FileVersion
from closingbell.trading.market.merge import START, merge, slices_of
from closingbell.trading.market.shelf import ARCHIVE, Shelf

#: Bars held at once while several symbols are read side by side.
_HELD = 65_536
_SMALLEST, _LARGEST = 256, 2_048
#: So often a file may be replaced under a reader before it gives up.
_PATIENCE = 20
_EVER = -(1 << 62)
_FIRST = attrgetter("first")

#: Reads which files of a symbol and timeframe are the truth now.
Refresh = Callable[[str, str], Sequence[FileVersion]]


def is_archived(file: FileVersion) -> bool:
    """Say whether a file's bars are put away."""
    return file.file.startswith(f"{ARCHIVE}/")


def files_gone(files: Iterable[FileVersion]) -> StoreUnavailable:
    """Return the error of a file that the manifest names and that is not there."""
    names = ", ".join(sorted(file.file for file in files))
    return StoreUnavailable(
        f"a file of market data is gone, and the manifest still names it (one of {names}): run "
        "`closingbell data check`"
    )


class _Part(NamedTuple):
    """One row group that may hold what is asked for."""

    file: FileVersion
    group: int


class CatalogueView:
    """A source of bars that stays as it is while others write.

    Files that were replaced meanwhile are read in their new version.

    Args:
        shelf: where the files are.
        files: of which the view is, archived ones included.
        actions: corporate actions, ordered by (at, symbol).
        refresh: asks for the present files.
    """

    def __init__(
        self,
        shelf: Shelf,
        files: Iterable[FileVersion],
        actions: Sequence[CorporateAction],
        refresh: Refresh,
    ) -> None:
        self._shelf = shelf
        self._actions = actions
        self._refresh = refresh
        self._files: dict[tuple[str, str], list[FileVersion]] = {}
        self._archived: dict[tuple[str, str], list[FileVersion]] = {}
        for file in sorted(files, key=_FIRST):
            held = self._archived if is_archived(file) else self._files
            held.setdefault((file.symbol, file.timeframe), []).append(file)

    def symbols(self) -> list[str]:
        return sorted({symbol for symbol, _ in self._files})

    def timeframes(self) -> list[str]:
        """Return the timeframes of which there are bars, sorted by name."""
        return sorted({timeframe for _, timeframe in self._files})

    def span(self, timeframe: str) -> tuple[int, int] | None:
        held = [files for (_, named), files in self._files.items() if named == timeframe]
        if not held:
            return None
        return min(files[0].first for files in held), max(files[-1].last for files in held)

    def slices(
        self, timeframe: str, start: int, end: int, symbols: Iterable[str] | None = None
    ) -> Iterator[Slice]:
        known = {symbol for symbol, named in self._files if named == timeframe}
        wanted = None if symbols is None else set(symbols)
        chosen = sorted(known if wanted is None else known & wanted)
        size = min(max(_HELD // max(len(chosen), 1), _SMALLEST), _LARGEST)
        streams = [self._stream(symbol, timeframe, start, end, size) for symbol in chosen]
        actions = [
            action
            for action in self._actions
            if action.at < end and (wanted is None or action.symbol in wanted)
        ]
        if actions and actions[0].at < start:
            since = self._since(chosen, timeframe, start)
            actions = [action for action in actions if action.at >= since]
        return slices_of(merge(streams), actions)

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
        """Return bars with `start` <= bar.start and bar.end <= `end`, oldest first.

        Args:
            symbol: whose.
            timeframe: which.
            start: microseconds.
            end: microseconds.
            limit: only the newest so many.
            archived: those that were put away, too.
        """
        for _ in range(_PATIENCE):
            try:
                found = self._newest(self._files.get((symbol, timeframe), []), start, end, limit)
                if not archived:
                    return found
                away = self._newest(self._archived.get((symbol, timeframe), []), start, end, limit)
            except FileNotFoundError:
                self._look_again(symbol, timeframe)
                continue
            held = {bar.start: bar for bar in (*away, *found)}
            both = sorted(held.values(), key=START)
            return both if limit is None else both[max(len(both) - limit, 0) :]
        raise files_gone(self._files.get((symbol, timeframe), ()))

    def actions(self, start: int, end: int) -> list[CorporateAction]:
        return [action for action in self._actions if start <= action.at < end]

    def _newest(
        self, files: Sequence[FileVersion], start: int, end: int, limit: int | None
    ) -> list[Bar]:
        found: list[list[Bar]] = []
        lacking = limit
        for part in self._parts(files, start, end, newest_first=True):
            if lacking is not None and lacking <= 0:
                break
            block = self._shelf.block(part.file.symbol, part.file.file, part.group)
            low, high = block.rows_from(start), block.rows_until(end)
            if lacking is not None:
                low = max(low, high - lacking)
                lacking -= max(high - low, 0)
            found.append(block.bars(low, high))
        return [bar for bars in reversed(found) for bar in bars]

    def _stream(
        self, symbol: str, timeframe: str, start: int, end: int, size: int
    ) -> Iterator[list[Bar]]:
        """Yield blocks of bars whose start is in [start, end)."""
        missed = 0
        while True:
            files = self._files.get((symbol, timeframe), [])
            try:
                for part in self._parts(files, start, end):
                    block = self._shelf.block(symbol, part.file.file, part.group, keep=False)
                    low, high = block.rows_from(start), block.rows_from(end)
                    for begin in range(low, high, size):
                        until = min(begin + size, high)
                        # Where to go on when the next file turns out to be replaced.
                        start = block.starts[until - 1] + 1
                        missed = 0
                        yield block.bars(begin, until)
                return
            except FileNotFoundError:
                missed += 1
                if missed == _PATIENCE:
                    raise files_gone(self._files.get((symbol, timeframe), ())) from None
                self._look_again(symbol, timeframe)

    def _parts(
        self, files: Sequence[FileVersion], start: int, end: int, *, newest_first: bool = False
    ) -> Iterator[_Part]:
        """Yield the row groups in which a bar's start may be in [start, end]."""
        for file in reversed(files) if newest_first else files:
            if file.last < start or file.first > end:
                continue
            groups = list(enumerate(self._shelf.footer(file.file).starts))
            for number, (first, last) in reversed(groups) if newest_first else groups:
                if last >= start and first <= end:
                    yield _Part(file, number)

    def _since(self, symbols: Sequence[str], timeframe: str, start: int) -> int:
        """Return from when on an action comes with the first slice at or after `start`.

        That is: after the last slice before it. The same action then comes once, into however
        many windows a history is cut; without a slice before, nobody held anything.
        """
        before = [
            block[-1].start
            for symbol in symbols
            if (block := self._last_before(symbol, timeframe, start))
        ]
        return max(before) + 1 if before else start

    def _last_before(self, symbol: str, timeframe: str, start: int) -> list[Bar]:
        for _ in range(_PATIENCE):
            try:
                files = self._files.get((symbol, timeframe), [])
                for part in self._parts(files, _EVER, start - 1, newest_first=True):
                    block = self._shelf.block(symbol, part.file.file, part.group)
                    high = block.rows_from(start)
                    return block.bars(high - 1, high)
                return []
            except FileNotFoundError:
                self._look_again(symbol, timeframe)
        raise files_gone(self._files.get((symbol, timeframe), ()))

    def _look_again(self, symbol: str, timeframe: str) -> None:
        files = sorted(self._refresh(symbol, timeframe), key=_FIRST)
        self._files[symbol, timeframe] = [file for file in files if not is_archived(file)]
        self._archived[symbol, timeframe] = [file for file in files if is_archived(file)]
