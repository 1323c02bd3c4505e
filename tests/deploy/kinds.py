"""The schema of every kind of object that deploy/ makes: Kubernetes' own by version, Dapr's from its CRDs."""

from pathlib import Path
from typing import Any

import jsonschema
import yaml

ROOT = Path(__file__).parents[2]
CRDS = Path(__file__).parent / "crds"
VERSIONS = ("1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37")

_LABELS = {"type": "object", "properties": {"matchLabels": {"type": "object"}}, "additionalProperties": False}


def _endpoint(port: str, kind: str) -> dict[str, Any]:
    properties = {
        port: {"type": kind},
        "path": {"type": "string"},
        "interval": {"type": "string", "pattern": "^[0-9]+s$"},
    }
    return {"type": "object", "required": [port], "properties": properties, "additionalProperties": False}


def _monitor(endpoints: str, endpoint: dict[str, Any]) -> dict[str, Any]:
    properties = {"selector": _LABELS, endpoints: {"type": "array", "items": endpoint, "minItems": 1}}
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}


_RULE = {
    "type": "object",
    "required": ["alert", "expr", "labels", "annotations"],
    "properties": {
        "alert": {"type": "string"},
        "expr": {"type": "string"},
        "for": {"type": "string", "pattern": "^[0-9]+[smhd]$"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "additionalProperties": False,
}
_GROUP = {
    "type": "object",
    "required": ["name", "rules"],
    "properties": {"name": {"type": "string"}, "rules": {"type": "array", "items": _RULE, "minItems": 1}},
    "additionalProperties": False,
}
_ROUTE = {
    "type": "object",
    "required": ["parentRefs", "rules"],
    "properties": {
        "parentRefs": {"type": "array", "items": {"type": "object", "required": ["name"]}, "minItems": 1},
        "hostnames": {"type": "array", "items": {"type": "string"}},
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"matches": {"type": "array"}, "backendRefs": {"type": "array"}},
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
OPERATORS: dict[str, dict[str, Any]] = {
    "ServiceMonitor": _monitor("endpoints", _endpoint("port", "string")),
    "PodMonitor": _monitor("podMetricsEndpoints", _endpoint("portNumber", "integer")),
    "PrometheusRule": {
        "type": "object",
        "required": ["groups"],
        "properties": {"groups": {"type": "array", "items": _GROUP, "minItems": 1}},
        "additionalProperties": False,
    },
    "HTTPRoute": _ROUTE,
}
"""The fields that we use of the Prometheus operator's and the Gateway API's kinds; anything else is refused."""


def check(found: dict[str, Any], version: str = VERSIONS[-1]) -> None:
    """Hold one object against its kind's schema, where an unknown field is an error.

    Raises:
        Exception: a validation error of jsonschema or kubernetes_validate; the text names the field.
    """
    if found["apiVersion"].startswith("dapr.io/"):
        jsonschema.validate(found, dapr_schema(found["kind"]))
    elif found["kind"] in OPERATORS:
        jsonschema.validate(found["spec"], OPERATORS[found["kind"]])
    else:
        import kubernetes_validate  # noqa: PLC0415 only `make deploy-tools` installs it

        kubernetes_validate.validate(found, version, strict=True)


def dapr_schema(kind: str) -> dict[str, Any]:
    """Return the strict schema of one of Dapr's kinds."""
    for path in sorted(CRDS.glob("*.yaml")):
        crd = yaml.safe_load(path.read_text(encoding="utf-8"))
        if crd["spec"]["names"]["kind"] == kind:
            return _strict(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    raise LookupError(f"tests/deploy/crds has no {kind}")


def _strict(schema: Any) -> Any:
    """Refuse what a CRD would silently drop: a field that is not there."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _strict(value) for key, value in schema.items()}
    if found.get("type") == "object" and "properties" in found and "additionalProperties" not in found:
        found["additionalProperties"] = bool(found.get("x-kubernetes-preserve-unknown-fields"))
    return found
