"""The machine explored: three people, two stages, every event in every state that can be reached."""

import os
from pathlib import Path
from typing import Any

import pytest

from approvals.machine import Answer, DecisionJudged, Record, TimeReached, binding_of, deadline_of, next_due, step
from tests.approvals.exploration import Seen
from tests.approvals.story import Story
from tools.docs.state_diagram import diagram

pytestmark = pytest.mark.slow
DIAGRAM = Path(__file__).parents[2] / "docs" / "explanation" / "state-machine.md"
PAGE = """# The state machine of a request

`approvals/machine.py` computes `step(state, event) -> (state, effects)`: no I/O, no clock. The workflow interprets it.
A test explores every event in every state that can be reached, and draws this diagram from the transitions that it saw.

```mermaid
{}```

*Refused* stands for a decision that does not count: it is audited and answered, and the request waits on. Pausing,
terminating and purging are not in the picture: they are the engine's, and run no step of the machine.
"""


def every(explored: dict[str, list[Seen]]) -> Any:
    return [seen for steps in explored.values() for seen in steps]


def test_the_exploration_reaches_every_end_and_thousands_of_steps(explored: dict[str, list[Seen]]) -> None:
    steps = every(explored)
    ends = {(seen.after.outcome.approved, seen.after.outcome.reason) for seen in steps if seen.after.outcome}
    assert ends == {
        (True, ""),
        (False, "too much"),
        (False, "approval_timeout"),
        (False, "no_approvers"),
        (False, "not needed"),
    }
    assert len(steps) > 10_000


def test_no_outcome_comes_without_an_allowed_decision_or_an_automatic_rule(explored: dict[str, list[Seen]]) -> None:
    for before, event, after, _ in every(explored):
        if before.outcome or not after.outcome:
            continue
        if isinstance(event, DecisionJudged):
            assert event.judgement.verdict.allowed
            if event.judgement.decision is None:
                assert (after.outcome.end, after.outcome.approved) == ("withdrawn", False)
            else:
                assert event.judgement.decision.approved == after.outcome.approved
        elif after.outcome.approved:
            assert after.route.automatic
        else:
            assert after.outcome.reason in {"approval_timeout", "no_approvers"}


def test_an_approved_request_has_enough_different_people_in_every_stage_and_never_the_requester(
    explored: dict[str, list[Seen]], story: Story
) -> None:
    for _, _, after, _ in every(explored):
        if not (after.outcome and after.outcome.approved) or after.route.automatic:
            continue
        for number, stage in enumerate(after.route.stages):
            people = [one.person for one in after.approvals if one.stage == number and one.approved]
            assert len(set(people)) == len(people) >= stage.needed
            assert story.requester not in people
        everybody = [one.person for one in after.approvals]
        assert after.route.same_person_may_repeat or len(set(everybody)) == len(everybody)


def test_only_an_allowed_decision_on_the_current_card_before_the_deadline_counts(
    explored: dict[str, list[Seen]], story: Story
) -> None:
    for before, event, after, _ in every(explored):
        if after.approvals == before.approvals:
            continue
        assert isinstance(event, DecisionJudged)
        decision = event.judgement.decision
        assert event.judgement.verdict.allowed
        assert decision.binding == binding_of(before)
        assert event.at < deadline_of(before)
        assert decision.person != story.requester
        assert decision.approved or decision.reason.strip()


def test_only_the_requester_withdraws_what_has_not_ended_and_no_effect_follows(
    explored: dict[str, list[Seen]], story: Story
) -> None:
    withdrawn = [seen for seen in every(explored) if seen.after.outcome and seen.after.outcome.end == "withdrawn"]
    ending = [seen for seen in withdrawn if seen.before.outcome is None]
    assert ending
    for before, event, after, effects in ending:
        assert isinstance(event, DecisionJudged)
        assert event.judgement.submission.person == story.requester
        assert event.judgement.submission.binding.run == before.run
        assert (after.outcome.approved, after.approvals) == (False, before.approvals)
        assert [effect.action for effect in effects if isinstance(effect, Record)] == ["withdrawn"]
    for before, event, after, _ in every(explored):
        submitted = isinstance(event, DecisionJudged) and event.judgement.submission is not None
        if submitted and event.judgement.submission.person != story.requester:
            assert after == before


def test_every_list_of_effects_records_before_it_tells_anybody(explored: dict[str, list[Seen]]) -> None:
    for before, event, _, effects in every(explored):
        records = [isinstance(effect, Record) for effect in effects]
        assert records == sorted(records, reverse=True), effects
        rewritten = before.outcome is not None and not isinstance(event, DecisionJudged)
        assert not effects or records[0] or rewritten, effects


def test_every_submission_is_recorded_and_whoever_sent_it_is_answered(explored: dict[str, list[Seen]]) -> None:
    for _, event, _, effects in every(explored):
        if isinstance(event, DecisionJudged):
            assert isinstance(effects[0], Record)
            assert event.judgement.submitted is None or isinstance(effects[-1], Answer)


def test_every_waiting_state_ends_by_itself(explored: dict[str, list[Seen]]) -> None:
    for _, _, after, _ in every(explored):
        state, turns = after, 0
        while state.phase == "waiting":
            due = next_due(state)
            assert due is not None
            state, _ = step(state, TimeReached(at=due))
            turns += 1
            assert turns < 6
        assert state.phase == "new" or next_due(state) is None


def test_an_end_is_never_left_or_changed(explored: dict[str, list[Seen]]) -> None:
    for before, _, after, _ in every(explored):
        if before.outcome:
            assert after.outcome == before.outcome
            assert after.approvals == before.approvals


def test_the_same_decision_again_gets_the_same_answer_and_changes_nothing(explored: dict[str, list[Seen]]) -> None:
    trusted = [seen for seen in every(explored) if seen.after.seen != seen.before.seen]
    assert trusted
    for seen in trusted:
        again, effects = step(seen.after, seen.event)
        assert again == seen.after
        assert effects == (seen.effects[-1],)


def test_the_same_input_always_gives_the_same_answer(explored: dict[str, list[Seen]]) -> None:
    for before, event, after, effects in every(explored)[::7]:
        assert step(before, event) == (after, effects)


def test_a_state_survives_the_way_through_json(explored: dict[str, list[Seen]]) -> None:
    states = {seen.after.model_dump_json(): seen.after for seen in every(explored)[::11]}
    for text, state in states.items():
        assert type(state).model_validate_json(text) == state


def test_the_page_with_the_diagram_is_what_the_machine_does(explored: dict[str, list[Seen]]) -> None:
    page = PAGE.format(diagram(every(explored)))
    if os.environ.get("COUNTERSIGN_WRITE_DIAGRAM"):
        DIAGRAM.write_text(page)
    if page != DIAGRAM.read_text():
        pytest.fail(
            "docs/explanation/state-machine.md is not what the machine does: run this with COUNTERSIGN_WRITE_DIAGRAM=1"
        )
