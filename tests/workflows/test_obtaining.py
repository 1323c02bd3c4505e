"""The generators driven by hand, without Dapr: what is asked for, in which order, and what becomes of failures."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from dapr.ext.workflow import TaskFailedError
from dapr.ext.workflow._durabletask.internal import protos

from activities.inputs import Judged, Routed
from approvals.decision import Decision, Judgement, Reason, Verdict
from approvals.evidence import opened, seal_judgement, sealed_input
from approvals.machine import start, step
from approvals.people import Person, UserGroup
from approvals.request import ApprovalRequest, CardRef, Route, Stage
from approvals.signing import parse_key_ring
from approvals.state import Origin, Started, State, binding_of
from workflows.approval import approval_workflow
from workflows.obtain import ASK_AGAIN

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
REQUEST = ApprovalRequest(subject="42", amount=Decimal(2400), currency="USD", requester="requester@example.com")
ROUTE = Route(
    rule="a manager",
    why="It is so.",
    policy_version="0" * 12,
    channel="approvals",
    stages=(Stage(approvers=(UserGroup(group="managers"),), within=timedelta(hours=1)),),
)
MANAGER = Person(team="T1", user="U0MANAGER")
FAILED = TaskFailedError("failed", protos.TaskFailureDetails(errorType="SlackUnavailableError", errorMessage="away"))


KEYS = parse_key_ring("k" * 40)
SEALED = sealed_input(KEYS, REQUEST, "order-42-workflow", "0" * 32)


class Context:
    """Stands in for the SDK's context: what would be scheduled is returned as it is."""

    instance_id = "order-42-workflow"

    def __init__(self) -> None:
        self.now = NOON
        self.status = ""
        self.continued: Any = None

    @property
    def current_utc_datetime(self) -> datetime:
        return self.now.replace(tzinfo=None)  # naive, as Dapr's is

    def call_activity(self, activity: Callable[..., Any], *, input: Any, retry_policy: Any) -> tuple[str, Any]:  # noqa: A002 the SDK's name
        return activity.__name__, input

    def wait_for_external_event(self, name: str, timeout: datetime | timedelta) -> tuple[str, Any]:
        return "take" if timeout == timedelta(0) else "wait", timeout

    def continue_as_new(self, value: Any, *, save_events: bool) -> None:
        assert save_events
        self.continued = value

    def set_custom_status(self, status: str) -> None:
        self.status = status


class Run:
    """One workflow, driven step by step."""

    def __init__(self, given: Any = None, workflow: Callable[..., Any] = approval_workflow) -> None:
        self.ctx = Context()
        self.generator = workflow(self.ctx, given or SEALED)
        self.asked: list[str] = []
        self.queued: list[Any] = []
        self.output: Any = None
        self.what, self.input = "", None
        self._take(next(self.generator))

    def _take(self, yielded: tuple[str, Any]) -> None:
        self.what, self.input = yielded
        if self.what == "take":
            self.answer(self.queued.pop(0) if self.queued else TimeoutError())
        else:
            self.asked.append(self.what)

    def answer(self, value: Any = None) -> None:
        """Give the result of what was asked for; an exception is thrown in."""
        try:
            error = isinstance(value, Exception)
            self._take(self.generator.throw(value) if error else self.generator.send(value))
        except StopIteration as end:
            self.output = end.value

    def until(self, what: str) -> None:
        """Answer everything else as usual until this is asked for."""
        while self.what != what and self.output is None:
            self.answer(self.usual())
        assert self.what == what

    def usual(self) -> Any:
        """Return what an activity answers if all is well."""
        if self.what == "route_request":
            first = routed(origin="door" if self.input.sealed else "workflow")
            return _dumped(Routed(state=first, evidence=opened(KEYS, first)))
        return _dumped(CardRef(channel="C1", ts="1.1")) if self.what == "request_approval" else None

    def end(self) -> None:
        """Answer everything as usual until it ends."""
        while self.output is None:
            self.answer(self.usual())


def routed(route: Route = ROUTE, origin: Origin = "door") -> State:
    return start(Context.instance_id, REQUEST, route, NOON, origin=origin)


WAITING, _ = step(routed(), Started(at=NOON))


def _dumped(value: Any) -> Any:
    return value.model_dump(mode="json")


def judged(*, approved: bool, state: State = WAITING) -> Any:
    decision = Decision(
        id="d1", binding=binding_of(state), person=MANAGER, approved=approved, reason="So", through="slack", at=NOON
    )
    found = Judgement(verdict=Verdict(allowed=True, reason=Reason.ALLOWED, rule="r"), decision=decision)
    return _dumped(Judged(judgements=(seal_judgement(KEYS, found, state, NOON),)))


JUNK = ["{", "[]", "null", '{"approved": 1}', None, '{"x": 1}']
MAYBE = '{"decision": {}, "key_id": "k1", "mac": "0"}'


def test_a_decision_is_judged_recorded_announced_and_then_processed() -> None:
    run = Run()
    run.until("wait")
    assert run.asked == ["route_request", "request_approval", "wait"]
    assert run.input == NOON + timedelta(hours=1)
    run.answer(MAYBE)
    assert (run.input.candidates, run.input.malformed) == ((MAYBE,), 0)
    run.answer(judged(approved=True))
    run.until("process_order")
    assert run.asked[3:] == ["judge_decision", "record", "process_order"]
    run.answer({})
    assert run.output == {
        "status": "completed",
        "outcome": "approved",
        "approvers": ["T1/U0MANAGER"],
        "rule": "a manager",
    }


