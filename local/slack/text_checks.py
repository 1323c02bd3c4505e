"""Judges the composition objects: text, options, confirmation dialogs."""

from typing import Any

from local.slack import block_rules as rules
from local.slack.findings import Findings, unknown_fields

PLAIN = ("plain_text",)
ANY_TEXT = ("plain_text", "mrkdwn")
_TEXT_FIELDS = {
    "plain_text": frozenset({"type", "text", "emoji"}),
    "mrkdwn": frozenset({"type", "text", "verbatim"}),
}


def check_text(findings: Findings, text: Any, pointer: str, most: int, kinds: tuple[str, ...] = ANY_TEXT) -> None:
    """Check a text object: its type, its fields, and 1 to `most` characters."""
    if not isinstance(text, dict):
        findings.add(pointer, "must provide an object")
        return
    if text.get("type") not in kinds:
        findings.add(f"{pointer}/type", f"must be one of: {', '.join(kinds)}")
        return
    unknown_fields(findings, text, _TEXT_FIELDS[text["type"]], pointer)
    words = text.get("text")
    if not isinstance(words, str):
        findings.add(f"{pointer}/text", "must be a string")
    else:
        findings.length(words, f"{pointer}/text", most, least=1)


def check_option(findings: Findings, option: Any, pointer: str) -> None:
    """Check one entry of a select, checkbox, radio or overflow list."""
    if not isinstance(option, dict):
        findings.add(pointer, "must provide an object")
        return
    unknown_fields(findings, option, {"text", "value", "description", "url"}, pointer)
    check_text(findings, option.get("text"), f"{pointer}/text", rules.OPTION_TEXT)
    findings.length(option.get("value", ""), f"{pointer}/value", rules.OPTION_VALUE, least=1)
    if "description" in option:
        check_text(findings, option["description"], f"{pointer}/description", rules.OPTION_TEXT)


def check_confirm(findings: Findings, confirm: Any, pointer: str) -> None:
    """Check a confirmation dialog."""
    if not isinstance(confirm, dict):
        findings.add(pointer, "must provide an object")
        return
    unknown_fields(findings, confirm, {"title", "text", "confirm", "deny", "style"}, pointer)
    check_text(findings, confirm.get("title"), f"{pointer}/title", rules.CONFIRM_TITLE, PLAIN)
    check_text(findings, confirm.get("text"), f"{pointer}/text", rules.CONFIRM_TEXT)
    for name in ("confirm", "deny"):
        if name in confirm:
            check_text(findings, confirm[name], f"{pointer}/{name}", rules.CONFIRM_BUTTON, PLAIN)
    check_style(findings, confirm, pointer)


def check_style(findings: Findings, value: dict[str, Any], pointer: str) -> None:
    """Check the style of a button or dialog."""
    if "style" in value and value["style"] not in {"primary", "danger"}:
        findings.add(f"{pointer}/style", "must be one of: primary, danger")
