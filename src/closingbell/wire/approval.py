"""Approvals: runs that wait for people, and what people decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from closingbell.core.approval import Decision, HeldRun, Standing, Verdict
from closingbell.core.mask import mask
from closingbell.wire.text import Given, JsonObject, Reason


class Rejection(Given):
    """Why a run is rejected."""

    reason: Reason


class DecisionInfo(BaseModel):
    """What one person did."""

    person: str
    verdict: Verdict
    reason: str | None
    decided_at: datetime | None

    @classmethod
    def of(cls, decision: Decision) -> DecisionInfo:
        """Return a decision as the API tells it."""
        return cls(**decision._asdict())


class ApprovalStanding(BaseModel):
    """How far people have come with a run."""

    run_id: str
    state: Literal["waiting", "released", "rejected"]
    needed: int = Field(description="how many more persons must release it")
    asked_by: str | None = Field(description="the person who asked for it, if it was one")
    released_by: list[str]
    rejected_by: str | None

    @classmethod
    def of(cls, run_id: str, standing: Standing) -> ApprovalStanding:
        """Return a standing as the API tells it."""
        return cls(run_id=run_id, **standing._asdict())


class ApprovalInfo(ApprovalStanding):
    """A run that waits for people."""

    task: str
    payload: JsonObject = Field(description="without what its task masks")
    tags: list[str]
    cause: str
    schedule_id: str | None
    requested_by: str | None
    submitted_at: datetime
    due_at: datetime
    decisions: list[DecisionInfo]

    @classmethod
    def held(cls, held: HeldRun, masked: Sequence[str]) -> ApprovalInfo:
        """Return a held run as the API tells it; its payload without `masked`."""
        run = held.run
        return cls(
            run_id=run.id,
            **held.standing._asdict(),
            task=run.task,
            payload=mask(run.payload, masked),
            tags=list(run.tags),
            cause=run.cause,
            schedule_id=run.schedule_id,
            requested_by=run.requested_by,
            submitted_at=run.submitted_at,
            due_at=run.due_at,
            decisions=[DecisionInfo.of(decision) for decision in held.decisions],
        )
