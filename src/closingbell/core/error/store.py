"""Errors of the store: the database, and whether waiting helps."""

from __future__ import annotations

from typing import ClassVar

from closingbell.core.error.root import ClosingbellError


class StoreError(ClosingbellError):
    """The database refused or failed; `retryable` says whether waiting may help."""

    code = "store_error"
    retryable: ClassVar[bool] = False

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class StoreUnavailable(StoreError):
    """The database is gone, locked or restarting."""

    code = "store_unavailable"
    retryable = True


class StoreReadOnly(StoreError):
    """The database cannot be written."""

    code = "store_read_only"
    retryable = True


class StoreFull(StoreError):
    """The disk or the database is full."""

    code = "store_full"
    retryable = True


class SchemaMismatch(StoreError):
    """The database was written by another version of closingbell."""

    code = "schema_mismatch"

    def __init__(self, found: str | None, expected: str, advice: str) -> None:
        super().__init__(
            f"the store has schema {found or 'none'} and this version needs {expected}: {advice}"
        )
        self.found = found
        self.expected = expected
