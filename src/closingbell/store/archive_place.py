"""Where archived files go: a folder, or an object store that pyarrow knows."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, Any

from closingbell.core.error import ArchiveError, SettingError
from closingbell.store.whole_file import written

_BLOCK = 1 << 20


class ArchivePlace:
    """One root, whose files are named by paths under it."""

    def __init__(self, root: str) -> None:
        """Take an address; nothing is looked up yet.

        Args:
            root: a folder, or an address such as "s3://bucket/archive".

        Raises:
            SettingError: pyarrow does not know such addresses.
        """
        self.root = root
        self._folder: Path | None = None
        self._base = ""
        self._filesystem: Any = None
        if "://" not in root or root.startswith("file://"):
            self._folder = Path(root.removeprefix("file://"))
            return
        import pyarrow as pa
        import pyarrow.fs as fs

        try:
            self._filesystem, self._base = fs.FileSystem.from_uri(root)
        except (pa.ArrowException, ValueError, OSError) as problem:
            expected = f"a folder or an address such as s3://bucket/archive ({problem})"
            raise SettingError("archive", root, expected) from problem

    @contextmanager
    def writing(self, file: str) -> Iterator[Path]:
        """Give a local path to write to; at the end it is there as `file`, whole and to stay.

        Raises:
            ArchiveError: it cannot be written.
        """
        with self._told(file):
            if self._folder is not None:
                with written(self._folder / file) as part:
                    yield part
                return
            with TemporaryDirectory(prefix="closingbell-archive-") as folder:
                part = Path(folder) / "part.parquet"
                yield part
                target = self._path(file)
                self._filesystem.create_dir(str(PurePosixPath(target).parent), recursive=True)
                with part.open("rb") as source, self._filesystem.open_output_stream(target) as to:
                    shutil.copyfileobj(source, to, _BLOCK)

    @contextmanager
    def reading(self, file: str) -> Iterator[IO[bytes]]:
        """Open a file, to be read from any position.

        Raises:
            ArchiveError: it is not there, or cannot be read.
        """
        with self._told(file):
            if self._folder is not None:
                with (self._folder / file).open("rb") as stream:
                    yield stream
                return
            with self._filesystem.open_input_file(self._path(file)) as stream:
                yield stream

    def remove(self, file: str) -> None:
        """Delete a file; one that is not there is no problem.

        Raises:
            ArchiveError: it cannot be deleted.
        """
        with self._told(file):
            if self._folder is not None:
                (self._folder / file).unlink(missing_ok=True)
                return
            import pyarrow.fs as fs

            path = self._path(file)
            if self._filesystem.get_file_info(path).type == fs.FileType.File:
                self._filesystem.delete_file(path)

    def _path(self, file: str) -> str:
        return f"{self._base}/{file}"

    @contextmanager
    def _told(self, file: str) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except (OSError, pa.ArrowException) as problem:
            raise ArchiveError(f"{self.root}/{file}", str(problem)) from problem


def sha256_of(stream: IO[bytes]) -> str:
    """Return the SHA-256 of what is left of a stream, in hexadecimal."""
    found = hashlib.sha256()
    while block := stream.read(_BLOCK):
        found.update(block)
    return found.hexdigest()
