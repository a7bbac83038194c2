"""The queries of the rules and the dashboard, and the names within a query."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from streams.console.metrics import CONSOLE_METRICS
from streams.webhook.metrics import WEBHOOK_METRICS
from streams.worker.declared_metrics import WORKER_METRICS

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "config" / "prometheus" / "rules.yml"
DASHBOARD = ROOT / "config" / "grafana" / "dashboards" / "hotspots.json"

DECLARED = (*WORKER_METRICS, *WEBHOOK_METRICS, *CONSOLE_METRICS)
OF_A_TARGET = {"instance", "job"}
OF_PROMETHEUS = {
    "ALERTS": {"alertname", "alertstate", "severity", "area"},
    "up": set[str](),
    "process_cpu_seconds_total": set[str](),
    "process_resident_memory_bytes": set[str](),
    "process_start_time_seconds": set[str](),
}
"""Labels of the series that come from Prometheus."""
ENDINGS = {"histogram": ("_bucket", "_sum", "_count")}


class Asked(NamedTuple):
    """A query's names: metrics, each with the labels it is selected by, and labels it is gathered by."""

    metrics: dict[str, set[str]]
    gathered_by: set[str]


def asked(query: str) -> Asked:
    """The names within a query."""
    text = re.sub(r'"[^"]*"', "''", query)
    lists = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
    gathered_by = {label.strip() for found in lists.findall(text) for label in found.split(",")} - {""}
    text = re.sub(r"\[[^]]*\]|\boffset\s+\w+|\b(?:and|or|unless)\b", " ", lists.sub(" ", text))
    metrics: dict[str, set[str]] = {}
    for name, matchers in re.findall(r"(?<!\w)([a-zA-Z_][\w:]*)\b(?!\s*\()\s*(?:\{([^}]*)\})?", text):
        metrics.setdefault(name, set()).update(re.findall(r"(\w+)\s*[=!]", matchers))
    return Asked(metrics, gathered_by)


def rules(kind: str) -> list[dict[str, Any]]:
    """The rules of a kind, `record` or `alert`, in the file's order."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


RECORDS: dict[str, dict[str, Any]] = {rule["record"]: rule for rule in rules("record")}
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in rules("alert")}


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard, without the rows' titles."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def queries() -> list[str]:
    """Every query of the dashboard, as written."""
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def known_labels() -> dict[str, set[str]]:
    """The labels of every series: declared, recorded, or from Prometheus."""
    known = {name: labels | OF_A_TARGET for name, labels in OF_PROMETHEUS.items()}
    for each in DECLARED:
        for ending in ENDINGS.get(each.kind, ("",)):
            more = {"le"} if ending == "_bucket" else set[str]()
            known[each.name + ending] = set(each.labels) | OF_A_TARGET | more
    return known | {name: set(name.split(":")[0].split("_")) for name in RECORDS}


def faults(query: str) -> list[str]:
    """Names in a query that no series has."""
    known, found = known_labels(), asked(query)
    missing = [f"no metric {name}" for name in found.metrics if name not in known]
    for name, labels in found.metrics.items():
        missing += [f"{name} has no label {label}" for label in labels - known.get(name, labels)]
    whole = set().union(*(known.get(name, set()) for name in found.metrics))
    return missing + [f"nothing has the label {label}" for label in found.gathered_by - whole]


def declared_in(query: str) -> set[str]:
    """The declared metrics that a query uses, directly or through recorded ones."""
    base = {each.name + ending: each.name for each in DECLARED for ending in ENDINGS.get(each.kind, ("",))}
    names = asked(query).metrics
    behind = [declared_in(RECORDS[name]["expr"]) for name in names if name in RECORDS]
    return {base[name] for name in names if name in base}.union(*behind)
