"""The files for the real runtime: they parse, agree with one another and with the program, and have what Dapr needs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.cli.remote import ClientSettings
from bot.process.settings import Settings
from local.sidecar.server import APP_ID

ROOT = Path(__file__).parents[1]
COMPONENTS = sorted((ROOT / "components").rglob("*.yaml"))
LISTABLE = {"sqlite", "in-memory", "redis", "postgresql", "mysql", "mongodb", "etcd"}
"""Stores whose keys can be listed, which the list of workflows needs."""


def document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def metadata(component: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("secretKeyRef")) for each in component["spec"]["metadata"]}


def multi_app() -> dict[str, Any]:
    return document(ROOT / "dapr.yaml")


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_resource_is_one_that_the_runtime_reads(path: Path) -> None:
    found = document(path)
    assert found["apiVersion"] == "dapr.io/v1alpha1"
    assert found["kind"] in {"Component", "Configuration"}
    assert re.fullmatch(r"[a-z0-9-]+", found["metadata"]["name"])
    if found["kind"] == "Component":
        assert found["scopes"] == [multi_app()["apps"][0]["appID"]]


@pytest.mark.parametrize("folder", ["components", "components/production"])
def test_a_folder_has_one_store_that_keeps_workflows_and_can_list_them(folder: str) -> None:
    found = [document(path) for path in (ROOT / folder).glob("*.yaml")]
    stores = [each for each in found if each.get("spec", {}).get("type", "").startswith("state.")]
    assert [metadata(each)["actorStateStore"] for each in stores] == ["true"]
    assert stores[0]["spec"]["type"].partition(".")[2] in LISTABLE


def test_the_laptops_store_waits_for_a_busy_file() -> None:
    store = document(ROOT / "components/statestore.yaml")
    assert store["spec"]["type"] == "state.sqlite"
    assert metadata(store)["busyTimeout"] == "5s"


def test_the_production_store_has_no_secret_in_its_file_and_names_a_store_that_is_there() -> None:
    store = document(ROOT / "components/production/statestore.yaml")
    assert metadata(store)["connectionString"].keys() == {"name", "key"}
    assert store["auth"]["secretStore"] == document(ROOT / "components/production/secrets.yaml")["metadata"]["name"]


def test_the_multi_app_file_names_both_control_planes_and_listens_on_loopback_only() -> None:
    found = multi_app()
    assert found["version"] == 1
    common = found["common"]
    assert common["schedulerHostAddress"] == "localhost:50006"
    assert common["placementHostAddress"] == "localhost:50005"
    assert common["apiListenAddresses"] == "127.0.0.1"
    assert (ROOT / common["resourcesPath"]).is_dir()
    assert document(ROOT / common["configFilePath"])["kind"] == "Configuration"


def test_the_multi_app_file_starts_this_app_under_the_id_that_the_local_sidecar_has_too() -> None:
    (app,) = multi_app()["apps"]
    assert app["appID"] == APP_ID
    assert app["command"] == [".venv/bin/countersign", "run"]
    assert (app["daprGRPCPort"], app["daprHTTPPort"]) == (50001, 3500)


def test_retention_is_offered_as_a_comment_that_only_needs_its_signs_taken_away() -> None:
    text = (ROOT / "components/configuration.yaml").read_text(encoding="utf-8")
    assert "workflow" not in yaml.safe_load(text)["spec"]
    lines = text.partition("# workflow:")
    uncommented = lines[0] + lines[1][2:] + re.sub(r"^  # ", "  ", lines[2], flags=re.MULTILINE)
    policy = yaml.safe_load(uncommented)["spec"]["workflow"]["stateRetentionPolicy"]
    assert policy.keys() == {"anyTerminal", "completed", "failed", "terminated"}


def names(model: type[Settings] | type[ClientSettings]) -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        known = getattr(alias, "choices", [alias] if isinstance(alias, str) else [f"COUNTERSIGN_{name.upper()}"])
        found.add(str(known[0]))
    return found


def test_the_example_environment_names_only_settings_that_exist_and_holds_no_secret() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    lines = [line.lstrip("#") for line in text.splitlines() if re.match(r"#?[A-Z_]+=", line)]
    given = dict(line.split("=", 1) for line in lines)
    assert given.keys() <= names(Settings) | names(ClientSettings)
    assert not any(given[name] for name in given if re.search(r"TOKEN|SECRET|API_KEY", name))


def test_the_example_environment_has_every_setting_that_a_start_demands() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "COUNTERSIGN_SECRET_KEY"):
        assert f"\n{name}=" in text
