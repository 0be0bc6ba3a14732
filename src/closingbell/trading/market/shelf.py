"""Shelf: the files of a catalogue, below a folder or an object store's address."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import count
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

from closingbell.core.clock import Clock, to_micros
from closingbell.core.error import (
    SettingError,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from closingbell.trading.market.encoding import Block

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

BARS, ARCHIVE = "bars", "archive"
_NAME = re.compile(
    rf"(?P<top>{BARS}|{ARCHIVE})/(?P<timeframe>\w+)/(?P<symbol>[^/]+)/(?P<period>[\d-]+?)-\d+-[0-9a-f]+"
    r"\.parquet",
    re.ASCII,
)
#: Bytes of blocks that are kept for the next read.
_KEPT_BYTES = 64 * 1024 * 1024
_KEPT_FOOTERS = 4_096
_KINDS: dict[int, type[StoreError]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EROFS: StoreReadOnly,
    errno.EACCES: StoreReadOnly,
}


def read_name(file: str) -> tuple[str, str, str, str] | None:
    """Return the top folder, symbol, timeframe and period of a path that `Shelf.name` made."""
    match = _NAME.fullmatch(file)
    if match is None:
        return None
    return match["top"], unquote(match["symbol"]), match["timeframe"], match["period"]


class Footer(NamedTuple):
    """What a file says of itself.

    Attributes:
        metadata: Parquet's own.
        starts: first and last start of each row group.
    """

    metadata: Any
    starts: tuple[tuple[int, int], ...]


class Shelf:
    """Files by their path below a root; a file never changes once it is there.

    Args:
        root: a folder, or an address that pyarrow knows, such as "s3://bucket/market".
        clock: for names that nobody else gives.

    Raises:
        SettingError: the address cannot be read.
    """

    def __init__(self, root: str | Path, clock: Clock) -> None:
        self._clock = clock
        self._numbers = count()
        self._lock = Lock()
        self._blocks: OrderedDict[tuple[str, int], Block] = OrderedDict()
        self._kept = 0
        self._footers: OrderedDict[str, Footer] = OrderedDict()
        self._folder: Path | None = None
        self._filesystem: Any = None
        self._base = ""
        text = str(root)
        if "://" not in text:
            self._folder = Path(root).absolute()
        elif text.startswith("file://"):
            self._folder = Path(text.removeprefix("file://"))
        else:
            self._connect(text)

    def _connect(self, address: str) -> None:
        import pyarrow as pa
        import pyarrow.fs as fs

        try:
            self._filesystem, self._base = fs.FileSystem.from_uri(address)
        except (pa.ArrowException, ValueError, OSError) as problem:
            raise SettingError(
                "market data", address, f"a folder or an address such as s3://bucket/x ({problem})"
            ) from problem

    def name(self, top: str, symbol: str, timeframe: str, period: str, version: int) -> str:
        """Return a path for a new file that no other writer has."""
        made = f"{socket.gethostname()} {os.getpid()} {id(self)} {next(self._numbers)}"
        stamp = f"{made} {self._clock.machine_micros()} {self._clock.monotonic()}"
        digest = blake2b(stamp.encode(), digest_size=8).hexdigest()
        # A name of dots only would be a way out of the folder.
        folder = quote(symbol, safe="").replace(".", "%2E")
        return f"{top}/{timeframe}/{folder}/{period}-{version}-{digest}.parquet"

    def put(self, file: str, content: bytes) -> None:
        """Write a file; when this returns it is there to stay.

        Raises:
            StoreError: it cannot be written.
        """
        with _storing(f"market data cannot be written to {file}"):
            if self._folder is None:
                path = self._path(file)
                self._filesystem.create_dir(str(PurePosixPath(path).parent), recursive=True)
                with self._filesystem.open_output_stream(path) as stream:
                    stream.write(content)
                return
            target = self._folder / file
            fresh = [folder for folder in target.parents if not folder.exists()]
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with target.open("xb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
            except OSError:
                target.unlink(missing_ok=True)
                raise
            for folder in (target.parent, *(made.parent for made in fresh)):
                _sync_folder(folder)

    def remove(self, file: str) -> None:
        """Delete a file; one that is gone or held is left as it is, for the next sweep."""
        try:
            if self._folder is not None:
                (self._folder / file).unlink()
            else:
                self._filesystem.delete_file(self._path(file))
        except OSError:
            return

    def files(self) -> Iterator[tuple[str, int]]:
        """Yield every file as (path below the root, when it was written in microseconds)."""
        import pyarrow.fs as fs

        filesystem = self._filesystem or fs.LocalFileSystem()
        base = self._base if self._folder is None else self._folder.as_posix()
        for top in (BARS, ARCHIVE):
            chosen = fs.FileSelector(f"{base}/{top}", allow_not_found=True, recursive=True)
            with _storing(f"market data below {base} cannot be listed"):
                found = filesystem.get_file_info(chosen)
            for info in found:
                if info.type == fs.FileType.File:
                    written = to_micros(info.mtime) if info.mtime is not None else 0
                    yield info.path.removeprefix(f"{base}/"), written

    def footer(self, file: str) -> Footer:
        """Return what a file says of itself.

        Raises:
            FileNotFoundError: it is gone.
            StoreError: it cannot be read.
        """
        with self._lock:
            if (kept := self._footers.get(file)) is not None:
                return kept
        with self._opened(file, None) as parquet:
            metadata = parquet.metadata
        groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
        extents = (group.column(0).statistics for group in groups)
        footer = Footer(metadata, tuple((to_micros(e.min), to_micros(e.max)) for e in extents))
        with self._lock:
            self._footers[file] = footer
            while len(self._footers) > _KEPT_FOOTERS:
                self._footers.popitem(last=False)
        return footer

    def block(self, symbol: str, file: str, group: int, *, keep: bool = True) -> Block:
        """Return a row group of a file.

        Args:
            symbol: whose bars they are.
            file: which.
            group: which row group.
            keep: it will likely be asked for again.

        Raises:
            FileNotFoundError: the file is gone.
            StoreError: it cannot be read.
        """
        with self._lock:
            if (kept := self._blocks.get((file, group))) is not None:
                self._blocks.move_to_end((file, group))
                return kept
        with self._opened(file, self.footer(file).metadata) as parquet:
            block = Block(symbol, parquet.read_row_group(group, use_threads=False))
        if keep:
            with self._lock:
                if (file, group) not in self._blocks:
                    self._blocks[file, group] = block
                    self._kept += block.bytes
                while self._kept > _KEPT_BYTES and len(self._blocks) > 1:
                    self._kept -= self._blocks.popitem(last=False)[1].bytes
        return block

    def table(self, file: str) -> pa.Table:
        """Return all of a file.

        Raises:
            FileNotFoundError: it is gone.
            StoreError: it cannot be read.
        """
        with self._opened(file, None) as parquet:
            return parquet.read(use_threads=False)

    @contextmanager
    def _opened(self, file: str, metadata: Any) -> Iterator[pq.ParquetFile]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            source = (
                self._folder / file
                if self._folder is not None
                else self._filesystem.open_input_file(self._path(file))
            )
            with pq.ParquetFile(source, metadata=metadata) as parquet:
                yield parquet
        except (OSError, pa.ArrowException) as problem:
            if isinstance(problem, FileNotFoundError) or self._is_gone(file):
                # An object store finds out in the middle of reading.
                raise FileNotFoundError(file) from problem
            raise _refused(f"market data in {file} cannot be read", problem) from problem

    def _is_gone(self, file: str) -> bool:
        import pyarrow.fs as fs

        if self._folder is not None:
            return not (self._folder / file).exists()
        with _storing(f"market data in {file} cannot be read"):
            found = self._filesystem.get_file_info(self._path(file)).type
        return bool(found == fs.FileType.NotFound)

    def _path(self, file: str) -> str:
        return f"{self._base}/{file}" if self._base else file


@contextmanager
def _storing(what: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as problem:
        raise _refused(what, problem) from problem


def _refused(what: str, problem: Exception) -> StoreError:
    number = getattr(problem, "errno", None)
    kind = StoreUnavailable if number is None else _KINDS.get(number, StoreUnavailable)
    return kind(f"{what}: {problem}")


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a loss of power, where folders can be synced."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
