"""The desk of the service that the chaos tests kill: its runs outlive every kill."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

from closingbell import RetryPolicy, create_app
from closingbell.api import idempotency

# A key whose service died is "at work" for a minute to who sends it again; none waits so long here.
idempotency.CLAIM_S = 2.0

#: Killed services are no failure of the task: no run may run out of attempts here.
PATIENT = RetryPolicy(
    retries=10_000, initial_delay=timedelta(milliseconds=10), max_delay=timedelta(seconds=1)
)

app = create_app(
    os.environ["CHAOS_DATABASE"], lease_s=1.0, poison_after=10_000, grace_s=1.0, guardian=False
)


@app.task(retries=PATIENT)
async def settle(n: int) -> int:
    """Hold a place for a moment."""
    await asyncio.sleep(0.02)
    return n
