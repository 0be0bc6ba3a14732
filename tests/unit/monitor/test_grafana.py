"""The Grafana dashboard asks only for metrics that there are, by labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from closingbell.monitor.exposition import Planned, Service, Snapshot, Waiting, Worth, expose
from closingbell.monitor.figures import Figures

ROOT = Path(__file__).resolve().parents[3]
DASHBOARD = ROOT / "packaging/grafana/closingbell.json"
NOW = 1_772_461_800_000_000
#: What Prometheus adds to every sample by itself.
OWN_LABELS = {"job", "instance"}


def exposed() -> dict[str, set[str]]:
    """Every sample that is exposed, with its labels, from a desk that has something of all."""
    figures = Figures()
    figures.durations.add([1])
    service = Service(
        "1", "sqlite", 1, 1, {"async": (1, 1)}, 1.0, 0, {"mail": (1, NOW)}, {"mail": 1}
    )
    snapshot = Snapshot(
        NOW,
        {"scan": figures},
        [Waiting("scan", "pending", "async", 1, NOW)],
        {"alive": 1},
        [Planned("s", "scan", NOW, False)],
        {"tick": 1},
        [("drawdown", "CRITICAL", 1)],
        [Worth("main", "USD", NOW, Decimal(1), Decimal(1))],
        service,
    )
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(expose(lambda: snapshot).decode())
        for sample in family.samples
    }


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> Iterator[str]:
    for panel in panels():
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["definition"]


def test_every_expression_asks_for_metrics_and_labels_that_are_exposed() -> None:
    known = exposed()
    for expression in expressions():
        names = set(re.findall(r"closingbell_\w+", expression))
        assert names, expression
        assert names <= known.keys(), expression
        labels = set.union(*(known[name] for name in names)) | OWN_LABELS
        for name, selector in re.findall(r"(closingbell_\w+)\{([^}]*)\}", expression):
            used = set(re.findall(r"(\w+)\s*=~?", selector))
            assert used <= known[name] | OWN_LABELS, expression
        for group in re.findall(r"by \(([^)]*)\)", expression):
            assert set(re.split(r",\s*", group)) <= labels, expression


def test_every_metric_is_on_the_dashboard() -> None:
    asked = " ".join(expressions())
    parts = ("_bucket", "_sum", "_count", "_created")
    names = {name for name in exposed() if not name.endswith(parts)}
    assert {name for name in names if name not in asked} == set()


def test_every_metric_is_on_the_page_about_them() -> None:
    page = (ROOT / "docs/howto/prometheus_and_grafana.md").read_text(encoding="utf-8")
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed()}
    assert {name for name in families if f"`{name}`" not in page} == set()


def test_legends_name_labels_that_remain() -> None:
    for panel in panels():
        for target in panel.get("targets", ()):
            wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            groups = re.findall(r"by \(([^)]*)\)", target["expr"])
            if groups:
                assert wanted <= set(re.split(r",\s*", groups[-1])), target["expr"]


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    everything = panels()
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken = set[tuple[int, int]]()
    for panel in everything:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        squares = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not squares & taken, panel["title"]
        taken |= squares
