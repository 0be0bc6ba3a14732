"""A file that is there whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def written(target: Path) -> Iterator[Path]:
    """Give a path to write to, beside `target`; it becomes `target` when it is whole.

    Raises:
        OSError: the folder cannot be made or written, or the target is a folder.
    """
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; name a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        part.unlink(missing_ok=True)


def log_beside(target: Path) -> Path | None:
    """Return the log that SQLite would take for the one of a database at `target`, if there is one."""
    logs = (target.with_name(target.name + end) for end in ("-wal", "-journal"))
    return next((log for log in logs if log.exists()), None)
