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
from cards.paging import PageTarget
from cards.values import Diagnosis, InstanceLine, LinePage, StatisticsShown
from tests.cards import limits, nasty
from tests.cards.examples import NOW
from tests.cards.gallery import ANSWER, ENDED_LINE, HISTORY, LINE, NUMBERS


def shown(message: Any) -> str:
    return json.dumps(message.payload(), ensure_ascii=False)


@pytest.mark.parametrize("status", STATUSES)
def test_each_of_daprs_statuses_has_a_plain_message_for_what_is_no_request(status: Any) -> None:
    other = InstanceLine(instance_id="nightly", status=status)
    message = command.status(other)
    assert STATUSES[status] in shown(message)
    assert message.text == f"nightly: {status.capitalize()}. {STATUSES[status]}"


def test_a_request_is_shown_by_its_outcome_and_daprs_status_to_operators_only() -> None:
    ended = shown(command.status(ENDED_LINE))
    assert (", ended " in ended, " since " in ended) == (True, False), "it was told as if it still waited"
    assert "Rejected" in ended
    assert "ompleted" not in ended
    assert "order-41-workflow" not in ended
    operators = shown(command.status(ENDED_LINE.model_copy(update={"for_operators": True})))
    assert "Rejected (Completed in Dapr)" in operators
    assert "order-41-workflow" in operators


def test_a_line_says_how_many_of_those_needed_have_approved_and_who() -> None:
    message = command.status(LINE)
    assert "Waiting, stage 1 of 2, 1 of 2 approved" in message.text
    assert '"user_id": "U0MANAGER"' in shown(message)
    assert LINE.description in shown(message)


def test_a_status_says_whom_it_waits_for_until_when_and_links_the_card() -> None:
    text = shown(command.status(LINE))
    for part in ("S0MANAGERS", "stage 1 of 2", "2026-01-08 14:00 UTC", "https://example.slack.com/archives/"):
        assert part in text


def test_help_lists_every_verb_with_its_usage() -> None:
    text = shown(command.help_text())
    assert all(f"/approval {verb.usage}" in text for verb in command.WORDS)


def test_help_leaves_out_what_the_asker_may_not_use() -> None:
    text = shown(command.help_text(frozenset({"terminate"})))
    assert "/approval terminate" not in text
    assert "/approval status" in text


GUESSES = [
    ("sttaus", "status"),
    ("STATUS", "status"),
    ("statsu", "status"),
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
    numbers = StatisticsShown(
        since=NOW, waiting_by_rule=rows, waiting_by_approver=rows, outcomes=rows, decided_per_day=rows, oldest=line
    )
    page = PageTarget(argument=text[:150], cursor="~" * 500)
    many = LinePage(lines=(line,) * 70, total=70, place="1-10 of 70", following="~" * 500, previous="~" * 500)
    built = [
        command.unknown_verb(text),
        command.usage("pause", text),
        command.status(line),
        command.listing(text, "all", many),
        command.overview(((text, "waiting", many), (text, "mine", many), (text, "running", many))),
        command.history(text, history * 20, page, page),
        command.why(text, (answer,) * 30),
        command.statistics(numbers),
    ]
    for message in built:
        limits.check_message(message.payload())


@nasty.some
@given(nasty.instance_lines, nasty.texts(3000))
def test_any_home_is_within_slacks_limits(line: Any, text: str) -> None:
    many = LinePage(lines=(line,) * 90, total=90, place="1-20 of 90", following="~" * 500, previous="~" * 500)
    limits.check_view(home.build(home.HomeView(waiting=many, asked=many)).payload())
    limits.check_view(home.unavailable(text).payload())


def test_a_list_says_which_lines_these_are_and_of_how_many() -> None:
    page = LinePage(lines=(LINE,), total=185, place="1-1 of 185")
    assert "Waits for you (1-1 of 185)" in shown(command.listing("Waits for you", "waiting", page))


def test_pages_have_buttons_only_where_there_is_another_page() -> None:
    first = command.listing("Waits for you", "waiting", LinePage(lines=(LINE,), following="b"))
    buttons = first.blocks[-1]["elements"]
    assert [button["action_id"] for button in buttons] == ["list_page_next"]
    assert paging.parse_page(buttons[0]["value"]) == PageTarget(argument="waiting", cursor="b")
    later = command.listing("Waits for you", "waiting", LinePage(lines=(LINE,), following="c", previous="a"))
    assert [button["action_id"] for button in later.blocks[-1]["elements"]] == ["list_page_previous", "list_page_next"]
    alone = command.listing("Waits for you", "waiting", LinePage(lines=(LINE,)))
    assert alone.blocks[-1]["type"] == "rich_text"


def test_an_overview_leads_on_from_each_of_its_lists() -> None:
    waiting, asked = LinePage(lines=(LINE,), following="b"), LinePage(lines=(LINE,), following="c")
    message = command.overview((("Waits for you", "waiting", waiting), ("You asked for", "mine", asked)))
    actions = [block for block in message.blocks if block["type"] == "actions"]
    assert [block["block_id"] for block in actions] == ["list_waiting", "list_mine"]
    pages = [paging.parse_page(block["elements"][0]["value"]) for block in actions]
    assert [(page.argument, page.cursor) for page in pages] == [("waiting", "b"), ("mine", "c")]


@pytest.mark.parametrize("name", [paging.NEXT, paging.PREVIOUS])
def test_both_page_buttons_answer_to_one_pattern(name: str) -> None:
    assert paging.ACTIONS.match(name)


@given(st.text(max_size=150), st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=500))
def test_a_page_of_any_content_fits_a_button_and_comes_back(argument: str, cursor: str) -> None:
    page = PageTarget(argument=argument, cursor=cursor)
    assert limits.units(page.model_dump_json()) <= 2000
    assert paging.parse_page(page.model_dump_json()) == page


