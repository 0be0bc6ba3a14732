"""Batches: runs that are submitted together."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from closingbell.core.batch import Batch
from closingbell.wire.text import Given, JsonObject, Name, Priority, Reason, Tags

#: Runs that one request may submit.
MOST = 50_000


class BatchRequest(Given):
    """Runs of one task that are asked for together: all of them or none."""

    task: Name
    payloads: Annotated[list[JsonObject], Field(min_length=1, max_length=MOST)] = Field(
        description="one for each run; all are checked before the first is stored"
    )
    name: Name | None = Field(default=None, description="for people; null = the task's name")
    priority: Priority | None = Field(default=None, description="1 first; null = the task's own")
    tags: Tags = Field(default=[], description="beside the task's own")
    reason: Reason | None = Field(default=None, description="why, for the audit ledger")


class BatchInfo(BaseModel):
    """Runs that were submitted together."""

    id: str
    task: str
    name: str
    size: int = Field(description="how many")
    requested_by: str | None
    created_at: datetime

    @classmethod
    def of(cls, batch: Batch) -> BatchInfo:
        """Return a batch as the API tells it."""
        return cls(**batch._asdict())


class BatchDetail(BatchInfo):
    """A batch, and how far it has come."""

    counts: dict[str, int] = Field(description="by state; pruned runs are in none")
    first_started_at: datetime | None
    last_finished_at: datetime | None
    eta_s: float | None = Field(
        description="seconds until all have ended, at the pace so far; null while nothing has "
        "ended, and when all has"
    )
