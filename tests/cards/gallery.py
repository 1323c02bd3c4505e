"""Every message and view, by name: `python -m tests.cards.gallery` prints them as JSON. For documentation and tests."""

import json
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any

from approvals import ends
from approvals.authority import Action
from approvals.decision import Approval, Reason, Verdict
from approvals.messages import message_for
from approvals.people import Person, SlackUser
from approvals.request import CardRef
from approvals.verbs import VERBS
from bot.access.denials import denial
from bot.control.diagnosis.facts import Facts, Unposted
from bot.control.diagnosis.rules import diagnose
from bot.engine.history import HistoryFacts, Suspension, Wait
from bot.slack.commands import WITHDRAWAL_TAKEN
from cards import (
    command,
    confirm_modal,
    details_modal,
    home,
    operations,
    private,
    reject_modal,
    request_card,
    thread,
)
from cards.confirm_modal import ModalOperation
from cards.operations import OperationLine
from cards.paging import PageTarget
from cards.surface import Message, View
from cards.values import Diagnosis, DryRun, HistoryLine, InstanceLine, LinePage, StatisticsShown
from records.instances import RequestProgress
from tests.cards.examples import BINDING, CARDS, DEADLINE, MANAGERS, NOW, VPS, WAITING

LINE = InstanceLine(
    instance_id=BINDING.instance_id,
    status="RUNNING",
    name="approval_workflow",
    what="order 42",
    amount=Decimal(2400),
    currency="USD",
    requester="requester@example.com",
    standing="Waiting",
    meaning="It waits for a decision on its card.",
    description="Two standing desks for the support team",
    custom_status="waiting for a manager",
    stage="1 of 2",
    approved="1 of 2",
    approved_by=("U0MANAGER",),
    waiting_on=(MANAGERS,),
    since=NOW,
    deadline=DEADLINE,
    card_link="https://example.slack.com/archives/C0APPROVALS/p1767621600000000",
)
OPERATORS_LINE = LINE.model_copy(update={"for_operators": True})
ENDED_LINE = InstanceLine(
    instance_id="order-41-workflow",
    status="COMPLETED",
    standing="Rejected",
    meaning=ends.ENDS["rejected"].meaning,
    what="order 41",
    description="A coffee machine",
    amount=Decimal(900),
    currency="USD",
    requester="requester@example.com",
    since=NOW - timedelta(days=2),
    ended=NOW,
)
FIRST_PAGE = LinePage(lines=(LINE, LINE), total=185, place="1-2 of 185", following="c")
LATER_PAGE = LinePage(
    lines=(OPERATORS_LINE, ENDED_LINE), total=185, before=2, place="3-4 of 185", following="e", previous="a"
)
HISTORY = (
    HistoryLine(at=NOW, what="asked", text="The card was posted for stage 1"),
    HistoryLine(at=NOW + timedelta(days=1), what="reminded", text="Reminder 1"),
    HistoryLine(at=NOW + timedelta(days=1, hours=2), what="approved", text="Good price", by="U0MANAGER"),
)
NUMBERS = StatisticsShown(
    since=NOW - timedelta(days=30),
    waiting=3,
    waiting_by_rule=(("manager", 2), ("vp", 1)),
    waiting_by_approver=(("S0MANAGERS", 2), ("S0VPS", 1)),
    oldest=LINE,
    decided_per_day=(("2026-01-03", 4), ("2026-01-04", 7)),
    median=timedelta(hours=2, minutes=5),
    p90=timedelta(days=1, hours=3),
    outcomes=(("approved", 30), ("rejected", 8), ("nobody answered", 2)),
    timeouts=2,
    refusals=5,
)
ANSWER = Diagnosis(
    sentence="The workflow waits for approval_decision, but approval_decison was raised.",
    evidence="The history holds an event approval_decison that nothing waits for.",
    next_step="Raise approval_decision, or use the buttons on the card.",
)
_OPERATION = OperationLine(
    operation_id="5f0c9a7d1b3e4c5d8e9f0a1b2c3d4e5f",
    action="terminate",
    state="done",
    filter="no progress for 2 h",
    reason="Ordered twice",
    total=12,
    done=11,
    failed=1,
    created_at=NOW,
)
_TARGET = reject_modal.RejectTarget(binding=BINDING, card=CardRef(channel="C0APPROVALS", ts="1767621600.000000"))
_ONE = ModalOperation(verb="terminate", instance_id=BINDING.instance_id, channel="C0APPROVALS")
_MANY = ModalOperation(verb="terminate", token="dry-run-1", channel="C0APPROVALS")
_DRY_RUN = DryRun(token="dry-run-1", total=1, lines=(LINE,), filter="no progress for 2 h")
_SEVERAL = DryRun(
    token="dry-run-3",
    total=2,
    lines=(LINE, LINE.model_copy(update={"instance_id": "order-43-workflow", "what": "order 43"})),
    filter="no progress for 2 h",
)
_YES = Approval(
    decision_id="d1", person=Person(team="T0LOCAL", user="U0MANAGER"), name="Manager", stage=0, approved=True, at=NOW,
    through="slack",
)  # fmt: skip
_KNOWN: dict[str, Any] = {"instance_id": LINE.instance_id, "now": NOW, "name": "approval_workflow", "what": "order 42"}
_WHY = {
    "waits": Facts(
        **_KNOWN, status="RUNNING", phase="waiting", waiting_on=("group:managers",),
        progress=RequestProgress(approvals=(_YES,), needed=2, stages=2),
        history=HistoryFacts(waits=(Wait(name="approval_decision", since=NOW, until=DEADLINE),)),
    ),
    "over": Facts(**_KNOWN, status="COMPLETED", ended_at=NOW, outcome="rejected", progress=RequestProgress()),
    "withdrawn": Facts(**_KNOWN, status="COMPLETED", ended_at=NOW, outcome="withdrawn", progress=RequestProgress()),
    "paused": Facts(
        **_KNOWN, status="SUSPENDED",
        history=HistoryFacts(suspension=Suspension(since=NOW, by="operator@example.com", why="a check")),
    ),
    "not posted": Facts(**_KNOWN, status="RUNNING", unposted=Unposted(channel="general", since=NOW)),
    "unknown": Facts(**_KNOWN, status=None, near=("order-24-workflow",)),
}  # fmt: skip


