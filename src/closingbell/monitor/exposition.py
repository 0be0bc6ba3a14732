"""The figures of a store as Prometheus metrics, in the text format that it scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from closingbell.monitor.figures import Figures
from closingbell.monitor.sketch import Sketch

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_SECOND = 1_000_000
#: Of each noun (tasks, schedules, types of events, ...) so many are exposed.
MOST = 500
#: Upper bounds of the histograms' buckets, in seconds.
BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600)
_BOUNDS_US = tuple(round(bound * _SECOND) for bound in BOUNDS)
_BOUND_NAMES = tuple(repr(float(bound)) for bound in BOUNDS)


class Waiting(NamedTuple):
    """Runs of one task and executor in one state that is not final.

    Attributes:
        runs: how many.
        oldest_due_at: when the first of them was, or will be, due.
    """

    task: str
    state: str
    executor: str
    runs: int
    oldest_due_at: int


class Planned(NamedTuple):
    """A schedule; `next_fire_at` is None when it does not fire any more, or is paused."""

    id: str
    task: str
    next_fire_at: int | None
    paused: bool


class Worth(NamedTuple):
    """An account as of its last snapshot, in its own currency."""

    account: str
    currency: str
    at: int
    value: Decimal
    peak: Decimal


class Service(NamedTuple):
    """Figures about the service itself.

    Attributes:
        version: of closingbell.
        store: "sqlite" or "postgresql".
        size: bytes that the database takes.
        audit_records: how many were ever made.
        slots: of all living workers, by kind of executor: places, and how many are taken.
        lease_left_s: until the first lease of a living worker ends; None = none is alive.
        late_runs: due for more than a minute, and not begun.
        waiting: messages that wait to be sent, by channel: how many, and when the first was made.
        failed: messages of the last hour that were given up, by channel.
    """

    version: str
    store: str
    size: int
    audit_records: int
    slots: Mapping[str, tuple[int, int]]
    lease_left_s: float | None
    late_runs: int
    waiting: Mapping[str, tuple[int, int]]
    failed: Mapping[str, int]


class Snapshot(NamedTuple):
    """What is exposed, read at one time. Instants are microseconds since the epoch.

    Attributes:
        at: when, on the desk's clock.
        figures: how runs went since ever, by task.
        active: what has not ended.
        workers: how many, by state.
        schedules: all of them.
        events: how many happened in the last hour, by type.
        alerts: type, severity and count of those that are open.
        accounts: those that have a snapshot.
        service: about the service itself.
    """

    at: int
    figures: Mapping[str, Figures]
    active: Sequence[Waiting]
    workers: Mapping[str, int]
    schedules: Sequence[Planned]
    events: Mapping[str, int]
    alerts: Sequence[tuple[str, str, int]]
    accounts: Sequence[Worth]
    service: Service


class StoreCollector:
    """A prometheus-client collector: it takes a snapshot each time that it is asked."""

    def __init__(self, take: Callable[[], Snapshot]) -> None:
        """Make it; `take` reads the store."""
        self._take = take

    def describe(self) -> list[Metric]:
        """Say nothing beforehand, so that registering reads no store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        snapshot, left_out = _bounded(self._take())
        yield from _of_figures(snapshot)
        yield from _of_queue(snapshot)
        yield from _of_schedules(snapshot)
        yield from _of_watch(snapshot)
        yield from _of_accounts(snapshot)
        yield from _of_service(snapshot.service, snapshot.at)
        yield left_out


