"""What /approval and App Home show: plain sentences, pages within Slack's limits, and a guess for a misspelt verb."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.statuses import STATUSES
from cards import command, home, paging
from cards.binding import UnreadableCardError
from cards.examples import NOW
from cards.gallery import ANSWER, HISTORY, LINE, NUMBERS
from cards.paging import Page
from cards.values import Diagnosis, Statistics
from tests.cards import limits, nasty


def shown(message: Any) -> str:
    return json.dumps(message.payload(), ensure_ascii=False)


@pytest.mark.parametrize("status", STATUSES)
def test_each_of_daprs_statuses_has_a_plain_sentence(status: Any) -> None:
    message = command.status(LINE.model_copy(update={"status": status}))
    assert STATUSES[status] in shown(message)
    assert f"order-42-workflow is {status}. {STATUSES[status]}" in message.text


def test_a_status_says_whom_it_waits_for_until_when_and_links_the_card() -> None:
    text = shown(command.status(LINE))
    for part in ("S0MANAGERS", "stage 1 of 2", "2026-01-08 14:00 UTC", "https://example.slack.com/archives/"):
        assert part in text


def test_help_lists_every_verb_with_its_usage() -> None:
    text = shown(command.help_text())
    assert all(f"/approval {verb.usage}" in text for verb in command.VERBS)


GUESSES = [
    ("sttaus", "status"),
    ("STATUS", "status"),
    ("lst", "list"),
    ("kill", None),
    ("terminat", "terminate"),
    ("halp", "help"),
    ("", None),
    ("\u202e", None),
]


@pytest.mark.parametrize(("typed", "expected"), GUESSES)
def test_an_unknown_verb_gets_the_nearest_one(typed: str, expected: str | None) -> None:
    assert command.nearest(typed) == expected
    text = command.unknown_verb(typed).text
    assert "nothing was done" in text
    assert (f"Did you mean /approval {expected}?" in text) is (expected is not None)


@pytest.mark.parametrize("typed", ["approve", "aprove", "reject", "Reject", "deny"])
def test_whoever_types_a_decision_is_shown_the_buttons_and_no_other_verb(typed: str) -> None:
    text = command.unknown_verb(typed).text
    assert "use the buttons on the request's card" in text
    assert "Did you mean" not in text


@nasty.some
@given(nasty.instance_lines, nasty.history_lines, nasty.texts(3000))
def test_any_answer_is_within_slacks_limits(line: Any, history: Any, text: str) -> None:
    answer = Diagnosis(sentence=text, evidence=text, next_step=text)
    rows = ((text, 3),) * 40
    numbers = Statistics(
        since=NOW, waiting_by_rule=rows, waiting_by_approver=rows, outcomes=rows, decided_per_day=rows, oldest=line
    )
    page = Page(argument=text[:150], cursor="~" * 500)
    built = [
        command.unknown_verb(text),
        command.unknown_instance(text),
        command.usage("pause", text),
        command.status(line),
        command.listing(text, (line,) * 70, page, page),
        command.history(text, history * 20, page, page),
        command.why(text, (answer,) * 30),
        command.statistics(numbers),
    ]
    for message in built:
        limits.check_message(message.payload())


@nasty.some
@given(nasty.instance_lines, nasty.texts(3000))
def test_any_home_is_within_slacks_limits(line: Any, text: str) -> None:
    limits.check_view(home.build(home.HomeView(waiting=(line,) * 90, asked=(line,) * 90)).payload())
    limits.check_view(home.unavailable(text).payload())


def test_a_list_says_what_does_not_fit_a_page() -> None:
    message = command.listing("Waiting", (LINE,) * 12)
    assert "2 more do not fit on this page." in shown(message)


def test_pages_have_buttons_only_where_there_is_another_page() -> None:
    first = command.listing("Waiting", (LINE,), following=Page(argument="waiting", cursor="b"))
    buttons = first.blocks[-1]["elements"]
    assert [button["action_id"] for button in buttons] == ["list_page_next"]
    assert paging.parse_page(buttons[0]["value"]) == Page(argument="waiting", cursor="b")
    assert command.listing("Waiting", (LINE,)).blocks[-1]["type"] == "rich_text"


@pytest.mark.parametrize("name", [paging.NEXT, paging.PREVIOUS])
def test_both_page_buttons_answer_to_one_pattern(name: str) -> None:
    assert paging.ACTIONS.match(name)


@given(st.text(max_size=150), st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=500))
def test_a_page_of_any_content_fits_a_button_and_comes_back(argument: str, cursor: str) -> None:
    page = Page(argument=argument, cursor=cursor)
    assert limits.units(page.model_dump_json()) <= 2000
    assert paging.parse_page(page.model_dump_json()) == page


@pytest.mark.parametrize("value", [None, "", "{", '{"verb": "rm"}', "[]", '{"cursor": "\\u0000"}'])
def test_a_page_button_that_is_none_of_ours_is_refused(value: str | None) -> None:
    with pytest.raises(UnreadableCardError, match="Type /approval list"):
        paging.parse_page(value)


EMPTY = [
    (command.listing("Waiting", ()), "Waiting: there is nothing to show."),
    (command.history("order-42-workflow", ()), "Nothing is written down about order-42-workflow."),
    (command.why("order-42-workflow", ()), "Nothing keeps order-42-workflow from going on"),
    (command.unknown_instance("43"), "No workflow is known as 43: it was never started here, or it was purged."),
]


@pytest.mark.parametrize(("message", "sentence"), EMPTY, ids=[row[1] for row in EMPTY])
def test_where_there_is_nothing_it_says_so(message: Any, sentence: str) -> None:
    assert message.text.startswith(sentence)


def test_a_history_shows_moment_deed_person_and_words() -> None:
    text = shown(command.history("order-42-workflow", HISTORY))
    for part in ("2026-01-05 14:00 UTC", "asked", "Reminder 1", '"user_id": "U0MANAGER"', "Good price"):
        assert part in text


def test_a_diagnosis_says_what_is_the_case_what_was_seen_and_what_to_do() -> None:
    text = shown(command.why("order-42-workflow", (ANSWER,)))
    for part in (ANSWER.sentence, f"Seen: {ANSWER.evidence}", f"Next: {ANSWER.next_step}"):
        assert part in text


def test_statistics_give_counts_times_and_shares() -> None:
    message = command.statistics(NUMBERS)
    assert message.text == (
        "3 wait now. Time to a decision: median 2 h 5 min, 9 of 10 within 1 day 3 h. 40 ended, 2 unanswered."
    )
    assert "approved: 30 (75 %)" in shown(message)


def test_statistics_of_nothing_are_no_error() -> None:
    message = command.statistics(Statistics(since=NOW - timedelta(days=1)))
    assert "0 wait now. Time to a decision: no decision yet." in message.text


def test_an_empty_home_says_what_will_stand_there() -> None:
    text = shown(home.build(home.HomeView()))
    assert home.NOTHING_WAITS in text
    assert home.NOTHING_ASKED in text


def test_home_says_how_many_more_there_are() -> None:
    assert "29 more: /approval list" in shown(home.build(home.HomeView(asked=(LINE,), asked_total=30)))
