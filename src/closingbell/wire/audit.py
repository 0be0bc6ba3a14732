"""The audit ledger on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from closingbell.core.audit import Problem


class AuditInfo(BaseModel):
    """One act."""

    seq: int
    at: datetime
    actor: str = Field(description="who")
    actor_kind: str = Field(description="how they came in")
    action: str = Field(description="what, such as schedule.paused")
    target_kind: str
    target_id: str
    reason: str | None
    before: Any = Field(description="how it stood; null = it was not there")
    after: Any = Field(description="how it stands; null = it is not there")
    previous_hash: str
    hash: str = Field(description="SHA-256 of all that stands above")


class AuditFinding(BaseModel):
    """What is wrong with the chain, and where."""

    problem: Problem
    seq: int
    until: int = Field(description="of missing records the last; else seq")
    sentence: str


class AuditVerdict(BaseModel):
    """What became of a verification of the whole chain."""

    ok: bool
    records: int
    head: str = Field(
        description="where the chain ends, as SEQ:HASH; keep it elsewhere and send it next time"
    )
    findings: list[AuditFinding] = Field(description="the first 1000")
    finding_count: int