def messages() -> dict[str, Message]:
    """Return every message, by name."""
    return {
        **{f"card {name}": request_card.build(view) for name, view in CARDS.items()},
        "thread reminder": thread.reminder(WAITING, 1, left=timedelta(hours=4)),
        "thread reminder of who is left": thread.reminder(CARDS["counted"], 2, (_LEFT,), timedelta(minutes=30)),
        "thread counted": thread.counted(CARDS["counted"]),
        "thread advanced": thread.advanced(CARDS["advanced"]),
        "thread escalated": thread.escalated(WAITING, (VPS,), DEADLINE),
        **{f"thread {name}": thread.ended(CARDS[name]) for name in _ENDS},
        "requester asked": private.asked(WAITING, LINE.card_link),
        "requester advanced": private.advanced(CARDS["advanced"]),
        **{f"requester {name}": private.ended(CARDS[name], LINE.card_link) for name in _ENDS},
        "clicker recorded": private.recorded("order 42: "),
        "clicker recorded while paused": private.kept_while_paused("order 42: "),
        "clicker refused": private.sentence(f"order 42: {message_for(Reason.OWN_REQUEST)}"),
        "withdrawal taken": private.sentence(f"42: {WITHDRAWAL_TAKEN}"),
        "withdrawal too late": private.sentence(f"42: {message_for(Reason.REQUEST_OVER, withdrawal=True)}"),
        "role needed": private.sentence(denial(_NOT_PERMITTED, Action.PAUSE, "order 42")),
        "role needed to see": private.sentence(denial(_NOT_PERMITTED, Action.SEE_REQUEST, "order 42")),
        "guest": private.sentence(message_for(Reason.MEMBERS_ONLY)),
        "clicker went wrong": private.went_wrong("01JGV5"),
        **_commands(),
    }


