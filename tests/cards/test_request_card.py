"""The card: what it says in each state, and that nothing typed gets out of its place."""

import json
import re
from typing import Any

import pytest
from hypothesis import given

from approvals.request import Binding
from cards import request_card
from cards.binding import UnreadableCardError, binding_value, parse_binding
from cards.card_view import CardView
from tests.cards import limits, nasty
from tests.cards.examples import BINDING, CARDS, LINKS, SQL, WAITING

TOKEN = re.compile(r"<[^<>]*>")
OURS = re.compile(r"<(@[UW][A-Z0-9]+|!subteam\^S[A-Z0-9]+|!date\^-?\d+\^\{date_long_pretty\} at \{time\}\|[-:\w ]+)>")


def buttons(payload: dict[str, Any]) -> dict[str, dict[str, Any]]:
    blocks = [block for block in payload["blocks"] if block["type"] == "actions"]
    return {element["action_id"]: element for block in blocks for element in block["elements"]}


def shown(payload: dict[str, Any]) -> str:
    return json.dumps(payload["blocks"], ensure_ascii=False)


def marked(node: Any) -> list[str]:
    if isinstance(node, list):
        return [text for item in node for text in marked(item)]
    if not isinstance(node, dict):
        return []
    own = [node["text"]] if node.get("type") == "mrkdwn" else []
    return own + [text for value in node.values() for text in marked(value)]


@nasty.some
@given(nasty.cards)
def test_any_card_is_within_slacks_limits(view: CardView) -> None:
    limits.check_message(request_card.build(view).payload())


@nasty.some
@given(nasty.cards)
def test_the_only_tokens_in_a_card_are_our_own_mentions_and_dates(view: CardView) -> None:
    for text in marked(list(request_card.build(view).blocks)):
        assert all(OURS.fullmatch(token) for token in TOKEN.findall(text)), text


@pytest.mark.parametrize("name", CARDS)
def test_only_a_waiting_card_has_buttons(name: str) -> None:
    waits = CARDS[name].standing == "waiting"
    expected = {"approval_approve", "approval_reject", "approval_details", "approval_menu"} if waits else set()
    assert set(buttons(request_card.build(CARDS[name]).payload())) == expected


SENTENCES = {
    "waiting": "may approve or reject it until 2026-01-08 14:00 UTC",
    "counted": "may approve or reject it until",
    "advanced": "the next stage has a card of its own",
    "escalated": "use the newer card",
    "approved": "Approved. <@U0MANAGER> approved, 2026-01-05 14:00 UTC: “Good price”",
    "approved_by_rule": "nobody has to be asked",
    "rejected": "Rejected. <@U0MANAGER> rejected, 2026-01-05 14:00 UTC: “Too expensive this quarter”",
    "rejected_by_rule": "not by a person. Nobody is in the groups",
    "withdrawn": "Withdrawn by its requester, 2026-01-05 14:00 UTC: “No longer needed”.",
    "timed_out": "Nobody answered by 2026-01-05 14:00 UTC. This is not a no.",
    "timed_out after one of two": "1 of 2 approved (<@U0MANAGER>); the second did not answer by 2026-01-05 14:00",
    "approved by three": "Stage 1: <@U0MANAGER2> approved",
    "terminated": "<@U0OPERATOR> stopped this request before it was decided, 2026-01-05 14:00 UTC: “Asked for twice”",
    "vanished": "The workflow behind this request no longer exists",
    "failed": "broke off with an error",
    "stopped": "stopped outside Countersign",
}


@pytest.mark.parametrize(("name", "sentence"), SENTENCES.items())
def test_the_fallback_is_a_sentence_that_says_where_the_request_stands(name: str, sentence: str) -> None:
    text = request_card.build(CARDS[name]).text
    assert sentence in text
    assert text.startswith("Requester asks for $2,400.00 (order 42)")


def test_every_face_of_a_card_has_an_example_and_a_title_of_its_own() -> None:
    titles = {view.standing: request_card.build(view).blocks[0]["text"]["text"] for view in CARDS.values()}
    assert len(set(titles.values())) == len(titles) == 11


def test_a_waiting_card_says_who_what_how_much_why_and_until_when() -> None:
    text = shown(request_card.build(WAITING).payload())
    for part in (
        "<@U0REQUESTER>", "order 42", "$2,400.00", "a manager must approve", "<!subteam^S0MANAGERS>",
        "vp@example.com", "<!date^1767880800^{date_long_pretty} at {time}|2026-01-08 14:00 UTC>", "standing desks",
        "Stage 1 of 2, 0 of 2 approved", "In the requester's own words", "Desks & More",
    ):  # fmt: skip
        assert part in text