@pytest.mark.parametrize("value", [None, "", "{", '{"verb": "rm"}', "[]", '{"cursor": "\\u0000"}'])
def test_a_page_button_that_is_none_of_ours_is_refused(value: str | None) -> None:
    with pytest.raises(UnreadableCardError, match="Type /approval list"):
        paging.parse_page(value)


EMPTY = [
    (command.listing("Waits for you", "waiting", LinePage()), "Nothing waits for you."),
    (command.history("order-42-workflow", ()), "Nothing is written down about order-42-workflow."),
    (command.why("order-42-workflow", ()), "Nothing keeps order-42-workflow from going on"),
]


@pytest.mark.parametrize(("message", "sentence"), EMPTY, ids=[row[1] for row in EMPTY])
def test_where_there_is_nothing_it_says_so(message: Any, sentence: str) -> None:
    assert message.text.startswith(sentence)


def test_a_history_shows_moment_deed_person_and_words() -> None:
    text = shown(command.history("order-42-workflow", HISTORY))
    for part in ("2026-01-05 14:00:00 UTC", "asked", "Reminder 1", '"user_id": "U0MANAGER"', "Good price"):
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


def test_shares_are_a_hundred_together() -> None:
    thirds = NUMBERS.model_copy(update={"outcomes": (("approved", 3), ("rejected", 2), ("nobody answered", 2))})
    text = shown(command.statistics(thirds))
    assert all(part in text for part in ("approved: 3 (43 %)", "rejected: 2 (29 %)", "nobody answered: 2 (28 %)"))


def test_a_moment_in_a_diagnosis_is_a_date_on_the_readers_own_clock() -> None:
    seen = ANSWER.model_copy(
        update={"evidence": "It waits since 2026-01-05 14:00:07 UTC, in room 2026-99-99 00:00 UTC."}
    )
    elements = command.why("order-42-workflow", (seen,)).blocks[1]["elements"][0]["elements"]
    dates = [each for each in elements if each["type"] == "date"]
    assert [(each["timestamp"], each["fallback"]) for each in dates] == [(1767621607, "2026-01-05 14:00:07 UTC")]
    assert any("2026-99-99 00:00 UTC" in each.get("text", "") for each in elements)


def test_statistics_of_nothing_are_no_error() -> None:
    message = command.statistics(StatisticsShown(since=NOW - timedelta(days=1)))
    assert "0 wait now. Time to a decision: no decision yet." in message.text


def test_an_empty_home_says_what_will_stand_there() -> None:
    text = shown(home.build(home.HomeView()))
    assert home.NOTHING_WAITS in text
    assert home.NOTHING_ASKED in text


def test_home_says_how_many_wait_and_leads_to_the_others() -> None:
    page = LinePage(lines=(LINE,) * 20, total=185, place="1-20 of 185", following="b")
    view = home.build(home.HomeView(waiting=page)).payload()
    assert "Waits for you (1-20 of 185)" in json.dumps(view)
    [button] = [each for block in view["blocks"] if block["type"] == "actions" for each in block["elements"]]
    assert paging.parse_page(button["value"]) == PageTarget(verb="home", argument="waiting", cursor="b")
