"""Backtests on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class BacktestInfo(BaseModel):
    """A stored backtest in a list."""

    id: str
    name: str
    made_at: datetime = Field(description="when it was finished, by the machine's clock")
    took_s: float = Field(description="machine time")
    start: datetime = Field(description="the window's first instant")
    end: datetime = Field(description="the window's last instant")
    seed: int
    account: str = Field(description="whose figures these are")
    currency: str
    metrics: dict[str, Any] = Field(description="of that account; null where one means nothing")
    trades: int
    tasks: list[str]


class BacktestReport(BacktestInfo):
    """A stored backtest, whole."""

    parameters: dict[str, Any]
    report: dict[str, Any] = Field(
        description="as `Report.to_dict` tells it: amounts are decimal text, instants "
        "microseconds since 1970 (UTC)"
    )
