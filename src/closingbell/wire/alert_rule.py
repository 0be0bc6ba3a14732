"""Rules of alerts: how they are asked for, and how they stand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from closingbell.wire.notification import ChannelTest
from closingbell.wire.text import Given, Name, NewId, Reason

_Names = Annotated[list[Name], Field(max_length=50)]
_Number = Annotated[float, Field(strict=True, ge=0, le=1e12, allow_inf_nan=False)]
_Whole = Annotated[int, Field(strict=True, ge=0, le=2**53)]


class QuietHoursWords(Given):
    """When only what is critical is told."""

    zone: Name | None = Field(default=None, description="default: the app's")
    days: Annotated[list[Name], Field(min_length=1, max_length=7)] | None = Field(
        default=None, description="on which they begin, such as ['sat', 'sun']; default all"
    )
    begin: Name = Field(alias="from", description="such as '22:00'")
    end: Name = Field(alias="to", description="such as '07:00'")


class AlertRuleRequest(Given):
    """A rule. Which thresholds and filters a kind takes is in the documentation."""

    id: NewId | None = Field(default=None, description="default: made from kind and filters")
    kind: Name
    task: Name | None = None
    tag: Name | None = None
    schedule: Name | None = None
    account: Name | None = None
    venue: Name | None = None
    for_s: _Number | None = None
    window_s: _Number | None = None
    fraction: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    count: _Whole | None = None
    size_bytes: _Whole | None = None
    days: _Whole | None = None
    severity: Name | None = None
    channels: _Names = Field(default=["*"], description="who is told; * = every channel")
    repeat_s: _Number | None = Field(default=None, description="60 or more")
    quiet_hours: QuietHoursWords | None = None
    escalate_after_s: _Number | None = None
    escalate_to: _Names = Field(default=[])
    auto_clear: bool | None = None
    enabled: bool = True
    reason: Reason | None = Field(default=None, description="for the audit ledger")

    def fields(self, rule_id: str | None) -> dict[str, Any]:
        """Return what `read_alert_rule` takes."""
        values = self.model_dump(by_alias=True, exclude_none=True, exclude={"reason"})
        return values if rule_id is None else {**values, "id": rule_id}


class AlertRuleInfo(BaseModel):
    """A rule as it stands."""

    id: str
    kind: str
    task: str | None = None
    tag: str | None = None
    schedule: str | None = None
    account: str | None = None
    venue: str | None = None
    for_s: float | None = None
    window_s: float | None = None
    fraction: float | None = None
    count: int | None = None
    size_bytes: int | None = None
    days: int | None = None
    severity: str | None = Field(default=None, description="null: as it was raised")
    channels: list[str]
    repeat_s: float | None = None
    quiet_hours: dict[str, Any] | None = None
    escalate_after_s: float | None = None
    escalate_to: list[str] = []
    auto_clear: bool
    enabled: bool
    source: str = Field(description="code, api or default")
    version: int
    created_at: datetime
    updated_at: datetime


class RuleFinding(BaseModel):
    """Something that a rule sees at present."""

    message: str
    task: str | None
    run_id: str | None
    data: dict[str, Any]


class AlertRuleTest(BaseModel):
    """What a rule sees at present, and whether its channels work."""

    findings: list[RuleFinding]
    channels: list[ChannelTest]