def test_a_rejection_processes_nothing() -> None:
    run = Run()
    run.until("wait")
    run.answer(MAYBE)
    run.answer(judged(approved=False))
    run.end()
    assert "process_order" not in run.asked
    assert run.output["rejected_by"] == "T1/U0MANAGER"
    assert (run.output["status"], run.output["reason"], run.output["outcome"]) == ("rejected", "So", "rejected")


def test_nobody_answering_ends_at_the_absolute_deadline() -> None:
    run = Run()
    run.until("wait")
    run.ctx.now = NOON + timedelta(hours=1)
    run.answer(TimeoutError())
    run.end()
    assert run.output["outcome"] == "timed_out"
    assert (run.output["status"], run.output["reason"]) == ("rejected", "approval_timeout")


@pytest.mark.parametrize("result", [FAILED, None, "yes", {"judgements": [{"verdict": "yes"}]}, {"unreadable": True}])
def test_a_judgement_that_fails_or_cannot_be_read_is_no_yes_and_the_wait_goes_on(result: Any) -> None:
    run = Run()
    run.until("wait")
    run.answer(MAYBE)
    run.answer(result)
    assert run.what == "wait"


def test_all_events_that_have_come_are_judged_in_one_activity_and_junk_is_only_counted() -> None:
    run = Run()
    run.until("wait")
    run.queued = [*JUNK, MAYBE, '{"approved": true}', *JUNK]
    run.answer("junk")
    assert run.what == "judge_decision"
    assert run.input.candidates == (MAYBE, '{"approved": true}')
    assert run.input.malformed == 2 * len(JUNK) + 1
    run.answer(_dumped(Judged(dropped=14)))
    assert (run.what, run.ctx.continued) == ("wait", None)


def test_after_a_hundred_dropped_events_the_workflow_goes_on_with_a_new_history_and_the_events_that_are_left() -> None:
    run = Run()
    run.until("wait")
    run.queued = ["junk"] * 120
    run.answer("junk")
    assert run.input.malformed == 100
    run.answer(_dumped(Judged(dropped=100)))
    assert len(run.queued) == 21
    continued = run.ctx.continued
    assert State.model_validate(continued["state"]).cards == (CardRef(channel="C1", ts="1.1"),)
    again = Run(continued)
    assert (again.what, again.input) == ("wait", NOON + timedelta(hours=1))
    again.answer(MAYBE)
    again.answer(judged(approved=True))
    again.until("process_order")


def test_large_events_are_bounded_by_their_characters() -> None:
    run = Run()
    run.until("wait")
    run.queued = ["x" * 64 * 1024] * 8
    run.answer("junk")
    run.answer(_dumped(Judged(dropped=9)))
    assert run.ctx.continued is not None


def test_a_card_that_slack_does_not_take_raises_an_alarm_and_is_posted_later() -> None:
    run = Run()
    run.until("request_approval")
    run.answer(FAILED)
    assert run.what == "report_unposted"
    run.answer()
    assert (run.what, run.input) == ("wait", NOON + ASK_AGAIN)
    assert run.ctx.status == "waiting, and Slack has not taken the card"
    run.ctx.now = NOON + ASK_AGAIN
    run.answer(TimeoutError())
    assert run.what == "request_approval"
    run.answer(run.usual())
    assert (run.what, run.input) == ("wait", NOON + timedelta(hours=1))
    assert "Slack" not in run.ctx.status


def test_what_is_recorded_bears_the_workflows_clock() -> None:
    run = Run()
    run.until("wait")
    run.answer(MAYBE)
    run.ctx.now = NOON + timedelta(minutes=3)
    run.answer(judged(approved=True))
    assert [event.at for event in run.input.events] == [run.ctx.now]


def test_evidence_is_about_one_kilobyte_and_holds_no_content() -> None:
    run = Run()
    run.until("wait")
    run.answer(MAYBE)
    assert len(run.input.evidence.model_dump_json()) < 500
    run.answer(judged(approved=True))
    run.until("process_order")
    text = run.input.evidence.model_dump_json()
    assert len(text) < 1800
    assert REQUEST.requester not in text


def test_what_is_recorded_in_vain_changes_nothing_and_the_wait_goes_on() -> None:
    run = Run()
    run.until("wait")
    run.answer(MAYBE)
    run.answer(judged(approved=True))
    assert run.what == "record"
    run.answer(FAILED)
    assert run.what == "wait"
    run.answer(MAYBE)
    assert run.input.evidence.events == ()


def test_what_no_door_has_started_has_no_effect_of_ours() -> None:
    run = Run(_dumped(REQUEST))
    run.until("wait")
    run.answer(MAYBE)
    run.answer(judged(approved=True))
    run.end()
    assert run.output["status"] == "approved"
    assert not {"process_order", "call_back"} & set(run.asked)


def test_a_start_that_is_refused_asks_nobody_and_says_why() -> None:
    run = Run()
    run.answer(_dumped(Routed(refused="It bears a seal of nobody.")))
    assert run.output["reason"] == "It bears a seal of nobody."


def test_what_is_approved_unasked_is_processed_after_its_route_was_recorded() -> None:
    run = Run()
    first = routed(ROUTE.model_copy(update={"automatic": True, "stages": ()}))
    run.answer(_dumped(Routed(state=first, evidence=opened(KEYS, first))))
    run.end()
    assert run.asked == ["route_request", "process_order"]
