"""The Grafana dashboard shows every declared metric, and no other."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import yaml

from tests.operations.promql import DASHBOARD, DECLARED, ROOT, declared_in, faults, panels, queries

WHOLE = json.loads(DASHBOARD.read_text())
SOURCES = ROOT / "config" / "grafana" / "provisioning" / "datasources" / "prometheus.yml"


@pytest.mark.parametrize("query", sorted({*queries()}))
def test_a_query_uses_existing_metrics(query: str) -> None:
    assert faults(query) == []


def test_every_declared_metric_is_shown() -> None:
    shown = set[str]().union(*map(declared_in, queries()))
    assert shown == {each.name for each in DECLARED}


def test_every_panel_has_a_title_and_a_description_and_asks_the_provisioned_source() -> None:
    (source,) = yaml.safe_load(SOURCES.read_text())["datasources"]
    right = {"type": source["type"], "uid": source["uid"]}
    for panel in panels():
        assert panel["title"] and panel["description"] and panel["targets"]
        assert panel["datasource"] == right
    (area,) = WHOLE["templating"]["list"]
    assert area["datasource"] == right
    assert faults(area["query"]["query"].removeprefix("label_values(").removesuffix(", area)")) == []


def test_the_panels_lie_side_by_side() -> None:
    """Each has its own id, and no two share a square of the grid."""
    ids = Counter(panel["id"] for panel in WHOLE["panels"])
    squares: Counter[tuple[int, int]] = Counter()
    for panel in WHOLE["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        squares.update((at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"]))
    assert set(ids.values()) == {1}
    assert set(squares.values()) == {1}
