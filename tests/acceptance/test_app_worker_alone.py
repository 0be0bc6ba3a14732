"""A worker without a scheduler."""

from __future__ import annotations

from datetime import timedelta

from closingbell import RetryPolicy, create_app


def test_worker_alone_runs_what_was_delayed_and_what_must_be_tried_again(
    store_address: str,
) -> None:
    """It fires no schedule, and needs nobody to promote its retries."""
    app = create_app(store_address, guardian=False)
    tries: list[int] = []

    @app.task(retries=RetryPolicy(retries=2, initial_delay=timedelta(milliseconds=20)))
    async def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return "done"

    @app.task
    async def later() -> str:
        return "late"

    @app.task(interval="50ms")
    async def tick() -> None: ...

    with app.running(scheduler=False):
        delayed = app.submit("later", delay=0.1)
        assert app.submit("flaky").result(10) == "done"
        assert delayed.result(10) == "late"
        assert app.list_runs(task="tick") == []
