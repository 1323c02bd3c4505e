"""The chart: every example renders to objects that every supported Kubernetes and Dapr take, with strict pods."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.kinds import ROOT, VERSIONS, check

CHART = ROOT / "deploy/chart"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
NAMES = [path.stem for path in EXAMPLES]
DRAINS_S = 5 + 3 + 10 + 10
"""preStop, requests under way, the worker and the loops, the sidecar."""

pytestmark = pytest.mark.deploy_tools


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).parent / "helm")
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


@cache
def _rendered(example: str, *more: str) -> str:
    values = f"--values={CHART / 'examples' / example}.yaml"
    done = helm("template", "countersign", str(CHART), "--namespace=approvals", values, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rendered(example: str, *more: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(_rendered(example, *more)) if each]


def one(example: str, kind: str, name: str = "countersign") -> dict[str, Any]:
    (found,) = (each for each in rendered(example) if each["kind"] == kind and each["metadata"]["name"] == name)
    return found


def pods(example: str) -> list[dict[str, Any]]:
    """Return the template of each pod that an example makes."""
    found = []
    for each in rendered(example):
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if each["kind"] in {"Deployment", "Job", "CronJob"}:
            found.append(spec["template"])
    return found


def settings(example: str) -> dict[str, str]:
    (container,) = one(example, "Deployment")["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def test_the_chart_passes_helms_own_lint() -> None:
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_one_that_this_kubernetes_takes(version: str) -> None:
    different = {json.dumps(each, sort_keys=True) for name in NAMES for each in rendered(name)}
    assert len(different) > len(EXAMPLES) * 3
    for each in sorted(different):
        check(json.loads(each), version)


def test_the_examples_make_every_kind_of_object_that_the_chart_has() -> None:
    kinds = {each["kind"] for name in NAMES for each in rendered(name)}
    assert kinds == {
        *("Deployment", "Service", "ServiceAccount", "ConfigMap", "PersistentVolumeClaim", "Ingress", "HTTPRoute"),
        *("PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy", "Job", "CronJob"),
        *("Component", "Configuration", "WorkflowAccessPolicy", "ServiceMonitor", "PodMonitor", "PrometheusRule"),
    }


@pytest.mark.parametrize("example", NAMES)
def test_every_pod_runs_without_root_rights_writable_files_or_a_token(example: str) -> None:
    for template in pods(example):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for container in pod["containers"]:
            allowed = container["securityContext"]
            assert allowed["readOnlyRootFilesystem"] is True
            assert allowed["allowPrivilegeEscalation"] is False
            assert allowed["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("example", NAMES)
def test_no_secret_is_in_the_environment_of_a_pod(example: str) -> None:
    for template in pods(example):
        for container in template["spec"]["containers"]:
            for each in container.get("env", []):
                assert "valueFrom" not in each
                assert each["name"].endswith("_FILE") or not each["name"].endswith(("TOKEN", "SECRET", "KEY"))


@pytest.mark.parametrize("example", NAMES)
def test_the_app_s_pod_is_probed_and_given_the_time_to_hand_its_work_back(example: str) -> None:
    pod = one(example, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["startupProbe"]["httpGet"]["path"] == "/livez"
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
    assert pod["terminationGracePeriodSeconds"] >= DRAINS_S
    assert {each["topologyKey"] for each in pod["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }


@pytest.mark.parametrize("example", NAMES)
def test_the_sidecar_is_told_who_it_is_and_outlives_the_app(example: str) -> None:
    told = one(example, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert told["dapr.io/enabled"] == "true"
    assert told["dapr.io/app-id"] == "countersign"
    assert told["dapr.io/config"] == one(example, "Configuration")["metadata"]["name"]
    assert told["dapr.io/api-token-secret"] == "countersign-dapr"
    native = told["dapr.io/enable-native-sidecar"] == "true"
    assert native or told["dapr.io/block-shutdown-duration"] == "20s"
    assert "dapr.io/app-port" not in told  # the worker opens the stream
    assert all(isinstance(each, str) for each in told.values())


@pytest.mark.parametrize("example", NAMES)
def test_the_one_state_store_of_workflows_is_scoped_to_the_app(example: str) -> None:
    stores = [each for each in rendered(example) if each["kind"] == "Component"]
    assert len(stores) == (0 if example == "no-prometheus" else 1)
    for store in stores:
        values = {each["name"]: each for each in store["spec"]["metadata"]}
        assert values["actorStateStore"]["value"] == "true"
        assert store["scopes"] == ["countersign"]
        assert "value" not in values["connectionString"] or store["spec"]["type"] == "state.sqlite"


def test_jobs_have_no_sidecar_that_would_keep_them_from_ending() -> None:
    for template in pods("replicas-postgresql"):
        if template["metadata"]["labels"]["app.kubernetes.io/component"] != "app":
            assert template["metadata"]["annotations"]["dapr.io/enabled"] == "false"


def test_the_database_is_migrated_before_the_new_pods_start() -> None:
    hooks = [
        each for each in rendered("replicas-postgresql") if "helm.sh/hook" in each["metadata"].get("annotations", {})
    ]
    assert [
        each["kind"]
        for each in sorted(hooks, key=lambda each: int(each["metadata"]["annotations"]["helm.sh/hook-weight"]))
    ] == [
        "ServiceAccount",
        "Job",
    ]
    (container,) = next(each for each in hooks if each["kind"] == "Job")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["migrate"]
    assert "Job" not in {each["kind"] for each in rendered("single-sqlite")}


def test_behind_pgbouncer_migration_and_backup_take_the_database_s_own_address() -> None:
    objects = rendered("replicas-postgresql", "--set=database.directUrlKey=direct-url", "--set=backup.enabled=true")
    (job,) = (each for each in objects if each["kind"] == "Job")
    (cron,) = (each for each in objects if each["kind"] == "CronJob")
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    assert "/run/secrets/countersign/direct-url" in str(job)
    assert "/run/secrets/countersign/direct-url" in str(cron)
    assert "direct-url" not in str(deployment)


def test_sqlite_is_one_pod_that_is_replaced_and_keeps_its_volume() -> None:
    deployment = one("single-sqlite", "Deployment")["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}
    claim = one("single-sqlite", "PersistentVolumeClaim", "countersign-data")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert settings("single-sqlite")["COUNTERSIGN_DATABASE_URL"] == "sqlite:////data/countersign.db"
    assert "COUNTERSIGN_DATABASE_URL_FILE" in settings("replicas-postgresql")


def test_socket_mode_takes_the_app_token_and_http_the_signing_secret() -> None:
    assert "SLACK_APP_TOKEN_FILE" in settings("socket-mode")
    assert "SLACK_SIGNING_SECRET_FILE" not in settings("socket-mode")
    assert "SLACK_SIGNING_SECRET_FILE" in settings("replicas-postgresql")
    assert "SLACK_APP_TOKEN_FILE" not in settings("replicas-postgresql")


def test_pods_are_replaced_without_one_less_and_evicted_one_at_a_time() -> None:
    assert one("replicas-postgresql", "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    budget = one("replicas-postgresql", "PodDisruptionBudget")["spec"]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert "replicas" not in one("autoscaling", "Deployment")["spec"]  # the autoscaler's alone


def test_the_shipped_policy_is_the_default_and_a_change_replaces_the_pods() -> None:
    shipped = one("socket-mode", "ConfigMap", "countersign-policy")["data"]["policy.yml"]
    assert yaml.safe_load(shipped) == yaml.safe_load((ROOT / "policy.yml").read_text(encoding="utf-8"))
    other = next(each for each in rendered("socket-mode", "--set=policy=rules: []") if each["kind"] == "Deployment")
    sums = [
        each["spec"]["template"]["metadata"]["annotations"]["checksum/policy"]
        for each in (one("socket-mode", "Deployment"), other)
    ]
    assert len(set(sums)) == 2


def test_everything_that_is_selected_carries_the_labels() -> None:
    template = one("replicas-postgresql", "Deployment")["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    for kind, where in (("Service", "selector"), ("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector")):
        selected = one("replicas-postgresql", kind)["spec"][where]
        assert selected.get("matchLabels", selected).items() <= labels
    assert one("replicas-postgresql", "ServiceMonitor")["spec"]["selector"]["matchLabels"].items() <= set(
        one("replicas-postgresql", "Service")["metadata"]["labels"].items()
    )


def test_the_network_policy_lets_out_what_the_app_needs_and_no_more() -> None:
    egress = one("replicas-postgresql", "NetworkPolicy")["spec"]["egress"]
    ports = sorted({each["port"] for rule in egress for each in rule["ports"]})
    assert ports == [53, 443, 5432, 6500, 50001, 50002, 50005, 50006]
    assert 5432 not in {
        each["port"] for rule in one("single-sqlite", "NetworkPolicy")["spec"]["egress"] for each in rule["ports"]
    }


def test_rules_and_dashboards_are_those_of_deploy_monitoring() -> None:
    rules = one("replicas-postgresql", "PrometheusRule")["spec"]
    assert rules == yaml.safe_load((ROOT / "deploy/monitoring/alerts.yaml").read_text(encoding="utf-8"))
    boards = one("replicas-postgresql", "ConfigMap", "countersign-dashboards")["data"]
    for path in (ROOT / "deploy/monitoring/dashboards").glob("*.json"):
        assert json.loads(boards[path.name]) == json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("replicaCont=3", "replicaCont"),
        ("database.kind=mysql", "database"),
        ("app.publicUrl=http://approvals.example.com", "publicUrl"),
        ("terminationGracePeriodSeconds=10", "terminationGracePeriodSeconds"),
        ("database.kind=sqlite", "SQLite is one file of one pod"),
        ("app.socketMode=true,replicaCount=10", "at most ten sockets"),
        ("ingress.enabled=true", "ingress.host is missing"),
    ],
)
def test_values_that_cannot_work_are_refused_before_anything_is_installed(wrong: str, said: str) -> None:
    done = helm("template", "countersign", str(CHART), f"--set={wrong}")
    assert done.returncode != 0
    assert said in done.stderr


def _unknown_field(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found = objects["Deployment"]
    found["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    return found


def _wrong_type(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found = objects["Service"]
    found["spec"]["ports"][0]["port"] = "eighty"
    return found


def _wrong_annotation(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found = objects["Deployment"]
    found["spec"]["template"]["metadata"]["annotations"]["dapr.io/enabled"] = True
    return found


def _unknown_retention(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found = objects["Configuration"]
    found["spec"]["workflow"]["stateRetentionPolicy"]["allTerminal"] = "1h"
    return found


def _scopes_in_the_wrong_place(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found = objects["Component"]
    found["spec"]["scopes"] = found.pop("scopes")
    return found


def _unknown_operation(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found = objects["WorkflowAccessPolicy"]
    found["spec"]["rules"][0]["workflows"][0]["operations"] = ["approve"]
    return found


def _unknown_monitor_field(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found = objects["ServiceMonitor"]
    found["spec"]["endpoints"][0]["targetport"] = 8000
    return found


@pytest.mark.parametrize(
    "mutate",
    [
        _unknown_field,
        _wrong_type,
        _wrong_annotation,
        _unknown_retention,
        _scopes_in_the_wrong_place,
        _unknown_operation,
        _unknown_monitor_field,
    ],
)
def test_the_schemas_find_a_planted_mistake(mutate: Callable[[dict[str, dict[str, Any]]], dict[str, Any]]) -> None:
    objects = {each["kind"]: copy.deepcopy(each) for each in rendered("replicas-postgresql")}
    with pytest.raises(Exception, match=r"(?s).") as raised:
        check(mutate(objects))
    assert "Validation" in type(raised.value).__name__
