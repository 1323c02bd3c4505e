"""Judges interactive elements and images."""

from collections.abc import Callable, Collection
from typing import Any

from local.slack import block_rules as rules
from local.slack.findings import Findings, unknown_fields
from local.slack.text_checks import PLAIN, check_confirm, check_option, check_style, check_text
from local.slack.values import Json


def check_element(findings: Findings, element: Any, pointer: str, allowed: Collection[str]) -> None:
    """Check one element that stands where only the `allowed` types may stand."""
    if not isinstance(element, dict):
        findings.add(pointer, "must provide an object")
        return
    kind = element.get("type")
    if not isinstance(kind, str) or kind not in allowed:
        findings.add(f"{pointer}/type", f"unsupported type: {kind}")
        return
    if kind == "image":
        check_image(findings, element, pointer)
        return
    unknown_fields(findings, element, rules.ELEMENT_FIELDS[kind] | {"type", "action_id"}, pointer)
    _check_common(findings, element, pointer)
    check = _CHECKS.get(kind)
    if check:
        check(findings, element, pointer)


def check_image(findings: Findings, image: Json, pointer: str) -> None:
    """Check an image block or element."""
    if "image_url" not in image and "slack_file" not in image:
        findings.add(pointer, "missing required field: image_url")
    findings.length(image.get("alt_text", ""), f"{pointer}/alt_text", rules.IMAGE_ALT, least=1)


def _check_common(findings: Findings, element: Json, pointer: str) -> None:
    findings.length(element.get("action_id"), f"{pointer}/action_id", rules.ACTION_ID, least=1)
    if "confirm" in element:
        check_confirm(findings, element["confirm"], f"{pointer}/confirm")
    if "placeholder" in element:
        check_text(findings, element["placeholder"], f"{pointer}/placeholder", rules.PLACEHOLDER, PLAIN)


def _check_button(findings: Findings, element: Json, pointer: str) -> None:
    check_text(findings, element.get("text"), f"{pointer}/text", rules.BUTTON_TEXT, PLAIN)
    findings.length(element.get("value"), f"{pointer}/value", rules.BUTTON_VALUE)
    findings.length(element.get("url"), f"{pointer}/url", rules.BUTTON_URL)
    findings.length(element.get("accessibility_label"), f"{pointer}/accessibility_label", rules.ACCESSIBILITY_LABEL)
    check_style(findings, element, pointer)


def _check_options(most: int, least: int = 1) -> Callable[[Findings, Json, str], None]:
    def check(findings: Findings, element: Json, pointer: str) -> None:
        if "option_groups" in element:
            groups = findings.items(element["option_groups"], f"{pointer}/option_groups", most=rules.SELECT_OPTIONS)
            for index, group in enumerate(groups):
                check(findings, group, f"{pointer}/option_groups/{index}")
            return
        options = findings.items(element.get("options"), f"{pointer}/options", most=most, least=least)
        for index, option in enumerate(options):
            check_option(findings, option, f"{pointer}/options/{index}")

    return check


def _check_text_input(findings: Findings, element: Json, pointer: str) -> None:
    findings.length(element.get("initial_value"), f"{pointer}/initial_value", rules.INPUT_LENGTH)
    for name in ("min_length", "max_length"):
        value = element.get(name)
        if value is not None and not (isinstance(value, int) and 0 <= value <= rules.INPUT_LENGTH):
            findings.add(f"{pointer}/{name}", f"must be between 0 and {rules.INPUT_LENGTH}")


_CHECKS: dict[str, Callable[[Findings, Json, str], None]] = {
    "button": _check_button,
    "static_select": _check_options(rules.SELECT_OPTIONS),
    "multi_static_select": _check_options(rules.SELECT_OPTIONS),
    "overflow": _check_options(rules.OVERFLOW_OPTIONS),
    "checkboxes": _check_options(rules.TICK_OPTIONS),
    "radio_buttons": _check_options(rules.TICK_OPTIONS),
    "plain_text_input": _check_text_input,
}
