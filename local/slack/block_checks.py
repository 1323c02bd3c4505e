"""Judges Block Kit as strictly as Slack does, and words the complaints like Slack. Changes nothing."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from local.slack import block_rules as rules
from local.slack.element_checks import check_element, check_image
from local.slack.findings import Findings, unknown_fields
from local.slack.text_checks import check_text
from local.slack.values import Json


def check_blocks(blocks: Any, *, surface: str = "message", pointer: str = "/blocks") -> list[str]:
    """List what Slack would refuse; an empty list means the blocks are fine. Surfaces: message, modal, home."""
    findings = Findings()
    if not isinstance(blocks, list):
        findings.add(pointer, "must provide an array")
        return findings.messages
    most = rules.BLOCKS_PER_MESSAGE if surface == "message" else rules.BLOCKS_PER_VIEW
    if len(blocks) > most:
        findings.add(pointer, f"no more than {most} items allowed")
    allowed = rules.MESSAGE_BLOCKS if surface == "message" else rules.VIEW_BLOCKS
    for index, block in enumerate(blocks):
        _check_block(findings, block, f"{pointer}/{index}", allowed)
    _check_unique(findings, blocks, "block_id", pointer)
    return findings.messages


def _check_unique(findings: Findings, items: Sequence[Any], key: str, pointer: str) -> None:
    seen: set[str] = set()
    for index, item in enumerate(items):
        name = item.get(key) if isinstance(item, dict) else None
        if name and name in seen:
            findings.add(f"{pointer}/{index}/{key}", f"`{key}` must be unique")
        seen.add(str(name))


def _check_block(findings: Findings, block: Any, pointer: str, allowed: Collection[str]) -> None:
    if not isinstance(block, dict) or block.get("type") not in allowed:
        kind = block.get("type") if isinstance(block, dict) else block
        findings.add(f"{pointer}/type", f"unsupported type: {kind}")
        return
    kind = block["type"]
    unknown_fields(findings, block, rules.COMMON_BLOCK | rules.BLOCK_FIELDS[kind], pointer)
    if len(str(block.get("block_id", ""))) > rules.BLOCK_ID:
        findings.too_long(f"{pointer}/block_id", rules.BLOCK_ID)
    check = _CHECKS.get(kind)
    if check:
        check(findings, block, pointer)


def _check_section(findings: Findings, block: Json, pointer: str) -> None:
    if "text" not in block and "fields" not in block:
        findings.add(pointer, "missing required field: text")
    if "text" in block:
        check_text(findings, block["text"], f"{pointer}/text", rules.SECTION_TEXT)
    if "fields" in block:
        fields = findings.items(block["fields"], f"{pointer}/fields", most=rules.SECTION_FIELDS)
        for index, field in enumerate(fields):
            check_text(findings, field, f"{pointer}/fields/{index}", rules.FIELD_TEXT)
    if "accessory" in block:
        check_element(findings, block["accessory"], f"{pointer}/accessory", rules.ACCESSORIES)


def _check_header(findings: Findings, block: Json, pointer: str) -> None:
    check_text(findings, block.get("text"), f"{pointer}/text", rules.HEADER_TEXT, kinds=("plain_text",))


def _check_context(findings: Findings, block: Json, pointer: str) -> None:
    elements = findings.items(block.get("elements"), f"{pointer}/elements", most=rules.CONTEXT_ELEMENTS)
    for index, element in enumerate(elements):
        where = f"{pointer}/elements/{index}"
        if isinstance(element, dict) and element.get("type") == "image":
            check_image(findings, element, where)
        else:
            check_text(findings, element, where, rules.SECTION_TEXT)


def _check_actions(findings: Findings, block: Json, pointer: str) -> None:
    elements = findings.items(block.get("elements"), f"{pointer}/elements", most=rules.ACTIONS_PER_BLOCK)
    for index, element in enumerate(elements):
        check_element(findings, element, f"{pointer}/elements/{index}", rules.ACTIONS_ELEMENTS)
    _check_unique(findings, elements, "action_id", f"{pointer}/elements")


def _check_input(findings: Findings, block: Json, pointer: str) -> None:
    check_text(findings, block.get("label"), f"{pointer}/label", rules.INPUT_LABEL, kinds=("plain_text",))
    if "hint" in block:
        check_text(findings, block["hint"], f"{pointer}/hint", rules.INPUT_LABEL, kinds=("plain_text",))
    check_element(findings, block.get("element"), f"{pointer}/element", rules.INPUT_ELEMENTS)


_RICH_TEXT = frozenset({"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"})


def _check_rich_text(findings: Findings, block: Json, pointer: str) -> None:
    for index, element in enumerate(findings.items(block.get("elements"), f"{pointer}/elements", least=0)):
        where = f"{pointer}/elements/{index}"
        if not isinstance(element, dict) or element.get("type") not in _RICH_TEXT:
            findings.add(f"{where}/type", "unsupported rich text element")
            continue
        for place, leaf in enumerate(findings.items(element.get("elements"), f"{where}/elements", least=0)):
            if isinstance(leaf, dict) and leaf.get("type") == "text" and not leaf.get("text"):
                findings.add(f"{where}/elements/{place}/text", "must be more than 0 characters")


def _check_markdown(findings: Findings, block: Json, pointer: str) -> None:
    text = block.get("text")
    if not isinstance(text, str) or not text:
        findings.add(f"{pointer}/text", "must be more than 0 characters")
    elif len(text) > rules.MARKDOWN_TEXT:
        findings.too_long(f"{pointer}/text", rules.MARKDOWN_TEXT)


_CHECKS: dict[str, Callable[[Findings, Json, str], None]] = {
    "section": _check_section,
    "header": _check_header,
    "context": _check_context,
    "actions": _check_actions,
    "input": _check_input,
    "image": check_image,
    "rich_text": _check_rich_text,
    "markdown": _check_markdown,
}
