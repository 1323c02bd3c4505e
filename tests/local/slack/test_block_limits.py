"""Block Kit's figures: at the limit it passes, one over it is refused, and the complaint names the place."""

from typing import Any

import pytest

from local.slack.block_checks import check_blocks
from local.slack.view_checks import check_view


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def section(**fields: Any) -> dict[str, Any]:
    return {"type": "section", **fields}


def acting(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def button(**fields: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain("x"), **fields}


def options(count: int, text: str = "o") -> list[dict[str, Any]]:
    return [{"text": plain(text), "value": str(number)} for number in range(count)]


def confirm(**fields: Any) -> dict[str, Any]:
    return {"title": plain("t"), "text": plain("t"), "confirm": plain("y"), "deny": plain("n"), **fields}


LIMITS = [
    ("blocks in a message", 50, lambda n: [{"type": "divider"}] * n),
    ("section text", 3000, lambda n: [section(text=mrkdwn("x" * n))]),
    ("section fields", 10, lambda n: [section(fields=[mrkdwn("x")] * n)]),
    ("field text", 2000, lambda n: [section(fields=[mrkdwn("x" * n)])]),
    ("header text", 150, lambda n: [{"type": "header", "text": plain("x" * n)}]),
    ("context elements", 10, lambda n: [{"type": "context", "elements": [mrkdwn("x")] * n}]),
    ("action elements", 25, lambda n: [acting(*[button(action_id=str(i)) for i in range(n)])]),
    ("button text", 75, lambda n: [acting(button(text=plain("x" * n)))]),
    ("button value", 2000, lambda n: [acting(button(value="x" * n))]),
    ("button url", 3000, lambda n: [acting(button(url="x" * n))]),
    ("accessibility_label", 75, lambda n: [acting(button(accessibility_label="x" * n))]),
    ("action_id", 255, lambda n: [acting(button(action_id="x" * n))]),
    ("block_id", 255, lambda n: [{"type": "divider", "block_id": "x" * n}]),
    ("confirm title", 100, lambda n: [acting(button(confirm=confirm(title=plain("x" * n))))]),
    ("confirm text", 300, lambda n: [acting(button(confirm=confirm(text=plain("x" * n))))]),
    ("confirm button", 30, lambda n: [acting(button(confirm=confirm(confirm=plain("x" * n))))]),
    ("select options", 100, lambda n: [acting({"type": "static_select", "options": options(n)})]),
    ("option text", 75, lambda n: [acting({"type": "static_select", "options": options(1, "x" * n)})]),
    ("overflow options", 5, lambda n: [acting({"type": "overflow", "options": options(n)})]),
    ("checkbox options", 10, lambda n: [acting({"type": "checkboxes", "options": options(n)})]),
    ("placeholder", 150, lambda n: [acting({"type": "users_select", "placeholder": plain("x" * n)})]),
    ("markdown text", 12000, lambda n: [{"type": "markdown", "text": "x" * n}]),
]


@pytest.mark.parametrize(("what", "most", "build"), LIMITS, ids=[row[0] for row in LIMITS])
def test_each_limit_passes_at_its_figure_and_refuses_one_more(what: str, most: int, build: Any) -> None:
    assert check_blocks(build(most)) == []
    assert check_blocks(build(most + 1)) != [], what


REFUSED = [
    ("no array", {"type": "divider"}, "[ERROR] must provide an array [json-pointer:/blocks]"),
    ("no object", ["x"], "[ERROR] unsupported type: x [json-pointer:/blocks/0/type]"),
    ("unknown block", [{"type": "poem"}], "[ERROR] unsupported type: poem [json-pointer:/blocks/0/type]"),
    (
        "unknown field",
        [{"type": "divider", "colour": "red"}],
        "[ERROR] invalid additional property: colour [json-pointer:/blocks/0]",
    ),
    (
        "empty text",
        [section(text=mrkdwn(""))],
        "[ERROR] must be more than 0 characters [json-pointer:/blocks/0/text/text]",
    ),
    (
        "mrkdwn in a header",
        [{"type": "header", "text": mrkdwn("x")}],
        "[ERROR] must be one of: plain_text [json-pointer:/blocks/0/text/type]",
    ),
    (
        "verbatim on plain text",
        [section(text={"type": "plain_text", "text": "x", "verbatim": True})],
        "[ERROR] invalid additional property: verbatim [json-pointer:/blocks/0/text]",
    ),
    ("section without text", [section()], "[ERROR] missing required field: text [json-pointer:/blocks/0]"),
    (
        "unknown style",
        [acting(button(style="loud"))],
        "[ERROR] must be one of: primary, danger [json-pointer:/blocks/0/elements/0/style]",
    ),
    (
        "the same action_id twice in a block",
        [acting(button(action_id="a"), button(action_id="a"))],
        "[ERROR] `action_id` must be unique [json-pointer:/blocks/0/elements/1/action_id]",
    ),
    (
        "the same block_id twice",
        [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}],
        "[ERROR] `block_id` must be unique [json-pointer:/blocks/1/block_id]",
    ),
    (
        "an input element among actions",
        [acting({"type": "plain_text_input"})],
        "[ERROR] unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]",
    ),
    (
        "an empty rich text",
        [
            {
                "type": "rich_text",
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": ""}]}],
            }
        ],
        "[ERROR] must be more than 0 characters [json-pointer:/blocks/0/elements/0/elements/0/text]",
    ),
    (
        "no actions",
        [acting()],
        "[ERROR] no fewer than 1 items allowed [json-pointer:/blocks/0/elements]",
    ),
]


@pytest.mark.parametrize(("what", "blocks", "complaint"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_slack_refuses_is_refused_with_its_place(what: str, blocks: Any, complaint: str) -> None:
    assert check_blocks(blocks) == [complaint], what


def form(**fields: Any) -> dict[str, Any]:
    return {"type": "modal", "title": plain("t"), "blocks": [{"type": "divider"}], **fields}


VIEW_LIMITS = [
    ("title", 24, lambda n: form(title=plain("x" * n))),
    ("submit", 24, lambda n: form(submit=plain("x" * n))),
    ("close", 24, lambda n: form(close=plain("x" * n))),
    ("private_metadata", 3000, lambda n: form(private_metadata="x" * n)),
    ("callback_id", 255, lambda n: form(callback_id="x" * n)),
    ("blocks", 100, lambda n: form(blocks=[{"type": "divider"}] * n)),
]


@pytest.mark.parametrize(("what", "most", "build"), VIEW_LIMITS, ids=[row[0] for row in VIEW_LIMITS])
def test_each_limit_of_a_view_passes_at_its_figure_and_refuses_one_more(what: str, most: int, build: Any) -> None:
    assert check_view(build(most), ("modal",)) == []
    assert check_view(build(most + 1), ("modal",)) != [], what


def test_a_modal_with_an_input_needs_a_submit_button() -> None:
    field = {"type": "input", "label": plain("l"), "element": {"type": "plain_text_input"}}
    assert check_view(form(blocks=[field]), ("modal",)) == [
        "[ERROR] missing required field: submit [json-pointer:/view]"
    ]
    assert check_view(form(blocks=[field], submit=plain("s")), ("modal",)) == []


def test_a_home_is_no_modal() -> None:
    assert check_view({"type": "home", "blocks": []}, ("home",)) == []
    assert check_view({"type": "home", "blocks": []}, ("modal",)) == [
        "[ERROR] must be one of: modal [json-pointer:/view/type]"
    ]
