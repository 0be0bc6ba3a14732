"""One act on many runs while the engine works."""

from __future__ import annotations

import threading

from closingbell import create_app
from closingbell.bulk import act_on_all
from closingbell.core.bulk import BulkAct, BulkOutcome
from closingbell.core.run_filter_text import read_filter


def test_bulk_cancel_of_many_runs_leaves_the_engine_at_work(store_address: str) -> None:
    app = create_app(store_address, guardian=False)
    done: list[BulkOutcome] = []

    @app.task(executor="async", retries=0)
    async def tick() -> str:
        return "tock"

    def cancel() -> None:
        wanted = read_filter("task:tick tag:later")
        done.append(act_on_all(app.machinery, BulkAct.CANCEL, wanted, reason="r"))

    with app.running():
        app.submit_many(tick, [{}] * 6_000, delay=3600, tags=["later"])
        acting = threading.Thread(target=cancel)
        acting.start()
        results = [app.submit(tick).result(timeout=30) for _ in range(5)]
        acting.join(60)

    assert results == ["tock"] * 5
    assert [(one.matched, one.done, one.refused_count) for one in done] == [(6_000, 6_000, 0)]
    assert app.store.runs.counts()["cancelled"] == 6_000
    app.stop()


def test_bulk_cancel_ends_runs_of_a_worker_of_this_process(sqlite_address: str) -> None:
    app = create_app(sqlite_address, guardian=False)

    @app.task(executor="async", retries=0)
    async def hang() -> None:
        import asyncio

        await asyncio.Event().wait()

    with app.running():
        handle = app.submit(hang)
        app.machinery.watch_run(handle.id, lambda run: run.state == "running", 30)
        outcome = act_on_all(
            app.machinery, BulkAct.CANCEL, read_filter("state:running"), reason="the desk closes"
        )
        run = app.machinery.watch_run(handle.id, lambda run: run.state.is_final, 30)
    assert outcome.done == 1
    assert (run.state, run.reason) == ("cancelled", "the desk closes")
    app.stop()