def expose(take: Callable[[], Snapshot]) -> bytes:
    """Return the metrics in Prometheus' text format, version 0.0.4, UTF-8."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(StoreCollector(take))
    written: bytes = generate_latest(registry)
    return written


def _bounded(snapshot: Snapshot) -> tuple[Snapshot, Metric]:
    """Return a snapshot with at most `MOST` of each noun, and a metric of what was left out.

    What a person may make without end (schedules, types of events and alerts) must not grow a
    scraper's memory without end.
    """
    from prometheus_client.core import GaugeMetricFamily

    busiest = sorted(snapshot.figures.items(), key=lambda one: (-one[1].success, one[0]))
    soonest = sorted(
        snapshot.schedules,
        key=lambda one: (one.next_fire_at is None, one.next_fire_at or 0, one.id),
    )
    most = sorted(snapshot.events.items(), key=lambda one: (-one[1], one[0]))
    largest = sorted(snapshot.alerts, key=lambda one: (-one[2], one[0], one[1]))
    kept = snapshot._replace(
        figures=dict(sorted(busiest[:MOST])),
        schedules=sorted(soonest[:MOST]),
        events=dict(most[:MOST]),
        alerts=sorted(largest[:MOST]),
        accounts=snapshot.accounts[:MOST],
    )
    left_out = GaugeMetricFamily(
        "closingbell_left_out",
        f"What is not among these metrics, as there are more than {MOST}.",
        labels=["noun"],
    )
    for noun in ("figures", "schedules", "events", "alerts", "accounts"):
        left_out.add_metric([noun], max(len(getattr(snapshot, noun)) - MOST, 0))
    return kept, left_out


def _of_service(service: Service, at: int) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    info = GaugeMetricFamily(
        "closingbell_build_info", "1; the labels say what runs.", labels=["version", "store"]
    )
    info.add_metric([service.version, service.store], 1)
    yield info
    yield GaugeMetricFamily(
        "closingbell_store_size_bytes", "What the database takes.", value=service.size
    )
    yield CounterMetricFamily(
        "closingbell_audit_records", "Acts that were recorded.", value=service.audit_records
    )
    yield GaugeMetricFamily(
        "closingbell_runs_late",
        "Runs that are due for more than a minute and have not begun.",
        value=service.late_runs,
    )
    slots = GaugeMetricFamily(
        "closingbell_worker_slots", "Places of all living workers.", labels=["executor"]
    )
    used = GaugeMetricFamily(
        "closingbell_worker_slots_used", "Places that are taken.", labels=["executor"]
    )
    for kind, (places, taken) in sorted(service.slots.items()):
        slots.add_metric([kind], places)
        used.add_metric([kind], taken)
    yield from (slots, used)
    lease = GaugeMetricFamily(
        "closingbell_lease_left_seconds", "Until the first lease of a living worker ends."
    )
    if service.lease_left_s is not None:
        lease.add_metric([], service.lease_left_s)
    yield lease
    waiting = GaugeMetricFamily(
        "closingbell_notifications_waiting", "Messages that wait to be sent.", labels=["channel"]
    )
    age = GaugeMetricFamily(
        "closingbell_notifications_waiting_age_seconds",
        "How long the first of them waits.",
        labels=["channel"],
    )
    for channel, (count, since) in sorted(service.waiting.items()):
        waiting.add_metric([channel], count)
        age.add_metric([channel], max(at - since, 0) / _SECOND)
    failed = GaugeMetricFamily(
        "closingbell_notifications_failed_last_hour",
        "Messages of the last hour that were given up.",
        labels=["channel"],
    )
    for channel, count in sorted(service.failed.items()):
        failed.add_metric([channel], count)
    yield from (waiting, age, failed)


def _of_figures(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    ended = CounterMetricFamily(
        "closingbell_runs", "Runs that ended, by task and state.", labels=["task", "state"]
    )
    retried = CounterMetricFamily(
        "closingbell_attempts_retried",
        "Attempts that failed and were followed by another.",
        labels=["task"],
    )
    sketches: list[tuple[HistogramMetricFamily, str]] = [
        (HistogramMetricFamily(f"closingbell_{name}_seconds", text, labels=["task"]), field)
        for name, text, field in (
            ("run_duration", "How long successful attempts took.", "durations"),
            ("run_lateness", "From the planned instant to the first start.", "lateness"),
            ("queue_wait", "From the instant an attempt was due to its start.", "waits"),
        )
    ]
    for task, figures in snapshot.figures.items():
        for state in ("success", "failed", "cancelled", "skipped"):
            ended.add_metric([task, state], getattr(figures, state))
        retried.add_metric([task], figures.retried)
        for family, field in sketches:
            sketch: Sketch = getattr(figures, field)
            family.add_metric([task], _buckets(sketch), sketch.total / _SECOND)
    yield ended
    yield retried
    for family, _ in sketches:
        yield family


def _buckets(sketch: Sketch) -> list[tuple[str, float]]:
    counts = map(float, sketch.counts_up_to(*_BOUNDS_US))
    return [*zip(_BOUND_NAMES, counts, strict=True), ("+Inf", float(sketch.count))]


def _of_queue(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    active = GaugeMetricFamily(
        "closingbell_runs_active",
        "Runs that have not ended, by task and state.",
        labels=["task", "state"],
    )
    depth = GaugeMetricFamily(
        "closingbell_queue_depth", "Runs that could start now.", labels=["executor"]
    )
    age = GaugeMetricFamily(
        "closingbell_queue_age_seconds",
        "How long the longest waiting run has been due.",
        labels=["executor"],
    )
    counts: dict[tuple[str, str], int] = {}
    depths: dict[str, int] = {}
    oldest: dict[str, int] = {}
    for waiting in snapshot.active:
        key = waiting.task, waiting.state
        counts[key] = counts.get(key, 0) + waiting.runs
        if waiting.state == "pending":
            kind = waiting.executor
            depths[kind] = depths.get(kind, 0) + waiting.runs
            oldest[kind] = min(oldest.get(kind, waiting.oldest_due_at), waiting.oldest_due_at)
    for (task, state), count in sorted(counts.items()):
        active.add_metric([task, state], count)
    # A queue that is empty is said to be, so that an alert can end.
    for kind in sorted({"async", "thread", "process", *depths}):
        depth.add_metric([kind], depths.get(kind, 0))
        since = oldest.get(kind, snapshot.at)
        age.add_metric([kind], max(snapshot.at - since, 0) / _SECOND)
    yield from (active, depth, age)


def _of_schedules(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    labels = ["schedule", "task"]
    fires = GaugeMetricFamily(
        "closingbell_schedule_next_timestamp_seconds", "When it fires next.", labels=labels
    )
    late = GaugeMetricFamily(
        "closingbell_schedule_late_seconds",
        "For how long it should have fired and has not.",
        labels=labels,
    )
    paused = GaugeMetricFamily(
        "closingbell_schedule_paused", "1 while it is paused.", labels=labels
    )
    for planned in snapshot.schedules:
        values = [planned.id, planned.task]
        paused.add_metric(values, float(planned.paused))
        if planned.next_fire_at is not None:
            fires.add_metric(values, planned.next_fire_at / _SECOND)
            late.add_metric(values, max(snapshot.at - planned.next_fire_at, 0) / _SECOND)
    yield from (fires, late, paused)


def _of_watch(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    workers = GaugeMetricFamily("closingbell_workers", "Workers, by state.", labels=["state"])
    for state in ("alive", "stopped", "dead"):
        workers.add_metric([state], snapshot.workers.get(state, 0))
    events = GaugeMetricFamily(
        "closingbell_events_last_hour", "Events of the last hour, by type.", labels=["type"]
    )
    for kind, count in sorted(snapshot.events.items()):
        events.add_metric([kind], count)
    alerts = GaugeMetricFamily(
        "closingbell_alerts_open",
        "Alerts that nobody has cleared.",
        labels=["type", "severity"],
    )
    for kind, severity, count in snapshot.alerts:
        alerts.add_metric([kind, severity], count)
    yield from (workers, events, alerts)


def _of_accounts(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    labels = ["account", "currency"]
    value = GaugeMetricFamily(
        "closingbell_account_value", "Worth at the last snapshot.", labels=labels
    )
    drawdown = GaugeMetricFamily(
        "closingbell_account_drawdown_ratio",
        "Fall from the highest worth to that of the last snapshot, a fraction of it.",
        labels=labels,
    )
    at = GaugeMetricFamily(
        "closingbell_account_snapshot_timestamp_seconds", "When that was.", labels=labels
    )
    for worth in snapshot.accounts:
        values = [worth.account, worth.currency]
        value.add_metric(values, float(worth.value))
        fall = 1 - worth.value / worth.peak if worth.peak > 0 else Decimal(0)
        drawdown.add_metric(values, float(max(fall, Decimal(0))))
        at.add_metric(values, worth.at / _SECOND)
    yield from (value, drawdown, at)
