"""A store's figures at one time, as they are exposed to Prometheus."""

from __future__ import annotations

from closingbell.core.clock import Clock
from closingbell.monitor.exposition import Planned, Snapshot, Waiting, Worth
from closingbell.monitor.window import read_figures
from closingbell.store.store import Store

_HOUR_US = 3_600_000_000


def take_snapshot(store: Store, clock: Clock) -> Snapshot:
    """Read what is exposed; the cost does not grow with the runs that have ended.

    Raises:
        StoreError: the store does not answer.
    """
    now = clock.micros()
    return Snapshot(
        at=now,
        figures=read_figures(store.performance, now),
        active=[Waiting(*active) for active in store.load.active()],
        workers=store.load.workers(),
        schedules=[Planned(*planned) for planned in store.load.schedules()],
        events=store.load.events(now - _HOUR_US),
        alerts=store.load.alerts(),
        accounts=_worths(store),
    )


def _worths(store: Store) -> list[Worth]:
    found: list[Worth] = []
    for account in store.ledger.accounts():
        for last in store.ledger.snapshots(account.name, limit=1):
            found.append(Worth(account.name, account.currency, last.at, last.value, last.peak))
    return found
