"""The desk of the restore drill: it buys at the local exchange, and fires every second.

    python -m tests.chaos.drill_desk

DRILL_STORE and DRILL_EXCHANGE are addresses. It says "ready" when it works.
"""

from __future__ import annotations

import os

from closingbell import App, Context
from tests.chaos.order_desk import make_app


def make_desk(store: str, exchange: str) -> App:
    """Return the desk of an address; it is not started."""
    app = make_app(store, exchange)

    @app.task(retries=20)
    async def note(context: Context, n: int) -> dict[str, int]:
        """End at once."""
        return {"n": n, "fence": context.fence}

    @app.task(interval="1s", retries=20)
    async def tick() -> None:
        """Fire."""

    return app


if __name__ == "__main__":
    desk = make_desk(os.environ["DRILL_STORE"], os.environ["DRILL_EXCHANGE"])
    desk.start(block=False)
    print("ready", flush=True)
    desk.wait()
