"""The rules of diagnosis, one row for each situation, and the page that is made from the same table."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from approvals.decision import Approval
from approvals.people import Person
from bot.control.diagnosis.facts import Elsewhere, Facts, Refusal, Unposted
from bot.control.diagnosis.rules import RULES, WHERE_NOTHING_IS_WRONG, diagnose
from bot.control.diagnosis.situations import BY_KEY, SITUATIONS
from bot.engine.history import Attempts, HistoryFacts, Raised, Suspension, Timer, Wait
from records.instances import RequestProgress
from tools.docs.troubleshooting import page

NOW = datetime(2026, 1, 5, 15, tzinfo=UTC)
THEN = NOW - timedelta(hours=1)
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "troubleshoot-events.md"


def wait(name: str = "payment_confirmed", **more: Any) -> Wait:
    return Wait(name=name, since=THEN, **({"until": NOW + timedelta(days=3)} | more))


def facts(**more: Any) -> Facts:
    return Facts(**({"instance_id": "order-42-workflow", "now": NOW, "status": "RUNNING", "name": "a"} | more))


def history(*waits: Wait, **more: Any) -> HistoryFacts:
    return HistoryFacts(waits=waits, **more)


def raised(name: str = "payment_confirmed", minutes: int = 30, **more: Any) -> Raised:
    return Raised(name=name, at=THEN + timedelta(minutes=minutes), **more)


YES = Approval(
    decision_id="d", person=Person(team="T", user="U"), name="Manager", stage=0, approved=True, at=THEN, through="slack"
)
CASES: list[tuple[str, Facts, str]] = [
    ("never_started", facts(status=None), "Neither the engine nor"),
    (
        "never_started",
        facts(status=None, phase="starting", asked_to_start_at=THEN),
        "asked for on 2026-01-05 14:00:00 UTC",
    ),
    ("unposted", facts(unposted=Unposted(channel="general", since=THEN)), "/invite @Countersign in #general"),
    ("never_started", facts(status=None, near=("order-24-workflow",)), "Did you mean order-24-workflow?"),
    ("purged", facts(status=None, phase="purged", ended_at=THEN), "2026-01-05 14:00:00 UTC"),
    ("scheduled", facts(status="PENDING", starts="starts at 2026-01-06 00:00:00 UTC"), "starts at 2026-01-06"),
    ("wedged", facts(status="SUSPENDED", history=history(suspension=Suspension(since=THEN, times=2))), "with force"),
    ("wedged", facts(status="RUNNING", history=history(suspension=Suspension(since=THEN, times=3))), "3 suspensions"),
    ("suspended", facts(status="SUSPENDED"), "is paused since"),
    (
        "suspended",
        facts(
            status="SUSPENDED", history=history(suspension=Suspension(since=THEN, by="o@example.com", why="a check"))
        ),
        "o@example.com paused it: a check.",
    ),
    (
        "stalled",
        facts(status="STALLED", history=history(stalled="Version not available: v2")),
        "The engine says: Version not available: v2.",
    ),
    (
        "unknown_name",
        facts(
            status="FAILED",
            name="aproval",
            names=("approval",),
            failure="OrchestratorNotRegisteredError: A 'aproval' orchestrator was not registered.",
        ),
        "Did you mean approval?",
    ),
    (
        "decided",
        facts(status="COMPLETED", ended_at=THEN, what="order 42", outcome="rejected", progress=RequestProgress()),
        "order 42 is over: Rejected.",
    ),
    (
        "asked",
        facts(
            phase="waiting",
            what="order 42",
            history=history(wait("approval_decision")),
            waiting_on=("group:managers",),
            progress=RequestProgress(approvals=(YES,), needed=2, stages=2),
        ),
        "1 of 2 approved (Manager)",
    ),
    ("finished", facts(status="COMPLETED", ended_at=THEN), "accepts whatever is raised to it now, and drops it"),
    ("finished", facts(status="TERMINATED", late=(raised(minutes=90),)), "payment_confirmed came later"),
    ("failed", facts(status="FAILED", failure="ValueError: no"), "ValueError: no"),
    (
        "deadline_was_past",
        facts(status="FAILED", history=history(wait(until=THEN - timedelta(hours=1), timed_out=True))),
        "2026-01-05 13:00:00 UTC",
    ),
    ("no_worker", facts(worker_connected=False), "/readyz"),
    (
        "misspelt",
        facts(history=history(wait(), raised=(raised("payment_confirmd"),))),
        "but payment_confirmd was raised",
    ),
    (
        "elsewhere",
        facts(
            history=history(wait()),
            elsewhere=(Elsewhere(instance_id="order-24-workflow", name="PAYMENT_confirmed", at=NOW),),
        ),
        "raised at order-24-workflow",
    ),
    (
        "elsewhere",
        facts(
            history=history(wait()),
            elsewhere=(Elsewhere(instance_id="x", name="payment_confirmed", at=NOW, unknown=True),),
        ),
        "which does not exist",
    ),
    ("taken", facts(history=history(wait(), raised=(raised(minutes=-5),))), "went to an earlier wait"),
    (
        "empty",
        facts(history=history(wait(answered_at=NOW), raised=(raised(empty=True, taken=True),))),
        "arrive as nothing",
    ),
    (
        "refused",
        facts(phase="waiting", waiting_on=("group:vps",), refused=Refusal(at=THEN, who="T/U", sentence="Not yours.")),
        "T/U was told: “Not yours.”",
    ),
    ("undelivered", facts(undelivered_since=THEN), "in the intake since"),
    (
        "retrying",
        facts(history=history(retrying=Attempts(activity="process_order", since=THEN, attempts=4, error="E: down"))),
        "4 attempts failed, the last with E: down",
    ),
    ("running", facts(history=history(running=Attempts(activity="process_order", since=THEN))), "process_order"),
    ("overdue", facts(history=history(wait(until=NOW - timedelta(hours=1)))), "1 hour ago"),
    ("overdue", facts(history=history(timers=(Timer(fires_at=NOW - timedelta(minutes=2)),))), "2 minutes ago"),
    ("overdue", facts(phase="waiting", deadline=NOW - timedelta(minutes=2)), "2 minutes ago"),
    ("no_deadline", facts(history=history(wait(until=None))), "wait for ever"),
    ("waiting", facts(history=history(wait()), waiting_on=("group:managers",)), "for @managers"),
    ("timer", facts(history=history(timers=(Timer(fires_at=NOW + timedelta(hours=1)),))), "2026-01-05 16:00:00 UTC"),
    ("nothing", facts(), "it is running"),
]


@pytest.mark.parametrize(("key", "known", "says"), CASES)
def test_each_situation_is_told_first_with_its_evidence_and_a_next_step(key: str, known: Facts, says: str) -> None:
    first = diagnose(known)[0]
    begins = BY_KEY[key].sentence.partition("{")[0] or BY_KEY[key].sentence.rpartition("}")[2]
    assert begins in first.sentence
    assert says in f"{first.sentence} {first.evidence} {first.next_step}"
    assert first.evidence
    assert first.next_step


def test_every_situation_has_a_rule_and_a_case() -> None:
    ruled = {*RULES, *WHERE_NOTHING_IS_WRONG, "nothing"}
    assert [each.key for each in SITUATIONS if each.key not in ruled] == []
    assert ruled == {key for key, _, _ in CASES} == set(BY_KEY)


@pytest.mark.parametrize(
    "quiet",
    [
        facts(history=history(wait(), raised=(raised("something_else"),))),
        facts(history=history(wait("approval_decision"), raised=(raised("approval_decision", minutes=-5),))),
        facts(history=history(wait(), running=Attempts(activity="record", since=NOW))),
        facts(history=history(wait(until=NOW - timedelta(seconds=1)))),
        facts(phase="waiting", history=history(wait()), undelivered_since=NOW),
    ],
)
def test_what_is_as_it_should_be_raises_no_alarm(quiet: Facts) -> None:
    assert "nothing is wrong" in diagnose(quiet)[0].sentence


def test_all_answers_that_fit_are_given() -> None:
    found = facts(worker_connected=False, history=history(wait(), raised=(raised("payment_confirmd"),)))
    assert [each.sentence.split()[0] for each in diagnose(found)] == ["No", "order-42-workflow"]


def test_a_decision_that_we_delivered_to_another_request_is_not_told_as_this_ones() -> None:
    other = Elsewhere(instance_id="order-43-workflow", name="approval_decision", at=THEN)
    waits = history(wait("approval_decision"))
    found = diagnose(facts(what="order 42", phase="waiting", elsewhere=(other,), history=waits))
    assert not [each for each in found if "order-43-workflow" in each.sentence]


def test_a_request_is_called_by_its_name_where_its_people_read() -> None:
    refused = Refusal(at=THEN, who="Manager", sentence="Not yours.")
    found = diagnose(facts(phase="waiting", what="order 42", refused=refused, history=history(wait())))
    assert found[0].sentence == "A decision on order 42 came in and did not count, so it still waits."


def test_an_answer_that_came_too_late_is_no_lost_event_of_a_decided_request() -> None:
    late = (Raised(name="approval_decision", at=THEN),)
    over = facts(status="COMPLETED", what="order 42", outcome="approved", phase="approved", late=late)
    assert [each.sentence for each in diagnose(over)] == ["order 42 is over: Approved."]


def test_the_page_says_the_same_as_the_answers() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
    for each in SITUATIONS:
        assert each.diagnosis(each.example).sentence in page()
