"""Modals: what they show, and that their submissions are read back exactly or refused with a clear word."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.request import Binding, CardRef
from cards import confirm_modal, details_modal, reject_modal
from cards.binding import UnreadableCardError
from cards.confirm_modal import Confirmed, ModalOperation
from cards.details_modal import DetailsView
from cards.forms import FieldErrors
from cards.reject_modal import Rejection, RejectTarget
from cards.surface import View
from cards.values import DryRun
from tests.cards import limits, nasty
from tests.cards.examples import BINDING, CARDS, WAITING
from tests.cards.gallery import HISTORY, LINE

TARGET = RejectTarget(binding=BINDING, card=CardRef(channel="C0APPROVALS", ts="1767621600.000000"))


def submitted(view: View, block: str, text: str | None) -> dict[str, Any]:
    """Return a view as Slack sends it back."""
    return {**view.payload(), "state": {"values": {block: {"reason": {"type": "plain_text_input", "value": text}}}}}


def rejecting(text: str | None) -> dict[str, Any]:
    return submitted(reject_modal.build(TARGET, "order 42", "$2,400.00", "Requester"), "reject_reason", text)


def test_the_reject_modal_repeats_what_is_rejected_and_wants_a_reason() -> None:
    view = reject_modal.build(TARGET, "order 42", "$2,400.00", "Requester").payload()
    assert view["callback_id"] == "approval_reject_reason"
    assert view["blocks"][0]["text"]["text"] == "You reject $2,400.00 for order 42, asked for by Requester."
    assert "optional" not in view["blocks"][1]
    assert view["blocks"][1]["element"]["max_length"] == 1000


def test_a_rejection_comes_back_with_its_card_and_reason() -> None:
    assert reject_modal.parse(rejecting("  Too expensive \n")) == Rejection(target=TARGET, reason="Too expensive")


@pytest.mark.parametrize("text", [None, "", "   ", "\n\n", "\u200b", "\x00", "x" * 1001])
def test_a_reason_that_is_none_or_too_long_keeps_the_modal_open(text: str | None) -> None:
    result = reject_modal.parse(rejecting(text))
    assert isinstance(result, FieldErrors)
    assert result.response() == {
        "response_action": "errors",
        "errors": {"reject_reason": result.errors["reject_reason"]},
    }
    assert result.errors["reject_reason"].startswith("Please ")


@pytest.mark.parametrize("metadata", [None, "", "{}", "[]", "x", '{"binding": {}}', "9" * 4000])
@pytest.mark.parametrize("parse", [reject_modal.parse, confirm_modal.parse])
def test_a_form_that_is_none_of_ours_is_refused(parse: Any, metadata: str | None) -> None:
    with pytest.raises(UnreadableCardError, match=r"cannot be read|names no workflow"):
        parse({"private_metadata": metadata, "state": {"values": {}}})


@pytest.mark.parametrize("state", [None, {}, [], {"values": None}, {"values": {"reject_reason": []}}])
def test_a_submission_without_its_input_is_an_empty_reason(state: Any) -> None:
    assert isinstance(reject_modal.parse({"private_metadata": TARGET.model_dump_json(), "state": state}), FieldErrors)


@nasty.some
@given(nasty.bindings, nasty.texts(200), nasty.texts(3000))
def test_any_reject_modal_is_within_slacks_limits_and_readable(binding: Binding, what: str, who: str) -> None:
    target = RejectTarget(binding=binding, card=TARGET.card)
    view = reject_modal.build(target, what, "$1.00", who)
    limits.check_view(view.payload())
    assert reject_modal.parse(submitted(view, "reject_reason", "no")) == Rejection(target=target, reason="no")


@nasty.some
@given(nasty.cards, nasty.history_lines)
def test_any_details_modal_is_within_slacks_limits(card: Any, history: Any) -> None:
    limits.check_view(details_modal.build(DetailsView(card=card, history=history)).payload())


@pytest.mark.parametrize("name", [name for name in CARDS if name != "waiting for a statement"])
def test_details_show_the_whole_request_and_no_digests(name: str) -> None:
    text = json.dumps(details_modal.build(DetailsView(card=CARDS[name], history=HISTORY)).payload())
    for part in (
        "order-42-workflow", "Desks & More", "cost centre", "standing desks", "$2,400.00",
        "Stage 1: ", "Stage 2: ", "2 needed, within 3 days", "Good price",
    ):  # fmt: skip
        assert part in text
    assert not [part for part in ("0123456789ab", "d" * 64, "Run, stage, round") if part in text]


def test_details_say_what_is_left_out() -> None:
    request = WAITING.request.model_copy(update={"details": {str(number): "x" for number in range(30)}})
    view = DetailsView(card=WAITING.model_copy(update={"request": request}), history=HISTORY * 20)
    text = json.dumps(details_modal.build(view).payload())
    assert "10 more fields are not shown here." in text
    assert "35 older ones" in text


def test_the_loading_view_fits_into_a_views_open_at_once() -> None:
    limits.check_view(details_modal.loading("order-42-workflow").payload())
    assert details_modal.loading("x").callback_id == details_modal.build(DetailsView(card=WAITING)).callback_id


TERMINATE = ModalOperation(verb="terminate", instance_id="order-42-workflow", channel="C0APPROVALS")


def test_a_confirmation_shows_the_instance_and_what_will_happen_to_it() -> None:
    text = json.dumps(confirm_modal.build(TERMINATE, LINE, "Asked for twice").payload())
    for part in ("order 42", "Waiting", "It stops for good", "Asked for twice", "manage_confirm"):
        assert part in text


def test_a_confirmation_comes_back_with_its_operation() -> None:
    view = submitted(confirm_modal.build(TERMINATE, LINE), "manage_reason", "Asked for twice")
    assert confirm_modal.parse(view) == Confirmed(operation=TERMINATE, reason="Asked for twice")


REASONS = [("pause", FieldErrors), ("resume", Confirmed), ("terminate", FieldErrors), ("purge", Confirmed)]


@pytest.mark.parametrize(("verb", "without_a_reason"), REASONS)
def test_what_hurts_wants_a_reason(verb: Any, without_a_reason: type) -> None:
    view = confirm_modal.build(TERMINATE.model_copy(update={"verb": verb}), LINE)
    assert view.blocks[-1]["optional"] is (without_a_reason is Confirmed)
    assert isinstance(confirm_modal.parse(submitted(view, "manage_reason", "")), without_a_reason)


BULK = ModalOperation(verb="terminate", token="dry-run-1")


@nasty.some
@given(nasty.instance_lines, nasty.texts(3000), nasty.texts(3000))
def test_any_confirmation_is_within_slacks_limits(line: Any, reason: str, words: str) -> None:
    limits.check_view(confirm_modal.build(TERMINATE, line, reason).payload())
    dry_run = DryRun(token="dry-run-1", total=10_000, lines=(line,) * 120, filter=words)
    limits.check_view(confirm_modal.build_bulk(BULK, dry_run, reason).payload())


@given(st.text(max_size=200), st.text(max_size=200))
def test_an_operation_of_any_content_fits_private_metadata(instance_id: str, token: str) -> None:
    operation = ModalOperation(verb="purge", instance_id=instance_id, token=token, channel="C" * 40)
    assert limits.units(operation.model_dump_json()) <= 3000


def test_a_bulk_says_exactly_what_it_would_hit_and_what_the_list_leaves_out() -> None:
    dry_run = DryRun(token="dry-run-1", total=50, lines=(LINE,) * 50, filter="no progress for 2 h")
    text = json.dumps(confirm_modal.build_bulk(BULK, dry_run).payload())
    assert "This would terminate 50 workflows: no progress for 2 h." in text
    assert "And 10 more" in text


def test_each_line_of_a_dry_run_can_be_left_out_and_comes_back_by_its_id() -> None:
    lines = tuple(LINE.model_copy(update={"instance_id": f"order-{number}-workflow"}) for number in range(3))
    view = confirm_modal.build_bulk(BULK, DryRun(token="dry-run-1", total=3, lines=lines)).payload()
    [menu] = [block["element"] for block in view["blocks"] if block.get("block_id") == confirm_modal.WITHOUT]
    assert [option["value"] for option in menu["options"]] == [line.instance_id for line in lines]
    chosen = {"without": {"type": "multi_static_select", "selected_options": menu["options"][:1]}}
    values = {"manage_reason": {"reason": {"value": "a recall"}}, confirm_modal.WITHOUT: chosen}
    found = confirm_modal.parse({"private_metadata": BULK.model_dump_json(), "state": {"values": values}})
    assert isinstance(found, Confirmed)
    assert found.without == {"order-0-workflow"}


def test_of_one_alone_nothing_can_be_left_out() -> None:
    view = confirm_modal.build_bulk(BULK, DryRun(token="dry-run-1", total=1, lines=(LINE,))).payload()
    assert confirm_modal.WITHOUT not in [block.get("block_id") for block in view["blocks"]]


def test_a_bulk_that_would_hit_nothing_cannot_be_submitted() -> None:
    view = confirm_modal.build_bulk(BULK, DryRun(token="dry-run-1", total=0)).payload()
    assert "submit" not in view
    assert "callback_id" not in view


@pytest.mark.parametrize("operation", [ModalOperation(verb="purge"), BULK.model_copy(update={"instance_id": "x"})])
def test_an_operation_names_one_instance_or_one_dry_run(operation: ModalOperation) -> None:
    with pytest.raises(UnreadableCardError, match="names no workflow"):
        confirm_modal.parse(submitted(confirm_modal.build(operation, LINE), "manage_reason", "why"))