_ENDS = (
    "approved", "approved by three", "rejected", "rejected_by_rule", "timed_out", "timed_out after one of two",
    "withdrawn",
    "terminated", "vanished", "failed", "stopped",
)  # fmt: skip
_NOT_PERMITTED = Verdict(allowed=False, reason=Reason.NOT_PERMITTED, rule="role")
_LEFT = SlackUser(user="U0MANAGER2")


def _commands() -> dict[str, Message]:
    return {
        "command help": command.help_text(),
        "command unknown": command.unknown_verb("aprove"),
        "command usage": command.usage("pause", "A reason is missing."),
        "command status": command.status(LINE),
        "command status for operators": command.status(OPERATORS_LINE),
        "command status ended": command.status(ENDED_LINE),
        "command list": command.overview(
            (("Waits for you", "waiting", FIRST_PAGE), ("You asked for", "mine", LinePage()))
        ),
        "command list page": command.listing("All requests", "all", LATER_PAGE),
        "command list empty": command.listing("Waits for you", "waiting", LinePage()),
        "command history": command.history(LINE.instance_id, HISTORY, following=PageTarget(verb="history", cursor="c")),
        "command why": command.why(LINE.instance_id, (ANSWER,)),
        **{f"command why {name}": command.why("42", tuple(diagnose(facts)[:2])) for name, facts in _WHY.items()},
        "command bulk": operations.listing((_OPERATION,)),
        "command bulk empty": operations.listing(()),
        "command cannot": private.sentence(
            f"order 42: {VERBS['terminate'].hindrance('COMPLETED', 'order 42', 'Rejected')}"
        ),
        "command why not": command.why(LINE.instance_id, ()),
        "command stats": command.statistics(NUMBERS),
    }


def views() -> dict[str, View]:
    """Return every modal and home tab, by name."""
    return {
        "reject": reject_modal.build(_TARGET, WAITING.what, WAITING.amount, WAITING.requester),
        "not counted": private.not_counted(f"order 42: {message_for(Reason.NOT_AN_APPROVER)}"),
        "not withdrawn": private.not_withdrawn(f"order 42: {message_for(Reason.NOT_THE_REQUESTER, withdrawal=True)}"),
        "details loading": details_modal.loading(LINE.instance_id),
        "details failed": details_modal.failed("The workflow cannot be reached just now. Try again in a minute."),
        "details": details_modal.build(details_modal.DetailsView(card=CARDS["counted"], history=HISTORY)),
        "details of a statement": details_modal.build(
            details_modal.DetailsView(card=CARDS["waiting for a statement"], history=HISTORY)
        ),
        "confirm": confirm_modal.build(_ONE, LINE, "Asked for twice"),
        "confirm bulk": confirm_modal.build_bulk(_MANY, _DRY_RUN),
        "confirm bulk of several": confirm_modal.build_bulk(_MANY, _SEVERAL),
        "confirm bulk empty": confirm_modal.build_bulk(_MANY, DryRun(token="dry-run-2", total=0)),
        "home": home.build(home.HomeView(waiting=FIRST_PAGE, asked=LATER_PAGE)),
        "home empty": home.build(home.HomeView()),
        "home unavailable": home.unavailable("The list cannot be read just now. Open this tab again in a minute."),
    }


def as_json() -> str:
    """Return the whole gallery as JSON, as Slack would get it."""
    shown = {
        "messages": {name: message.payload() for name, message in messages().items()},
        "views": {name: view.payload() for name, view in views().items()},
    }
    return json.dumps(shown, indent=2, ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(f"{as_json()}\n")
