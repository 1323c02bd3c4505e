"""Alerts and dashboards: each query parses and names real figures; each alert is tried both ways and has a runbook."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.kinds import ROOT

MONITORING = ROOT / "deploy/monitoring"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
TESTS = ("alerts.test.yaml", "objectives.test.yaml")
TRIED: list[dict[str, Any]] = [
    each for name in TESTS for each in yaml.safe_load((MONITORING / name).read_text(encoding="utf-8"))["tests"]
]
RUNBOOKS = (ROOT / "docs/how-to/runbooks.md").read_text(encoding="utf-8")
BOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (MONITORING / "dashboards").glob("*.json")
}
FIGURE = re.compile(r"\b((?:countersign|dapr)_[a-z0-9_]+)")
DAPR = {
    "dapr_runtime_workflow_execution_count",
    "dapr_runtime_workflow_activity_execution_count",
    "dapr_runtime_workflow_activity_execution_latency_bucket",
    "dapr_runtime_workflow_operation_count",
}
"""What daprd itself exposes, by Dapr's documentation."""


def queries() -> list[str]:
    boards = [target["expr"] for board in BOARDS.values() for panel in board["panels"] for target in panel["targets"]]
    return [rule["expr"] for rule in RULES] + boards


def exposed() -> set[str]:
    """Return the app's figures: the reference page, which another test holds to the code."""
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\| `(countersign_\w+)`", page, re.MULTILINE))
    return shown | {f"{name}_{part}" for name in shown if name.endswith("_seconds") for part in ("bucket", "count")}


def unknown(found: list[str]) -> set[str]:
    return {name for each in found for name in FIGURE.findall(each)} - exposed() - DAPR


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)


def parses(folder: Path, expressions: list[str]) -> subprocess.CompletedProcess[str]:
    """Try each query as a recording rule; Grafana's own variables stand for durations."""
    rules = [
        {"record": f"query:{number}", "expr": re.sub(r"\$__(?:rate_interval|range)", "5m", expression)}
        for number, expression in enumerate(expressions)
    ]
    path = folder / "rules.yaml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    return promtool("check", "rules", str(path))


def test_every_query_names_figures_that_are_exposed() -> None:
    assert len(queries()) > 25
    assert unknown(queries()) == set()


def test_a_figure_that_is_not_exposed_would_be_found() -> None:
    assert unknown(["sum(rate(countersign_orders_total[5m]))"]) == {"countersign_orders_total"}


@pytest.mark.promtool
def test_every_query_parses(tmp_path: Path) -> None:
    done = parses(tmp_path, queries())
    assert done.returncode == 0, done.stdout + done.stderr
    assert parses(tmp_path, ["sum(countersign_database_up"]).returncode != 0


@pytest.mark.promtool
def test_each_alert_fires_when_it_must_and_only_then() -> None:
    done = promtool("test", "rules", *(str(MONITORING / name) for name in TESTS))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.promtool
def test_an_alert_that_came_at_the_wrong_time_would_be_found(tmp_path: Path) -> None:
    rules = (MONITORING / "alerts.yaml").read_text(encoding="utf-8")
    (tmp_path / "alerts.yaml").write_text(rules.replace("for: 2m", "for: 30m"), encoding="utf-8")
    (tmp_path / "t.yaml").write_text((MONITORING / "alerts.test.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    done = promtool("test", "rules", str(tmp_path / "t.yaml"))
    assert done.returncode != 0
    assert "CountersignWorkerNotReady" in done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_is_tried_both_ways_and_leads_to_its_runbook(rule: dict[str, Any]) -> None:
    tried = [case for each in TRIED for case in each["alert_rule_test"] if case["alertname"] == rule["alert"]]
    assert sorted(bool(case["exp_alerts"]) for case in tried) == [False, True]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    _, _, anchor = rule["annotations"]["runbook_url"].partition("runbooks.html#")
    assert anchor == rule["alert"].lower()
    assert f"\n## {rule['alert']}\n" in RUNBOOKS


def test_no_runbook_is_for_an_alert_that_is_gone() -> None:
    assert re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE) == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_dashboard_takes_its_data_source_from_its_reader_and_lays_no_panel_over_another(name: str) -> None:
    board = BOARDS[name]
    assert [each["type"] for each in board["templating"]["list"]] == ["datasource"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in board["panels"]})
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["title"]
        assert panel["targets"]
