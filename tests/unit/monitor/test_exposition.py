"""The metrics as Prometheus' own parser reads them."""

from __future__ import annotations

from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from closingbell.monitor.exposition import (
    BOUNDS,
    MOST,
    Planned,
    Service,
    Snapshot,
    Waiting,
    Worth,
    expose,
)
from closingbell.monitor.figures import Figures

SECOND = 1_000_000
NOW = 1_772_461_800 * SECOND


def snapshot(**changes: object) -> Snapshot:
    service = Service("1.2", "sqlite", 4096, 7, {}, None, 0, {}, {})
    empty = Snapshot(NOW, {}, [], {}, [], {}, [], [], service)
    return empty._replace(**changes)  # type: ignore[arg-type]


def samples(taken: Snapshot) -> dict[tuple[str, ...], float]:
    """Values by name and labels, in the order of the labels' names."""
    text = expose(lambda: taken).decode()
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_runs_are_counted_by_task_and_state() -> None:
    figures = Figures()
    figures.success, figures.failed, figures.retried = 7, 2, 3
    found = samples(snapshot(figures={"scan": figures}))
    assert found["closingbell_runs_total", "success", "scan"] == 7
    assert found["closingbell_runs_total", "failed", "scan"] == 2
    assert found["closingbell_runs_total", "skipped", "scan"] == 0
    assert found["closingbell_attempts_retried_total", "scan"] == 3


def test_durations_are_a_histogram_whose_buckets_add_up() -> None:
    figures = Figures()
    figures.durations.add([2_000, 40_000, SECOND, 7 * SECOND, 9_999 * SECOND])
    found = samples(snapshot(figures={"scan": figures}))
    name = "closingbell_run_duration_seconds"
    below = [found[f"{name}_bucket", repr(float(bound)), "scan"] for bound in BOUNDS]
    assert below == [0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4, 4, 4]
    assert found[f"{name}_bucket", "+Inf", "scan"] == found[f"{name}_count", "scan"] == 5
    assert found[f"{name}_sum", "scan"] == 10_007.042


def test_lateness_and_queue_wait_are_histograms_of_their_own() -> None:
    figures = Figures()
    figures.lateness.add([1, 2])
    figures.waits.add([3 * SECOND])
    found = samples(snapshot(figures={"scan": figures}))
    assert found["closingbell_run_lateness_seconds_count", "scan"] == 2
    assert found["closingbell_queue_wait_seconds_sum", "scan"] == 3.0


def test_queue_has_depth_and_age_and_an_empty_one_says_so() -> None:
    active = [
        Waiting("scan", "pending", "thread", 2, NOW - 8 * SECOND),
        Waiting("sync", "pending", "thread", 3, NOW - 9 * SECOND),
        Waiting("scan", "running", "thread", 4, NOW - 99 * SECOND),
        Waiting("scan", "pending", "thread", 1, NOW),
    ]
    found = samples(snapshot(active=active))
    assert found["closingbell_runs_active", "pending", "scan"] == 3
    assert found["closingbell_runs_active", "running", "scan"] == 4
    assert found["closingbell_queue_depth", "thread"] == 6
    assert found["closingbell_queue_age_seconds", "thread"] == 9.0
    assert found["closingbell_queue_depth", "async"] == 0
    assert found["closingbell_queue_age_seconds", "async"] == 0.0


def test_schedules_say_when_they_fire_and_how_late_they_are() -> None:
    planned = [
        Planned("a", "scan", NOW + 5 * SECOND, False),
        Planned("b", "scan", NOW - 5 * SECOND, False),
        Planned("c", "scan", None, True),
    ]
    found = samples(snapshot(schedules=planned))
    next_at = "closingbell_schedule_next_timestamp_seconds"
    late = "closingbell_schedule_late_seconds"
    assert found[next_at, "a", "scan"] == NOW / SECOND + 5
    assert (found[late, "a", "scan"], found[late, "b", "scan"]) == (0, 5)
    assert (late, "c", "scan") not in found
    assert found["closingbell_schedule_paused", "c", "scan"] == 1


def test_workers_events_and_alerts_are_counted() -> None:
    found = samples(
        snapshot(workers={"alive": 2}, events={"tick": 4}, alerts=[("drawdown", "CRITICAL", 1)])
    )
    assert found["closingbell_workers", "alive"] == 2
    assert found["closingbell_workers", "dead"] == 0
    assert found["closingbell_events_last_hour", "tick"] == 4
    assert found["closingbell_alerts_open", "CRITICAL", "drawdown"] == 1


def test_accounts_have_a_value_and_a_drawdown() -> None:
    worths = [
        Worth("main", "USD", NOW, Decimal("75.5"), Decimal(100)),
        Worth("empty", "EUR", NOW, Decimal(0), Decimal(0)),
    ]
    found = samples(snapshot(accounts=worths))
    assert found["closingbell_account_value", "main", "USD"] == 75.5
    assert found["closingbell_account_drawdown_ratio", "main", "USD"] == 0.245
    assert found["closingbell_account_drawdown_ratio", "empty", "EUR"] == 0
    assert found["closingbell_account_snapshot_timestamp_seconds", "main", "USD"] == NOW / SECOND


def test_names_with_quotes_and_line_ends_are_read_back_as_they_are() -> None:
    task = 'a "b"\n\\c'
    figures = Figures()
    figures.success = 1
    assert (
        samples(snapshot(figures={task: figures}))["closingbell_runs_total", "success", task] == 1
    )


def test_service_says_what_runs_how_large_it_is_and_who_waits_to_be_told() -> None:
    service = Service(
        "1.2",
        "postgresql",
        5_000_000,
        42,
        {"async": (8, 3)},
        12.5,
        2,
        {"mail": (3, NOW - 90 * SECOND)},
        {"pager": 1},
    )
    found = samples(snapshot(service=service))
    assert found["closingbell_build_info", "postgresql", "1.2"] == 1
    assert found["closingbell_store_size_bytes",] == 5_000_000
    assert found["closingbell_audit_records_total",] == 42
    assert found["closingbell_runs_late",] == 2
    assert found["closingbell_worker_slots", "async"] == 8
    assert found["closingbell_worker_slots_used", "async"] == 3
    assert found["closingbell_lease_left_seconds",] == 12.5
    assert found["closingbell_notifications_waiting", "mail"] == 3
    assert found["closingbell_notifications_waiting_age_seconds", "mail"] == 90
    assert found["closingbell_notifications_failed_last_hour", "pager"] == 1


def test_what_people_make_without_end_is_exposed_up_to_a_bound() -> None:
    planned = [Planned(f"s{n:05}", "scan", NOW + n * SECOND, False) for n in range(MOST + 30)]
    events = {f"type-{n}": n for n in range(MOST + 7)}
    found = samples(snapshot(schedules=planned, events=events))
    shown = [key for key in found if key[0] == "closingbell_schedule_paused"]
    assert len(shown) == MOST
    # Those that fire next are shown, and the types that happen most.
    assert ("closingbell_schedule_paused", "s00000", "scan") in found
    assert ("closingbell_events_last_hour", f"type-{MOST + 6}") in found
    assert ("closingbell_events_last_hour", "type-1") not in found
    assert found["closingbell_left_out", "schedules"] == 30
    assert found["closingbell_left_out", "events"] == 7
    assert found["closingbell_left_out", "accounts"] == 0