def test_approve_is_confirmed_with_amount_and_requester() -> None:
    approve = buttons(request_card.build(WAITING).payload())["approval_approve"]
    assert approve["style"] == "primary"
    assert approve["confirm"]["title"]["text"] == "Approve $2,400.00?"
    assert approve["confirm"]["text"]["text"].startswith("$2,400.00 for order 42, asked for by Requester.")


def test_a_counted_approval_is_named_and_the_stage_still_open() -> None:
    text = shown(request_card.build(CARDS["counted"]).payload())
    assert "Stage 1 of 2, 1 of 2 approved" in text
    assert '"user_id": "U0MANAGER"' in text


@pytest.mark.parametrize("name", [name for name, view in CARDS.items() if view.standing != "waiting"])
def test_a_card_that_is_over_no_longer_asks(name: str) -> None:
    text = shown(request_card.build(CARDS[name]).payload())
    assert not [part for part in ("Why you are asked", "Who may decide", "Decide until") if part in text]


@pytest.mark.parametrize("name", CARDS)
def test_no_code_of_the_machine_is_shown(name: str) -> None:
    text = shown(request_card.build(CARDS[name]).payload())
    assert not [code for code in ("approval_timeout", "no_approvers", "order-42-workflow |") if code in text]


def test_the_card_of_stage_2_says_who_approved_stage_1_and_links_its_card() -> None:
    text = shown(request_card.build(CARDS["waiting in stage 2"]).payload())
    assert "Approved so far" in text
    for user in ("U0MANAGER", "U0MANAGER2"):
        assert f'"user_id": "{user}"' in text
    assert "Good price" in text
    assert LINKS[0] in text
    assert LINKS[1] not in text


def test_a_statement_to_run_stands_on_the_card_before_anybody_approves_it() -> None:
    blocks = request_card.build(CARDS["waiting for a statement"]).blocks
    [code] = [
        part["elements"][0]["text"]
        for block in blocks
        for part in block.get("elements", ())
        if part.get("type") == "rich_text_preformatted"
    ]
    assert code == SQL


def test_details_that_are_long_or_many_are_folded_and_the_card_says_so() -> None:
    long = WAITING.request.model_copy(update={"details": {"statement": "SELECT 1;\n" * 40}})
    many = WAITING.request.model_copy(update={"details": {str(number): "x" for number in range(10)}})
    assert "Long details are cut here." in shown(
        request_card.build(WAITING.model_copy(update={"request": long})).payload()
    )
    assert "2 more details not shown" in shown(
        request_card.build(WAITING.model_copy(update={"request": many})).payload()
    )


def test_a_requester_without_a_slack_user_is_shown_as_typed_and_mentions_nobody() -> None:
    view = WAITING.model_copy(update={"requester_user": None, "requester_name": "<!channel> *boss*"})
    field = request_card.build(view).blocks[1]["fields"][1]
    assert field == {"type": "plain_text", "text": "Asked by\n<!channel> *boss*", "emoji": False}


def test_a_card_can_be_found_again_by_its_metadata() -> None:
    assert request_card.build(WAITING).metadata == {
        "event_type": "countersign_request",
        "event_payload": {"instance_id": "order-42-workflow", "stage": 0, "round": 0, "nonce": "e" * 32},
    }


@nasty.some
@given(nasty.bindings)
def test_a_binding_comes_back_from_a_button_as_it_went_in(binding: Binding) -> None:
    assert parse_binding(binding_value(binding)) == binding


@pytest.mark.parametrize("name", ["approval_approve", "approval_reject", "approval_details"])
def test_each_button_carries_the_binding_and_an_accessible_label(name: str) -> None:
    button = buttons(request_card.build(WAITING).payload())[name]
    assert parse_binding(button["value"]) == BINDING
    assert "order 42" in button["accessibility_label"]


@pytest.mark.parametrize("value", [None, "", "x", "{}", "[]", "null", '{"instance_id": 1}', "9" * 5000, "{" * 1500])
def test_a_value_that_is_none_of_ours_is_refused_with_what_to_do_next(value: str | None) -> None:
    with pytest.raises(UnreadableCardError, match=r"Nothing was decided\. Ask for the request's status"):
        parse_binding(value)


def test_a_binding_that_would_not_fit_a_button_is_an_error_and_not_a_broken_card() -> None:
    with pytest.raises(ValueError, match="of 2000 characters"):
        binding_value(BINDING.model_copy(update={"instance_id": "x" * 2000}))
