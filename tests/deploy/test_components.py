"""Dapr's resources against Dapr's own schemas, where an unknown field is an error."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.kinds import ROOT, check

RESOURCES = sorted([*(ROOT / "components").rglob("*.yaml"), *(ROOT / "deploy/compose/components").glob("*.yaml")])
STORES = {
    "kubernetes": "secretstores.kubernetes",
    "vault": "secretstores.hashicorp.vault",
    "aws": "secretstores.aws.secretmanager",
    "azure": "secretstores.azure.keyvault",
    "gcp": "secretstores.gcp.secretmanager",
}


def document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_resource_is_one_that_dapr_takes(path: Path) -> None:
    check(document(path))


def test_a_field_in_the_wrong_place_would_be_found() -> None:
    found = document(ROOT / "components/statestore.yaml")
    found["spec"]["scopes"] = found.pop("scopes")
    with pytest.raises(jsonschema.ValidationError, match="scopes"):
        check(found)


@pytest.mark.parametrize(("name", "kind"), STORES.items())
def test_each_store_of_secrets_can_stand_in_for_the_shipped_one_and_holds_no_secret(name: str, kind: str) -> None:
    found = document(ROOT / f"components/production/secrets/{name}.yaml")
    assert found["spec"]["type"] == kind
    assert found["metadata"] == document(ROOT / "components/production/secrets.yaml")["metadata"]
    secret = {"accessKey", "secretKey", "vaultToken", "azureClientSecret", "azureCertificate", "private_key"}
    assert not secret & {each["name"] for each in found["spec"]["metadata"]}


def test_the_stack_s_state_store_asks_a_store_of_secrets_that_is_there() -> None:
    folder = ROOT / "deploy/compose/components"
    assert (
        document(folder / "statestore.yaml")["auth"]["secretStore"]
        == document(folder / "secrets.yaml")["metadata"]["name"]
    )
