"""Judges a modal or App Home as Slack does before it shows one."""

import json
from typing import Any

from local.slack import block_rules as rules
from local.slack.block_checks import check_blocks
from local.slack.findings import Findings, unknown_fields
from local.slack.text_checks import PLAIN, check_text

_FIELDS = frozenset(
    {
        "type", "title", "blocks", "close", "submit", "private_metadata", "callback_id", "clear_on_close",
        "notify_on_close", "external_id", "submit_disabled",
    }
)  # fmt: skip


def check_view(view: Any, kinds: tuple[str, ...]) -> list[str]:
    """List what Slack would refuse about a view that has to be one of `kinds`."""
    findings = Findings()
    if not isinstance(view, dict):
        return ["[ERROR] must provide an object [json-pointer:/view]"]
    if view.get("type") not in kinds:
        findings.add("/view/type", f"must be one of: {', '.join(kinds)}")
        return findings.messages
    unknown_fields(findings, view, _FIELDS, "/view")
    if view["type"] == "modal":
        _check_modal(findings, view)
    findings.length(view.get("private_metadata"), "/view/private_metadata", rules.PRIVATE_METADATA)
    findings.length(view.get("callback_id"), "/view/callback_id", rules.CALLBACK_ID)
    findings.length(view.get("external_id"), "/view/external_id", rules.CALLBACK_ID)
    return findings.messages + check_blocks(view.get("blocks"), surface=view["type"], pointer="/view/blocks")


def _check_modal(findings: Findings, view: dict[str, Any]) -> None:
    check_text(findings, view.get("title"), "/view/title", rules.VIEW_TITLE, PLAIN)
    for name in ("submit", "close"):
        if view.get(name) is not None:
            check_text(findings, view[name], f"/view/{name}", rules.VIEW_TITLE, PLAIN)
    blocks = view.get("blocks")
    has_input = isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)
    if has_input and not view.get("submit"):
        findings.add("/view", "missing required field: submit")


def too_large(view: Any) -> bool:
    """Tell whether a view is over Slack's 250 kB."""
    return len(json.dumps(view).encode()) > rules.VIEW_BYTES
