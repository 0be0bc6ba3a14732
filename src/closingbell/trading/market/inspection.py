"""Whether a catalogue's files are what its manifest says, and what can be done when not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from closingbell.core.error import MarketDataError, StoreUnavailable
from closingbell.core.ledger import FileVersion, Manifest
from closingbell.trading.market.encoding import Block
from closingbell.trading.market.shelf import ARCHIVE, Shelf, read_name
from closingbell.trading.market.soundness import check_bars

#: Symbol, timeframe and period.
_Key = tuple[str, str, str]


class Problem(NamedTuple):
    """Something that is wrong with stored bars.

    Attributes:
        file: its path below the root.
        sentence: what is wrong.
    """

    symbol: str
    timeframe: str
    file: str
    sentence: str


def problems(shelf: Shelf, files: Iterable[FileVersion]) -> Iterator[Problem]:
    """Read every file and yield what is wrong, one file at a time.

    Args:
        shelf: where they are.
        files: what the manifest says.
    """
    for file in files:
        sentence = _problem(shelf, file)
        if sentence is not None:
            yield Problem(file.symbol, file.timeframe, file.file, sentence)


def adopt(shelf: Shelf, manifest: Manifest, at: int) -> list[FileVersion]:
    """Take into the manifest what only the folder knows; return it.

    The database of an older backup names files that were replaced since, and lacks newer ones.
    For each period whose file is gone, or that the manifest does not know, the newest file
    counts.

    Args:
        shelf: where the files are.
        manifest: which will name them.
        at: now, in microseconds.

    Raises:
        StoreUnavailable: a file cannot be read.
        LedgerConflict: somebody stored bars meanwhile; call it again.
    """
    there = sorted(shelf.files(), key=lambda found: found[1])
    names = {name for name, _ in there}
    present = {(file.symbol, file.timeframe, file.period): file for file in manifest.files()}
    newest: dict[_Key, str] = {}
    for name, _ in there:
        parts = read_name(name)
        if parts is not None:
            top, symbol, timeframe, period = parts
            newest[symbol, timeframe, f"{ARCHIVE}/{period}" if top == ARCHIVE else period] = name
    adopted: dict[_Key, FileVersion] = {}
    for key, name in sorted(newest.items()):
        known = present.get(key)
        # What is put away lies in the archive as well as, until it is swept, where it lay before.
        other = present.get(_counterpart(key))
        if known is None and other is not None and other.file in names:
            continue
        if known is None or known.file not in names:
            adopted[key] = _described(shelf, key, name, 1 if known is None else known.version + 1)
    gone = [
        file
        for key, file in present.items()
        if file.file not in names and key not in adopted and _counterpart(key) in adopted
    ]
    if adopted:
        manifest.replace(list(adopted.values()), gone, [], at)
    return list(adopted.values())


def _counterpart(key: _Key) -> _Key:
    """Return the archive's key of the same period, or the other way round."""
    symbol, timeframe, period = key
    plain = period.removeprefix(f"{ARCHIVE}/")
    return symbol, timeframe, plain if plain != period else f"{ARCHIVE}/{period}"


def _described(shelf: Shelf, key: _Key, name: str, version: int) -> FileVersion:
    block = Block(key[0], shelf.table(name))
    return FileVersion(*key, name, version, len(block), block.starts[0], block.ends[-1])


def _problem(shelf: Shelf, file: FileVersion) -> str | None:
    try:
        block = Block(file.symbol, shelf.table(file.file))
    except FileNotFoundError:
        return "the file is gone"
    except (StoreUnavailable, KeyError) as problem:
        return f"the file cannot be read: {problem}"
    if (len(block), block.starts[0], block.ends[-1]) != (file.rows, file.first, file.last):
        return f"the file holds {len(block)} bars, and the manifest says {file.rows}, or other ones"
    try:
        check_bars(file.symbol, block.bars(), file.timeframe)
    except MarketDataError as problem:
        return str(problem)
    return None
