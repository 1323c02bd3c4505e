"""The compose stack: it fits the compose specification, is closed to the outside, and keeps secrets in files."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.process.settings import Settings
from tests.deploy.kinds import ROOT

FOLDER = ROOT / "deploy/compose"
STACK: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = STACK["services"]


def check(path: Path) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).parent / "check-jsonschema")
    command = [program, "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.deploy_tools
def test_it_is_what_the_compose_specification_says(tmp_path: Path) -> None:
    done = check(FOLDER / "compose.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    mutant = json.loads(json.dumps(STACK))
    mutant["services"]["countersign"]["dependson"] = {}
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(mutant), encoding="utf-8")
    assert check(tmp_path / "compose.yaml").returncode != 0


def test_every_published_port_is_this_machine_s_alone() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert published.keys() == {"pod", "prometheus"}
    for ports in published.values():
        assert all(port.startswith("127.0.0.1:") for port in ports)
    assert STACK["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "placement", "scheduler"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_each_secret_is_a_file_that_its_service_is_given() -> None:
    app = SERVICES["countersign"]
    given = {
        value.removeprefix("/run/secrets/") for name, value in app["environment"].items() if name.endswith("_FILE")
    }
    assert given == set(app["secrets"]) <= STACK["secrets"].keys()
    secret = re.compile(r"(TOKEN|SECRET|KEY|PASSWORD)$")
    assert [name for each in SERVICES.values() for name in each.get("environment", {}) if secret.search(name)] == []


def test_each_setting_of_the_app_is_one_that_it_has() -> None:
    known = {f"COUNTERSIGN_{name.upper()}" for name in Settings.model_fields} | {
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
    }
    assert {name.removesuffix("_FILE") for name in SERVICES["countersign"]["environment"]} <= known


def test_the_first_lines_make_every_secret_that_the_stack_reads() -> None:
    head = (FOLDER / "compose.yaml").read_text(encoding="utf-8").partition("\nname:")[0]
    made = set(re.findall(r"> (secrets/[\w.-]+)$", head, re.MULTILINE))
    assert made == {each["file"].removeprefix("./") for each in STACK["secrets"].values()}


@pytest.mark.parametrize("name", ["pod", "countersign", "daprd", "placement", "scheduler", "prometheus"])
def test_each_program_runs_without_root_and_without_writing(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith("0")
    assert service["restart"] == "unless-stopped"


def test_the_sidecar_shares_the_app_s_loopback_and_listens_nowhere_else() -> None:
    sidecar = SERVICES["daprd"]
    assert sidecar["network_mode"] == SERVICES["countersign"]["network_mode"] == "service:pod"
    assert "--dapr-listen-addresses=127.0.0.1" in sidecar["command"]
    assert "--scheduler-host-address=scheduler:50006" in sidecar["command"]
    assert "--placement-host-address=placement:50005" in sidecar["command"]


def test_every_file_that_is_mounted_is_there_and_the_rest_is_volumes() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = re.sub(r"^\$\{\w+:-(.*?)\}", r"\1", volume).split(":")[0]
            if source.startswith("."):
                assert (FOLDER / source).exists(), source
            else:
                assert source in STACK["volumes"]


def test_the_app_waits_for_the_database_and_the_scheduler_keeps_its_timers() -> None:
    assert SERVICES["countersign"]["depends_on"]["postgres"] == {"condition": "service_healthy"}
    assert "scheduler:/data" in SERVICES["scheduler"]["volumes"]
    assert "--etcd-data-dir=/data/etcd" in SERVICES["scheduler"]["command"]


@pytest.mark.promtool
def test_the_configuration_of_prometheus_is_one(tmp_path: Path) -> None:
    for source in (FOLDER / "prometheus.yml", ROOT / "deploy/monitoring/alerts.yaml"):
        (tmp_path / source.name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
