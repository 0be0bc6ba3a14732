"""Tasks: their options in words and numbers, and how they stand."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from closingbell.wire.text import JsonObject


class RetryInfo(BaseModel):
    """How failures are followed by another attempt."""

    retries: int = Field(description="how many attempts may follow the first")
    backoff_factor: float
    initial_delay_s: float
    max_delay_s: float
    jitter: bool
    give_up_on: list[str]
    set_at_run_time: bool = Field(description="it leads over what the code declares")


class LimitInfo(BaseModel):
    """What keeps runs from starting at once."""

    max_concurrent: int | None
    rate: str | None
    key: str | None = Field(description="the fields of the payload that limits go by")
    cpu: float
    memory_bytes: int


class TaskStanding(BaseModel):
    """How a task stands."""

    running: int
    last_run_at: datetime | None
    last_status: str | None
    last_success_at: datetime | None
    last_error: str | None = Field(description="of the run that ended last; null after a success")
    next_fire_at: datetime | None


class DependencyInfo(BaseModel):
    """Tasks whose success starts this one."""

    tasks: list[str]
    within_s: float


class TaskInfo(BaseModel):
    """A task with all its options; one that only the store knows has no options."""

    name: str
    registered: bool = Field(description="false: the store knows it, this app does not")
    description: str
    executor: str | None = None
    priority: int | None = None
    tags: list[str] = []
    timeout_s: float | None = None
    retry: RetryInfo | None = None
    when: str | None = Field(default=None, description="its trigger in words; null = on demand")
    trigger: JsonObject | None = None
    on_event: list[str] = []
    where: str | None = None
    after: DependencyInfo | None = None
    limits: LimitInfo | None = None
    account: str | None = Field(default=None, description="what its algorithm trades")
    approval: str | None = Field(default=None, description="'two-person': a second person releases")
    masked: list[str] = Field(default=[], description="fields of the payload that nothing shows")
    payload: JsonObject = Field(default={}, description="what scheduled runs are given")
    retention_s: float | None = Field(default=None, description="null = the app's setting")
    explanation: str = Field(description="what starts it, in one sentence")
    standing: TaskStanding
