"""People, requests and routes for the domain's tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from approvals.decision import Decision, Judgement, Reason, Submission, Verdict, Withdrawal
from approvals.machine import (
    DecisionJudged,
    Effect,
    Started,
    State,
    binding_of,
    start,
    step,
)
from approvals.people import Person, SlackUser
from approvals.request import ApprovalRequest, Binding, Route, Stage

NOW = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
OK = Verdict(allowed=True, reason=Reason.ALLOWED, rule="manager")
ANN, BOB, REQUESTER = (Person(team="T1", user=f"U{name}") for name in ("ANN", "BOB", "REQ"))
PEOPLE = (ANN, BOB, REQUESTER)


class Story:
    """Builds values, each the usual one unless a test says otherwise."""

    now, hour, ok, ann, bob, requester = NOW, HOUR, OK, ANN, BOB, REQUESTER

    @staticmethod
    def request(**fields: Any) -> ApprovalRequest:
        return ApprovalRequest(
            **{"subject": "42", "amount": "2400", "currency": "USD", "requester": "req@example.com", **fields}
        )

    @staticmethod
    def stage(**fields: Any) -> Stage:
        approvers = tuple(SlackUser(user=person.user) for person in PEOPLE)
        return Stage(**{"approvers": approvers, "within": 5 * HOUR, **fields})

    def route(self, *stages: Any, **fields: Any) -> Route:
        return Route(
            **{"rule": "manager", "why": "w", "policy_version": "0" * 12, "stages": stages or (self.stage(),), **fields}
        )

    def new(self, route: Route | None = None, **fields: Any) -> State:
        return start(
            "order-42-workflow",
            self.request(),
            route or self.route(),
            NOW,
            **{"requester": REQUESTER, "requester_emails": ("req@example.com",), **fields},
        )

    def waiting(self, route: Route | None = None, **fields: Any) -> State:
        return step(self.new(route, **fields), Started(at=NOW))[0]

    @staticmethod
    def decision(state: State, person: Person = ANN, **fields: Any) -> Decision:
        known = {
            "id": f"d-{person.user}",
            "binding": binding_of(state),
            "person": person,
            "approved": True,
            "through": "slack",
            "at": NOW,
        }
        return Decision(**{**known, **fields})

    @staticmethod
    def judged(decision: Decision, verdict: Verdict = OK, at: datetime = NOW, **fields: Any) -> DecisionJudged:
        emails = (f"{decision.person.user}@example.com".lower(),)
        judgement = Judgement(**{"verdict": verdict, "decision": decision, "emails": emails, **fields})
        return DecisionJudged(judgement=judgement, at=at)

    @staticmethod
    def withdrawal(*, binding: Binding, person: Person = REQUESTER, **fields: Any) -> Withdrawal:
        known = {"id": f"w-{person.user}", "binding": binding, "person": person, "through": "slack", "at": NOW}
        return Withdrawal(**{**known, "reason": "not needed", **fields})

    @staticmethod
    def submitted(submission: Submission, verdict: Verdict = OK, at: datetime = NOW) -> DecisionJudged:
        emails = (f"{submission.person.user}@example.com".lower(),)
        return DecisionJudged(judgement=Judgement(verdict=verdict, submission=submission, emails=emails), at=at)

    def withdraw(self, state: State, person: Person = REQUESTER, **fields: Any) -> tuple[State, tuple[Effect, ...]]:
        withdrawal = self.withdrawal(binding=binding_of(state), person=person, **fields)
        return step(state, self.submitted(withdrawal))

    def decide(self, state: State, person: Person = ANN, **fields: Any) -> tuple[State, tuple[Effect, ...]]:
        return step(state, self.judged(self.decision(state, person, **fields)))
