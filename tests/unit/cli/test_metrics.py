"""`closingbell metrics`."""

from __future__ import annotations

import json
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.unit.cli.conftest import Command

ON_DESK = ("--database", "desk.db")


def values(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and labels, in the order of the labels' names."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_of_a_desk_are_written_as_prometheus_reads_them(
    drained: Path, command: Command
) -> None:
    answer = command("metrics", *ON_DESK)
    assert answer.code == 0
    found = values(answer.out)
    assert found["closingbell_runs_total", "success", "valuation"] == 1
    assert found["closingbell_runs_total", "failed", "valuation"] == 1
    assert found["closingbell_runs_total", "skipped", "idle"] == 1
    assert found["closingbell_run_duration_seconds_count", "valuation"] == 1
    assert found["closingbell_queue_wait_seconds_count", "valuation"] == 2
    assert found["closingbell_workers", "stopped"] == 1
    assert found["closingbell_alerts_open", "ERROR", "task_failure"] == 1


def test_metrics_as_json_say_the_same(drained: Path, command: Command) -> None:
    text = values(command("metrics", *ON_DESK).out)
    told = json.loads(command("metrics", "--json", *ON_DESK).out)["samples"]
    key = ("closingbell_runs_total", "success", "valuation")
    found = {(s["name"], *(s["labels"][k] for k in sorted(s["labels"]))): s["value"] for s in told}
    assert found.keys() == text.keys()
    assert found[key] == text[key] == 1


def test_metrics_count_what_waits(drained: Path, command: Command) -> None:
    assert command("submit", "desk", "valuation").code == 0
    found = values(command("metrics", *ON_DESK).out)
    assert found["closingbell_runs_active", "pending", "valuation"] == 1
    assert found["closingbell_queue_depth", "thread"] == 1


def test_metrics_go_to_a_file_whole(drained: Path, command: Command) -> None:
    target = drained / "collected" / "closingbell.prom"
    answer = command("metrics", *ON_DESK, "--out", str(target))
    assert (answer.code, answer.out) == (0, "")
    assert values(target.read_text())["closingbell_runs_total", "skipped", "idle"] == 1
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_metrics_of_a_database_that_is_not_there_are_refused(desk: Path, command: Command) -> None:
    answer = command("metrics", "--database", "nowhere.db")
    assert answer.code != 0
    assert "nowhere.db" in answer.err
    assert not (desk / "nowhere.db").exists()
