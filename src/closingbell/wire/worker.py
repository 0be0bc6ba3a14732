"""Workers on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class Slots(BaseModel):
    """What a worker can do at once with one kind of executor."""

    slots: int = Field(description="how many runs at once; 0 = it takes none of this kind")
    used: int = Field(
        description="runs that it holds; of short process runs, which travel together, more than "
        "run at once"
    )


class WorkerInfo(BaseModel):
    """A process that takes runs, or took them lately."""

    id: str
    host: str
    pid: int
    state: Literal["alive", "stopped", "dead"] = Field(
        description="dead: its lease ended before it said that it stops"
    )
    version: str | None = Field(description="of closingbell there")
    started_at: datetime
    seen_at: datetime = Field(description="when it last renewed its lease")
    lease_until: datetime
    lease_left_s: float | None = Field(
        description="seconds until the lease ends, below 0 when it is over; null for one that ended"
    )
    ended_at: datetime | None = Field(description="when it stopped, or was declared dead")
    slots: dict[str, Slots] = Field(description="by kind of executor")
    running: list[str] = Field(description="ids of the runs that it holds, 100 at most")
    running_count: int
    tasks: list[str] = Field(description="which tasks it knows")


class WorkerRun(BaseModel):
    """A run that a worker holds."""

    id: str
    task: str
    executor: str
    attempt: int
    started_at: datetime | None


class WorkerDetail(WorkerInfo):
    """A worker, with what runs on it."""

    runs: list[WorkerRun] = Field(description="those that `running` names")
