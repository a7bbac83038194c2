"""Every fault can be reported: its alert of Prometheus has a rule and a runbook."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.faults.fault import FAMILIES, FULL
from benchmarks.faults.register import FAULTS

ROOT = Path(__file__).resolve().parents[3]
RULES = yaml.safe_load((ROOT / "config" / "prometheus" / "rules.yml").read_text())
ALERTS = {rule["alert"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_that_must_be_reported_has_a_rule_and_a_runbook(name: str) -> None:
    fault = FAULTS[name]
    assert fault.family in FAMILIES
    assert "{" not in name.format(**FULL._asdict())
    if fault.rule:
        assert fault.rule in ALERTS
        assert (ROOT / "docs" / "runbooks" / f"{fault.rule}.md").exists()
