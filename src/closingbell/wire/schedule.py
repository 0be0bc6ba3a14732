"""Schedules: how they are asked for, and how they stand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
)

from closingbell.core.mask import mask
from closingbell.core.schedule import Schedule
from closingbell.wire.instant import Instant
from closingbell.wire.text import Given, JsonObject, Name, NewId, Priority, Reason, Tags

_Words = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1_000)]
_Seconds = Annotated[float, Field(strict=True, ge=0, le=1e9)]
#: Seconds, or text such as "5m".
Length = _Seconds | Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100)]


def _length(name: str, default: str) -> Any:
    """Return a duration's field; it may be named as in `@app.task`, too."""
    return Field(
        default=None,
        validation_alias=AliasChoices(f"{name}_s", name),
        description=f"seconds, or text such as '5m'; null = {default}",
    )


class TriggerWords(Given):
    """When, in the words of `@app.task`: one of them, or `time` and `day` beside `interval`."""

    interval: _Words | None = Field(default=None, description="'5m', 'daily', 'weekly', ...")
    time: _Words | None = Field(default=None, description="time of day, such as '16:05'")
    day: _Words | Annotated[int, Field(strict=True)] | None = Field(
        default=None, description="'FRI' for weekly; 1 to 31 or 'last' for monthly"
    )
    cron: _Words | None = Field(default=None, description="five fields")
    session: _Words | None = Field(default=None, description="such as 'XNYS close-15m'")
    at: Instant | None = Field(default=None, description="once")


class StoredTrigger(BaseModel):
    """When, as an answer tells it: send back what you read."""

    model_config = ConfigDict(extra="allow")

    kind: Literal["every", "daily", "cron", "at", "session"]


def _form(given: Any) -> str:
    kind = given.get("kind") if isinstance(given, dict) else getattr(given, "kind", None)
    return "words" if kind is None else "stored"


TriggerGiven = Annotated[
    Annotated[TriggerWords, Tag("words")] | Annotated[StoredTrigger, Tag("stored")],
    Discriminator(_form),
]


class BlackoutWindow(Given):
    """A window in which a schedule does not fire."""

    window: _Words = Field(description="'22:00-23:00' or 'XNYS open-30m..open+30m'")
    days: _Words | None = Field(default=None, description="such as 'MON-FRI'")
    timezone: _Words | None = Field(default=None, description="default the schedule's")


class ScheduleRequest(Given):
    """A schedule as it is to be; the names are those of the options of `@app.task`."""

    id: NewId | None = Field(default=None, description="default made from task and definition")
    task: Name
    trigger: TriggerGiven
    payload: JsonObject | None = Field(default=None, description="null = the task's own")
    priority: Priority | None = Field(default=None, description="null = the task's own")
    tags: Tags = Field(default=[])
    timezone: _Words | None = Field(default=None, description="of its times; null = the app's")
    catch_up: Literal["latest", "all", "skip"] = "latest"
    catch_up_window_s: Length | None = _length("catch_up_window", "7 days")
    grace_s: Length | None = _length("grace", "60 s")
    overlap: Literal["skip", "buffer_one", "buffer_all", "cancel_other", "allow"] = "skip"
    jitter_s: Length | None = _length("jitter", "none")
    start: Instant | None = Field(default=None, description="no firing before it")
    end: Instant | None = Field(default=None, description="no firing after it")
    blackouts: list[_Words | BlackoutWindow] = Field(
        default=[], max_length=50, validation_alias=AliasChoices("blackouts", "blackout")
    )
    reason: Reason | None = Field(default=None, description="why, for the audit ledger")


class PauseRequest(Given):
    """Why a schedule stops firing, and until when."""

    reason: Reason
    until: Instant | None = Field(default=None, description="null = until it is resumed")


class ResumeRequest(Given):
    """How a schedule goes on."""

    reason: Reason | None = None
    catch_up: bool = Field(
        default=False,
        strict=True,
        description="whether the firings that the pause kept back count as missed",
    )


class ScheduleInfo(BaseModel):
    """A stored schedule; what may be sent back has the names of `ScheduleRequest`."""

    id: str
    task: str
    registered: bool = Field(description="whether this app knows the task")
    when: str = Field(description="the rule in words")
    trigger: StoredTrigger
    payload: JsonObject
    priority: int | None
    tags: list[str]
    catch_up: str
    catch_up_window_s: float
    grace_s: float
    overlap: str
    jitter_s: float
    start: datetime | None
    end: datetime | None
    blackouts: list[JsonObject]
    next_fire_at: datetime | None
    last_fire_at: datetime | None
    paused: bool
    paused_at: datetime | None
    paused_reason: str | None
    paused_until: datetime | None
    source: str = Field(description="'task' or 'app': declared in code; 'api': made by hand")
    declared_in_code: bool = Field(description="it cannot be changed or removed here, only paused")
    version: str = Field(description="also the ETag; a change sends it as If-Match")

    @classmethod
    def of(
        cls,
        schedule: Schedule,
        version: str,
        *,
        paused: bool,
        registered: bool,
        declared: bool,
        masked: tuple[str, ...],
    ) -> ScheduleInfo:
        """Return a schedule as the API tells it."""
        policy = schedule.policy
        return cls(
            id=schedule.id,
            task=schedule.task,
            registered=registered,
            when=schedule.trigger.describe(),
            trigger=StoredTrigger(**schedule.trigger.to_dict()),
            payload=mask(dict(schedule.payload), masked),
            priority=schedule.priority,
            tags=list(schedule.tags),
            catch_up=policy.catch_up.value,
            catch_up_window_s=policy.catch_up_window.total_seconds(),
            grace_s=policy.grace.total_seconds(),
            overlap=policy.overlap.value,
            jitter_s=policy.jitter.total_seconds(),
            start=policy.start,
            end=policy.end,
            blackouts=[window.to_dict() for window in policy.blackouts],
            next_fire_at=schedule.next_fire_at,
            last_fire_at=schedule.last_fire_at,
            paused=paused,
            paused_at=schedule.paused_at if paused else None,
            paused_reason=schedule.paused_reason if paused else None,
            paused_until=schedule.paused_until if paused else None,
            source=schedule.source,
            declared_in_code=declared,
            version=version,
        )


class FiringLine(BaseModel):
    """One line of a schedule's future."""

    fire_at: datetime | None = Field(description="null: no instant of the rule, as a holiday")
    local: str = Field(description="when, in the rule's own zone")
    explanation: str
    fires: bool
    suppressed_by: Literal["calendar", "blackout", "pause", "end"] | None


class TickInfo(BaseModel):
    """What became of one instant of a schedule, or of several consecutive ones."""

    fire_at: datetime
    outcome: Literal["ran", "skipped"]
    reason: str | None
    run_id: str | None
    run_state: str | None = Field(description="null: no run, or one that was pruned")
    count: int
    until: datetime | None


class ClashInfo(BaseModel):
    """Another schedule that fires in the same minute."""

    fire_at: datetime
    schedule_id: str
    task: str
    other_fire_at: datetime


class SchedulePreview(BaseModel):
    """What a schedule would do, had it been stored."""

    id: str
    when: str
    trigger: StoredTrigger
    next: list[FiringLine]
    clashes: list[ClashInfo]
    clashes_complete: bool = Field(description="false: not every other schedule was looked at")
