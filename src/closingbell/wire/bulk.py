"""One act on many runs: how it is asked for, and what became of it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from closingbell.core.bulk import MOST, TOLD, BulkOutcome
from closingbell.wire.run_filter import RunFilterGiven
from closingbell.wire.text import Given, Reason


class BulkRequest(Given):
    """What is to be done to all runs that a filter means."""

    filter: RunFilterGiven = Field(description="which runs; it must say something")
    reason: Reason | None = Field(
        default=None, description="why; stored with cancelled runs and in the audit ledger"
    )
    most: int = Field(
        default=10_000, ge=1, le=MOST, strict=True, description="not with more, the newest first"
    )
    dry_run: bool = Field(default=False, strict=True, description="count, and change nothing")


class RefusedRun(BaseModel):
    """A run that was left as it is."""

    id: str
    code: str = Field(description="of the error that says why")
    detail: str


class BulkAnswer(BaseModel):
    """What became of it."""

    matched: int = Field(description="runs that are meant, up to `most`")
    done: int = Field(description="ended, tried again, or, of running ones, asked to end")
    refused: list[RefusedRun] = Field(description=f"left as they are, the first {TOLD}")
    refused_count: int
    more: bool = Field(description="the filter means more than `most`")
    dry_run: bool

    @classmethod
    def of(cls, outcome: BulkOutcome, dry_run: bool) -> BulkAnswer:
        """Return an outcome as the API tells it."""
        refused = [RefusedRun(**one._asdict()) for one in outcome.refused]
        return cls(**{**outcome._asdict(), "refused": refused}, dry_run=dry_run)
