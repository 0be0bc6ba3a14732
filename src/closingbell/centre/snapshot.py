"""A store's figures at one time, as they are exposed to Prometheus."""

from __future__ import annotations

from closingbell.core.clock import Clock
from closingbell.monitor.exposition import Planned, Service, Snapshot, Waiting, Worth
from closingbell.monitor.window import read_figures
from closingbell.store.store import Store

_HOUR_US = 3_600_000_000
_MINUTE_US = 60_000_000
_MOST_WORKERS = 1_000


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
        service=_service(store, now),
    )


def _service(store: Store, now: int) -> Service:
    from closingbell import __version__

    # Leases are of the machine's clock.
    lease_end, machine = store.vitals.first_lease_end(), store.queue.machine_micros()
    slots: dict[str, tuple[int, int]] = {}
    for worker in store.roster.recent(machine + 1, _MOST_WORKERS):
        for kind, places in worker.about.get("slots", {}).items():
            had, taken = slots.get(kind, (0, 0))
            slots[kind] = had + int(places), taken + worker.used.get(kind, 0)
    return Service(
        version=__version__,
        store=store.dialect,
        size=store.vitals.size(),
        audit_records=store.vitals.audit_records(),
        slots=slots,
        lease_left_s=None if lease_end is None else (lease_end - machine) / 1_000_000,
        late_runs=store.glance.runs(now - _MINUTE_US).late,
        waiting=store.vitals.waiting_notifications(),
        failed=store.vitals.failed_notifications(now - _HOUR_US),
    )


def _worths(store: Store) -> list[Worth]:
    found: list[Worth] = []
    for account in store.ledger.accounts():
        for last in store.ledger.snapshots(account.name, limit=1):
            found.append(Worth(account.name, account.currency, last.at, last.value, last.peak))
    return found
