"""Threads, direct messages and private sentences say what happened, why and what to do; and fit, whatever comes."""

import json
from datetime import timedelta

import pytest
from hypothesis import given

from approvals.people import SlackUser
from cards import private, thread
from cards.card_view import CardView
from cards.surface import Message
from tests.cards import gallery, limits, nasty
from tests.cards.examples import CARDS, DEADLINE, MANAGERS, VPS, WAITING
from tools.docs import cli, messages


@pytest.mark.parametrize("name", gallery.messages())
def test_every_message_of_the_gallery_is_within_slacks_limits(name: str) -> None:
    limits.check_message(gallery.messages()[name].payload())


@pytest.mark.parametrize("name", gallery.views())
def test_every_view_of_the_gallery_is_within_slacks_limits(name: str) -> None:
    limits.check_view(gallery.views()[name].payload())


def test_the_gallery_prints_itself_as_json() -> None:
    shown = json.loads(gallery.as_json())
    assert set(shown["messages"]) == set(gallery.messages())
    assert set(shown["views"]) == set(gallery.views())


CODES = ("COMPLETED", "ompleted", "custom status", "phase", "stands", "says of itself", "somebody", "whoever")
"""The engine's words, other words for a status, and words that name nobody."""


def test_one_thing_has_one_word_in_every_message_and_form() -> None:
    assert [word for word in CODES if word in messages.page()] == []


def test_the_command_line_has_the_same_words_but_for_daprs_own_options() -> None:
    assert [word for word in CODES if word in cli.page().replace("completed", "").replace("COMPLETED", "")] == []


@nasty.some
@given(nasty.cards, nasty.approver_lists, nasty.texts(3000))
def test_any_thread_or_direct_message_is_within_slacks_limits(view: CardView, to: tuple, text: str) -> None:  # type: ignore[type-arg]
    built = [
        thread.reminder(view, 2),
        thread.counted(view),
        thread.advanced(view),
        thread.escalated(view, to, view.deadline),
        thread.ended(view),
        private.asked(view, text),
        private.advanced(view),
        private.ended(view, text),
        private.sentence(text),
        private.went_wrong(text),
    ]
    for message in built:
        limits.check_message(message.payload())


def mentions(message: Message) -> list[str]:
    leaves = [leaf for block in message.blocks for part in block["elements"] for leaf in part["elements"]]
    return [leaf.get("user_id") or leaf["usergroup_id"] for leaf in leaves if leaf["type"] in {"user", "usergroup"}]


def test_a_reminder_mentions_who_may_decide_and_says_until_when() -> None:
    message = thread.reminder(WAITING, 2)
    assert mentions(message) == ["S0MANAGERS"]
    assert message.text == (
        "Reminder 2: order 42 ($2,400.00) still waits for <!subteam^S0MANAGERS> or vp@example.com, "
        "until 2026-01-08 14:00 UTC. Use the buttons on the card above."
    )


def test_a_reminder_mentions_only_who_is_left() -> None:
    left = SlackUser(user="U0MANAGER2")
    assert mentions(thread.reminder(CARDS["counted"], 2, (left,))) == ["U0MANAGER2"]


def test_an_escalation_mentions_who_may_decide_now_as_well() -> None:
    assert mentions(thread.escalated(WAITING, (MANAGERS, VPS), DEADLINE)) == ["S0MANAGERS", "S0VPS"]


SENTENCES = [
    (thread.counted(CARDS["counted"]), "<@U0MANAGER> approved: 1 of 2, 1 more needed."),
    (
        thread.advanced(CARDS["advanced"]),
        "Stage 1 of 2 is approved. order 42 ($2,400.00) now waits for the next stage.",
    ),
    (
        thread.ended(CARDS["rejected"]),
        "order 42 ($2,400.00): Rejected. <@U0MANAGER> rejected, 2026-01-05 14:00 UTC: “Too expensive this quarter”",
    ),
    (thread.ended(CARDS["timed_out"]), "Nobody answered by 2026-01-05 14:00 UTC. This is not a no."),
    (thread.ended(CARDS["timed_out after one of two"]), "1 of 2 approved (<@U0MANAGER>); the second did not answer"),
    (thread.ended(CARDS["approved by three"]), "Stage 2: <@U0VP> approved, 2026-01-05 14:00 UTC: “Fits the plan”"),
    (private.ended(CARDS["approved by three"]), "Stage 1: <@U0MANAGER> approved, 2026-01-05 14:00 UTC: “Good price”"),
    (thread.reminder(WAITING, 1, left=timedelta(hours=4)), "4 h left, until 2026-01-08 14:00 UTC"),
    (private.asked(WAITING), "Your request order 42 ($2,400.00) now waits for <!subteam^S0MANAGERS> or vp@example.com"),
    (private.ended(CARDS["approved"]), "Your request order 42 ($2,400.00): Approved. <@U0MANAGER> approved"),
    (private.ended(CARDS["rejected"]), "Rejected. <@U0MANAGER> rejected, 2026-01-05 14:00 UTC: “Too expensive"),
    (private.ended(CARDS["timed_out"]), "This is not a no"),
    (private.ended(CARDS["terminated"]), "<@U0OPERATOR> stopped this request"),
    (private.recorded("order 42: "), "You need not click again"),
    (private.went_wrong("01JGV5"), "give your operator this number: 01JGV5"),
]


@pytest.mark.parametrize(("message", "sentence"), SENTENCES, ids=[sentence for _, sentence in SENTENCES])
def test_a_message_says_what_happened(message: Message, sentence: str) -> None:
    assert sentence in message.text


def test_a_typed_reason_stands_in_a_reply_as_it_was_typed() -> None:
    by = CARDS["rejected"].outcome.by[0].model_copy(update={"reason": "<!here> no & never"})  # type: ignore[union-attr]
    outcome = CARDS["rejected"].outcome.model_copy(update={"reason": by.reason, "by": (by,)})  # type: ignore[union-attr]
    message = thread.ended(CARDS["rejected"].model_copy(update={"outcome": outcome}))
    assert "&lt;!here&gt; no &amp; never" in message.text
    assert "<!here> no & never" in json.dumps(message.payload()["blocks"])
    assert mentions(message) == ["U0MANAGER"]


@pytest.mark.parametrize("link", ["http://plain.example", "https://a b", "https://a|b", "javascript:alert(1)", ""])
def test_an_address_that_is_not_fit_for_a_link_is_left_out(link: str) -> None:
    assert "Open the card" not in json.dumps(private.ended(CARDS["approved"], link).payload())
