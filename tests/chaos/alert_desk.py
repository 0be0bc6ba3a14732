"""A desk whose one task fails, and whose process dies where it is told to.

`ALERT_DIES` is "deciding" (the alert is stored, nobody has decided whom to tell), "before" (the
message is claimed and not sent), "after" (it is sent and not marked), or "" for never.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime

from closingbell import create_app
from closingbell.core.notification import Notification
from closingbell.monitor.notify import postman, webhook
from closingbell.watch import AlertWatch

DIES = os.environ["ALERT_DIES"]
# What a dead sender held is free after a second instead of two minutes.
postman.CLAIM_S = 1.0

app = create_app(os.environ["ALERT_DATABASE"], guardian=False, lease_s=2.0)
app.add_channel("desk", webhook=os.environ["ALERT_HOOK"], secret="a secret of the chaos tests")


@app.task(retries=0)
def settle() -> None:
    raise ValueError("no price")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


send, carry_out = webhook.Webhook.send, AlertWatch._carry_out


def deadly_send(self: webhook.Webhook, message: Notification, at: datetime) -> None:
    if DIES == "before":
        die()
    send(self, message, at)
    if DIES == "after":
        die()


def deadly_carry_out(self: AlertWatch, polls: bool, now: int) -> None:
    if DIES == "deciding" and self._store.alerts.page():
        die()
    carry_out(self, polls, now)


if __name__ == "__main__":
    webhook.Webhook.send = deadly_send  # type: ignore[method-assign]
    AlertWatch._carry_out = deadly_carry_out  # type: ignore[method-assign]
    if sys.argv[1:] == ["fail"]:
        app.submit("settle")
    app.start()
