"""One example of every face of a card: for the gallery, the documentation and the tests. Invents no people."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from approvals.decision import Approval, Outcome
from approvals.people import EmailAddress, Person, UserGroup
from approvals.request import ApprovalRequest, Binding, Route, Stage
from cards.card_view import TIMEOUT, CardView, Ending

NOW = datetime(2026, 1, 5, 14, 0, tzinfo=UTC)
DEADLINE = NOW + timedelta(days=3)
MANAGERS = UserGroup(group="S0MANAGERS")
VPS = UserGroup(group="S0VPS")

REQUEST = ApprovalRequest(
    subject="42",
    amount=Decimal(2400),
    currency="USD",
    description="Two standing desks for the support team",
    requester="requester@example.com",
    details={"supplier": "Desks & More", "cost centre": "support"},
)
ROUTE = Route(
    rule="manager",
    why="The amount is from 500 to 5000 USD, so a manager must approve within 3 days.",
    policy_version="0123456789ab",
    stages=(
        Stage(approvers=(MANAGERS,), needed=2, within=timedelta(days=3), remind=(timedelta(days=1),)),
        Stage(approvers=(VPS,), within=timedelta(days=5)),
    ),
    channel="C0APPROVALS",
)
BINDING = Binding(instance_id="order-42-workflow", run=NOW, stage=0, digest="d" * 64, nonce="e" * 32)
MANAGER = Person(team="T0LOCAL", user="U0MANAGER")
MANAGER2 = Person(team="T0LOCAL", user="U0MANAGER2")
VP = Person(team="T0LOCAL", user="U0VP")


SQL = "DELETE FROM sessions\n WHERE last_seen < now() - interval '90 days'\n   AND account_id IS NULL"
LINKS = tuple(f"https://example.slack.com/archives/C0APPROVALS/p176762160000000{number}" for number in (0, 1))


def approval(*, approved: bool = True, reason: str = "", stage: int = 0, who: Person = MANAGER) -> Approval:
    """Return one accepted decision."""
    return Approval(
        decision_id=f"a{stage}{who.user}",
        person=who,
        name=who.user.removeprefix("U0").capitalize(),
        stage=stage,
        approved=approved,
        reason=reason,
        at=NOW,
        through="slack",
    )


def outcome(*, approved: bool, reason: str = "", by: tuple[Approval, ...] = ()) -> Outcome:
    """Return a request's end."""
    return Outcome(
        approved=approved, reason=reason, rule="manager", policy_version="0123456789ab", digest="d" * 64, by=by, at=NOW
    )


WAITING = CardView(
    request=REQUEST,
    route=ROUTE,
    binding=BINDING,
    deadline=DEADLINE,
    approvers=(MANAGERS, EmailAddress(email="vp@example.com")),
    requester_user="U0REQUESTER",
    requester_name="Requester",
)
_YES, _NO = approval(reason="Good price"), approval(approved=False, reason="Too expensive this quarter")

_ALL = (_YES, approval(who=MANAGER2), approval(stage=1, who=VP, reason="Fits the plan"))
_STAGE_2 = BINDING.model_copy(update={"stage": 1})

CARDS: dict[str, CardView] = {
    "waiting": WAITING,
    "counted": WAITING.model_copy(update={"approvals": (approval(),), "reminders": 1}),
    "advanced": WAITING.model_copy(update={"approvals": (_YES,), "passed": "advanced"}),
    "escalated": WAITING.model_copy(update={"passed": "escalated", "reminders": 2}),
    "approved": WAITING.model_copy(update={"outcome": outcome(approved=True, by=(_YES,)), "approvals": (_YES,)}),
    "approved_by_rule": WAITING.model_copy(update={"outcome": outcome(approved=True)}),
    "rejected": WAITING.model_copy(update={"outcome": outcome(approved=False, reason=_NO.reason, by=(_NO,))}),
    "rejected_by_rule": WAITING.model_copy(
        update={
            "outcome": outcome(approved=False, reason="no_approvers"),
            "outcome_sentence": "Nobody is in the groups that may approve this.",
        }
    ),
    "withdrawn": WAITING.model_copy(
        update={"outcome": outcome(approved=False, reason="No longer needed").model_copy(update={"end": "withdrawn"})}
    ),
    "timed_out": WAITING.model_copy(update={"outcome": outcome(approved=False, reason=TIMEOUT), "reminders": 2}),
    "terminated": WAITING.model_copy(
        update={"ending": Ending(kind="terminated", by="U0OPERATOR", reason="Asked for twice", at=NOW)}
    ),
    "waiting for a statement": WAITING.model_copy(
        update={
            "request": REQUEST.model_copy(
                update={"kind": "statement", "subject": "7", "details": {"database": "sessions", "statement": SQL}}
            )
        }
    ),
    "waiting in stage 2": WAITING.model_copy(
        update={"binding": _STAGE_2, "approvers": (VPS,), "approvals": _ALL[:2], "links": LINKS}
    ),
    "approved by three": WAITING.model_copy(
        update={
            "binding": _STAGE_2,
            "approvals": _ALL,
            "links": LINKS,
            "outcome": outcome(approved=True, reason="Fits the plan", by=_ALL),
        }
    ),
    "timed_out after one of two": WAITING.model_copy(
        update={"approvals": (_YES,), "outcome": outcome(approved=False, reason=TIMEOUT, by=(_YES,))}
    ),
    "vanished": WAITING.model_copy(update={"ending": Ending(kind="vanished", at=NOW)}),
    "failed": WAITING.model_copy(update={"ending": Ending(kind="failed", at=NOW)}),
    "stopped": WAITING.model_copy(update={"ending": Ending(kind="stopped", reason="by another tool", at=NOW)}),
}
