"""Slack's limits once more, written down without looking at the code under test."""

import re
from collections.abc import Callable
from typing import Any

TEXT_LIMITS = {"header": 150, "section": 3000, "field": 2000, "context": 3000, "button": 75}
MENTION = re.compile(r"<(@[UW][A-Z0-9]+|!subteam\^S[A-Z0-9]+)>")
MENTIONS = ("<!channel", "<!here", "<!everyone")


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def within(text: Any, most: int, where: str) -> None:
    assert isinstance(text, str), where
    assert 0 < units(text) <= most, f"{where}: {units(text)} of {most}"
    text.encode("utf-8")


def check_text(text: dict[str, Any], most: int, where: str) -> None:
    assert text["type"] in {"plain_text", "mrkdwn"}, where
    within(text["text"], most, where)
    if text["type"] == "mrkdwn":
        assert text["verbatim"] is True, f"{where}: mrkdwn must be verbatim"
        assert not any(mention in text["text"] for mention in MENTIONS), where
        assert text["text"].count("<") == text["text"].count(">"), f"{where}: a token is cut"
    else:
        assert text["emoji"] is False, f"{where}: typed emoji codes must stay as typed"


def check_plain(text: dict[str, Any], most: int, where: str) -> None:
    assert text["type"] == "plain_text", where
    check_text(text, most, where)


def check_confirm(confirm: dict[str, Any]) -> None:
    check_plain(confirm["title"], 100, "confirm title")
    check_plain(confirm["text"], 300, "confirm text")
    check_plain(confirm["confirm"], 30, "confirm yes")
    check_plain(confirm["deny"], 30, "confirm no")


def check_button(button: dict[str, Any]) -> None:
    check_plain(button["text"], 75, "button text")
    within(button["action_id"], 255, "action_id")
    within(button["value"], 2000, "button value")
    within(button["accessibility_label"], 75, "accessibility_label")
    assert button.get("style", "primary") in {"primary", "danger"}
    if "confirm" in button:
        check_confirm(button["confirm"])


def check_menu(menu: dict[str, Any]) -> None:
    within(menu["action_id"], 255, "action_id")
    assert 1 <= len(menu["options"]) <= 5
    for option in menu["options"]:
        check_plain(option["text"], 75, "option text")
        within(option["value"], 75, "option value")
    if "confirm" in menu:
        check_confirm(menu["confirm"])


def check_section(block: dict[str, Any]) -> None:
    assert ("text" in block) != ("fields" in block)
    if "text" in block:
        check_text(block["text"], 3000, "section text")
    assert len(block.get("fields", [])) <= 10
    for field in block.get("fields", []):
        check_text(field, 2000, "section field")
    if "accessory" in block:
        check_button(block["accessory"])


def check_actions(block: dict[str, Any]) -> None:
    assert 1 <= len(block["elements"]) <= 25
    ids = [element["action_id"] for element in block["elements"]]
    assert len(ids) == len(set(ids)), "an action_id stands twice in one block"
    for element in block["elements"]:
        (check_menu if element["type"] == "overflow" else check_button)(element)


def check_context(block: dict[str, Any]) -> None:
    assert 1 <= len(block["elements"]) <= 10
    for element in block["elements"]:
        check_text(element, 3000, "context")


def check_input(block: dict[str, Any]) -> None:
    check_plain(block["label"], 2000, "input label")
    if "hint" in block:
        check_plain(block["hint"], 2000, "input hint")
    element = block["element"]
    if element["type"] == "multi_static_select":
        check_select(element)
        return
    assert element["type"] == "plain_text_input"
    assert 0 <= element.get("min_length", 0) <= element["max_length"] <= 3000
    assert units(element.get("initial_value", "")) <= element["max_length"]
    if "placeholder" in element:
        check_plain(element["placeholder"], 150, "placeholder")


def check_select(element: dict[str, Any]) -> None:
    check_plain(element["placeholder"], 150, "placeholder")
    assert 1 <= len(element["options"]) <= 100
    for option in element["options"]:
        check_plain(option["text"], 75, "option text")
        within(option["value"], 150, "option value")
        if "description" in option:
            check_plain(option["description"], 75, "option description")
    assert len({option["value"] for option in element["options"]}) == len(element["options"])


def check_rich_text(block: dict[str, Any]) -> None:
    for paragraph in block["elements"]:
        assert paragraph["type"] in {"rich_text_section", "rich_text_quote", "rich_text_preformatted"}
        assert paragraph["elements"]
        for leaf in paragraph["elements"]:
            check_leaf(leaf)


def check_leaf(leaf: dict[str, Any]) -> None:
    match leaf["type"]:
        case "text":
            within(leaf["text"], 3000, "rich text")
        case "user":
            assert leaf["user_id"][0] in "UW"
            assert leaf["user_id"].isalnum()
        case "usergroup":
            assert leaf["usergroup_id"][0] == "S"
        case "date":
            assert isinstance(leaf["timestamp"], int)
            within(leaf["fallback"], 100, "date fallback")
        case "link":
            assert leaf["url"].startswith("https://")
            within(leaf["text"], 200, "link text")
        case other:
            raise AssertionError(f"unknown rich text element {other}")


CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "header": lambda block: check_plain(block["text"], 150, "header"),
    "section": check_section,
    "actions": check_actions,
    "context": check_context,
    "input": check_input,
    "rich_text": check_rich_text,
    "divider": lambda _: None,
}


def check_blocks(blocks: list[dict[str, Any]], most: int) -> None:
    assert 1 <= len(blocks) <= most
    for block in blocks:
        CHECKS[block["type"]](block)
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    assert len(ids) == len(set(ids)), "a block_id stands twice"


def check_message(payload: dict[str, Any]) -> None:
    within(payload["text"], 4000, "fallback text")
    assert "<" not in MENTION.sub("", payload["text"]), "the fallback is escaped text, with no token but mentions"
    check_blocks(payload["blocks"], 50)


def check_view(payload: dict[str, Any]) -> None:
    check_blocks(payload["blocks"], 100)
    if payload["type"] == "modal":
        for name in ("title", "close", "submit"):
            if name in payload:
                check_plain(payload[name], 24, name)
        assert "title" in payload
        has_input = any(block["type"] == "input" for block in payload["blocks"])
        assert "submit" in payload or not has_input
    assert units(payload.get("private_metadata", "")) <= 3000
    assert units(payload.get("callback_id", "")) <= 255
