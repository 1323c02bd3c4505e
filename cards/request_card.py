"""The card of one stage: who asks, for what, how much, why this rule, until when, and the buttons or what became of it.

A card shows buttons only while its own stage waits. It is a view: nothing is ever read back from it but the
binding in its buttons.
"""

from typing import Literal

from pydantic import Field

from approvals.decision import Approval, Outcome
from approvals.people import Principal
from approvals.request import ApprovalRequest, Binding, Route
from approvals.values import Moment, Value
from cards import parts
from cards.binding import binding_value
from cards.moments import date_token, in_utc
from cards.money import money
from cards.surface import Block, Message

APPROVE = "approval_approve"
REJECT = "approval_reject"
DETAILS = "approval_details"
EVENT_TYPE = "countersign_request"
TIMEOUT = "approval_timeout"

Standing = Literal["waiting", "advanced", "escalated", "approved", "rejected", "timed_out", "terminated", "vanished"]


class Ending(Value):
    """An end that the workflow did not decide: an operator stopped it, or its instance is gone."""

    kind: Literal["terminated", "vanished"]
    by: str | None = None
    by_name: str = ""
    reason: str = ""
    at: Moment | None = None


class CardView(Value):
    """The content of a card. `approvers` are resolved: groups by id, users by id, e-mails if Slack knows no user."""

    request: ApprovalRequest
    route: Route
    binding: Binding
    deadline: Moment
    approvers: tuple[Principal, ...]
    requester_user: str | None = Field(default=None, description="the requester's Slack user id, if they were found")
    requester_name: str = ""
    approvals: tuple[Approval, ...] = Field(default=(), description="all accepted ones, of every stage")
    reminders: int = 0
    passed: Literal["", "advanced", "escalated"] = Field(default="", description="this card's stage or round is over")
    outcome: Outcome | None = None
    outcome_sentence: str = Field(default="", description="what a Reason means, where the machine ended the request")
    ending: Ending | None = None

    @property
    def standing(self) -> Standing:
        """The form in which the card is shown."""
        if self.ending:
            return self.ending.kind
        if self.outcome is None:
            return self.passed or "waiting"
        if self.outcome.approved:
            return "approved"
        return "timed_out" if self.outcome.reason == TIMEOUT else "rejected"

    @property
    def what(self) -> str:
        """`order 42`: the request in two words, as plain text."""
        return f"{parts.typed(self.request.kind, 30)} {parts.typed(self.request.subject, 100)}"

    @property
    def amount(self) -> str:
        """The amount as people read it, empty if the request is not about money."""
        return money(self.request.amount, self.request.currency) if self.request.amount is not None else ""

    @property
    def what_and_amount(self) -> str:
        """`order 42 ($2,400.00)`, or `deploy web` alone."""
        return f"{self.what} ({self.amount})" if self.amount else self.what

    @property
    def amount_for_what(self) -> str:
        """`$2,400.00 for order 42`, or `deploy web` alone: the amount first, so that no long name pushes it out."""
        return f"{self.amount} for {self.what}" if self.amount else self.what

    @property
    def requester(self) -> str:
        """The requester as plain text."""
        return parts.typed(self.requester_name or self.request.requester, 80)

    @property
    def needed(self) -> int:
        """The number of yeses that this card's stage needs."""
        stages = self.route.stages
        return stages[self.binding.stage].needed if self.binding.stage < len(stages) else 1

    @property
    def counted(self) -> tuple[Approval, ...]:
        """The approvals of this card's stage."""
        return tuple(one for one in self.approvals if one.approved and one.stage == self.binding.stage)

    @property
    def place(self) -> str:
        """`stage 1 of 2`."""
        return f"stage {self.binding.stage + 1} of {max(len(self.route.stages), self.binding.stage + 1)}"


def build(view: CardView) -> Message:
    """Return the card as it must look now, with the metadata by which a card that was posted twice can be found."""
    blocks = [parts.header(_title(view)), _facts(view)]
    if view.request.description.strip():
        blocks.append(parts.quote(view.request.description, 700, lines=8))
    blocks += [parts.sentence(f"Why you are asked: {parts.typed(view.route.why, 600)}"), *_progress(view)]
    blocks += _buttons(view) if view.standing == "waiting" else _end(view)
    blocks.append(parts.context(parts.plain(_reference(view), 400)))
    return Message(text=parts.fallback(*summary(view)), blocks=tuple(blocks), metadata=metadata(view.binding))


def metadata(binding: Binding) -> dict[str, object]:
    """Return the message metadata that every card carries."""
    payload = {name: getattr(binding, name) for name in ("instance_id", "stage", "round", "nonce")}
    return {"event_type": EVENT_TYPE, "event_payload": payload}


_TITLES: dict[Standing, str] = {
    "waiting": "Approval needed",
    "advanced": "On to the next stage",
    "escalated": "Passed on",
    "approved": "Approved",
    "rejected": "Rejected",
    "timed_out": "Nobody answered",
    "terminated": "Stopped",
    "vanished": "No longer exists",
}


def _title(view: CardView) -> str:
    return ", ".join(filter(None, (f"{_TITLES[view.standing]}: {view.what}", view.amount)))


def summary(view: CardView) -> list[str | Block]:
    """Return the card in a sentence or two, for notifications and screen readers."""
    asked = (
        f"{view.requester} asks for {view.amount} ({view.what}). "
        if view.amount
        else f"{view.requester} asks for {view.what}. "
    )
    match view.standing:
        case "waiting":
            until = f" may approve or reject it until {in_utc(view.deadline)}. Open the card to decide."
            return [asked, *parts.people(view.approvers, 5), until]
        case "rejected":
            return [asked, *decided_by(view), f" {rejection_reason(view)}"]
        case _:
            return [asked, end_sentence(view)]


def _facts(view: CardView) -> Block:
    asker = parts.as_marked([parts.person(view.requester_user)]) if parts.is_user(view.requester_user) else ""
    until = "Decide until" if view.standing == "waiting" else "Could be decided until"
    money_of = [parts.own_field("Amount", view.amount)] if view.amount else []
    return parts.fields(
        *money_of,
        parts.own_field("Asked by", asker) if asker else parts.typed_field("Asked by", view.requester),
        parts.own_field("Who may decide", parts.as_marked(parts.people(view.approvers))),
        parts.own_field(until, date_token(view.deadline)),
    )


def _progress(view: CardView) -> list[Block]:
    several = len(view.route.stages) > 1 or view.needed > 1
    elements = [parts.words(f"{view.place.capitalize()}, {len(view.counted)} of {view.needed} approvals")]
    for index, one in enumerate(view.counted[:10]):
        elements += [parts.words(", " if index else ": "), parts.person(one.person.user, one.name)]
    return [parts.rich(*elements)] if several else []


def _reference(view: CardView) -> str:
    reminded = f" | reminded {view.reminders}x" if view.reminders else ""
    high = " | high risk" if view.route.risk == "high" else ""
    rule = parts.typed(view.route.rule, 60)
    return f"{parts.typed(view.binding.instance_id, 150)} | rule {rule} | {view.place}{reminded}{high}"


# ---- buttons --------------------------------------------------------------------------------------------------


def _buttons(view: CardView) -> list[Block]:
    value = binding_value(view.binding)
    short = view.amount_for_what
    approve = parts.button("Approve", APPROVE, value, f"Approve {short}", style="primary", confirm=_confirmation(view))
    reject = parts.button("Reject", REJECT, value, f"Reject {short}; asks for a reason", style="danger")
    details = parts.button("Details", DETAILS, value, f"Show all details of {view.what}")
    return [{"type": "actions", "block_id": "approval_buttons", "elements": [approve, reject, details]}]


def _confirmation(view: CardView) -> Block:
    """Repeat the amount and the requester."""
    text = f"{view.amount_for_what}, asked for by {view.requester}. Your approval cannot be taken back."
    return parts.confirm(f"Approve {view.amount or view.what}?", text, "Approve", "Not now", style="primary")


# ---- ends -----------------------------------------------------------------------------------------------------


def _end(view: CardView) -> list[Block]:
    by, name = actor(view)
    reason = view.ending.reason if view.ending else view.outcome.reason if view.outcome else ""
    at = view.ending.at if view.ending else view.outcome.at if view.outcome else None
    elements = [parts.words(end_sentence(view))]
    if by or name:
        elements += [parts.words(" By "), parts.person(by, name)]
    if at and view.standing != "vanished":
        elements += [parts.words(", " if by or name else " "), parts.moment(at)]
    blocks = [parts.rich(*elements)]
    if reason.strip() and (by or name) and view.standing in {"approved", "rejected", "terminated"}:
        blocks.append(parts.quote(reason))
    return [*blocks, *_comments(view)]


def _comments(view: CardView) -> list[Block]:
    """Show what other approvers wrote with their yes; the deciding one's words stand above."""
    others = [one for one in view.approvals if one.reason.strip() and one.approved][-3:]
    if view.standing not in {"approved", "advanced"} or (view.outcome and view.outcome.reason.strip()):
        return []
    return [
        parts.rich(parts.person(one.person.user, one.name), parts.words(f": {parts.typed(one.reason, 500)}"))
        for one in others
    ]


def actor(view: CardView) -> tuple[str | None, str]:
    """Return the Slack id and the name of who ended the request; both empty if nobody did."""
    if view.ending:
        return view.ending.by, view.ending.by_name
    last = view.outcome.by[-1] if view.outcome and view.outcome.by else None
    return (last.person.user, last.name) if last and view.standing != "timed_out" else (None, "")


def decided_by(view: CardView) -> list[str | Block]:
    """Return who rejected, as a sentence."""
    user, name = actor(view)
    return [parts.person(user, name), " rejected it."] if name or user else [end_sentence(view)]


def rejection_reason(view: CardView) -> str:
    """Return the reason as a plain sentence, empty if the machine rejected and the sentence says why already."""
    reason = view.outcome.reason.strip() if view.outcome and view.outcome.by else ""
    return f"Reason: {parts.typed(reason, 600)}" if reason else ""


def end_sentence(view: CardView) -> str:
    """Return what became of the request, and what to do next, as plain text."""
    if view.standing == "rejected" and view.outcome and not view.outcome.by:
        why = view.outcome_sentence or f"It could not be asked for ({view.outcome.reason})."
        return f"Rejected by the rules, not by a person. {parts.typed(why, 400)}"
    if view.standing == "approved" and view.outcome and not view.outcome.by:
        return f"Approved by rule {parts.typed(view.outcome.rule, 60)}: nobody has to be asked."
    return _ENDS[view.standing].format(deadline=in_utc(view.deadline))


_ENDS: dict[Standing, str] = {
    "waiting": "It waits for a decision.",
    "advanced": "This stage is approved. The request now waits for the next stage, which has a card of its own.",
    "escalated": "Nobody decided in time, so more people were asked. Please use the newer card.",
    "approved": "Approved.",
    "rejected": "Rejected.",
    "timed_out": (
        "Nobody answered until {deadline}. This is not a no: nobody approved and nobody rejected it. "
        "If it is still wanted, it has to be asked for again."
    ),
    "terminated": "An operator stopped this request before its end. If it is still wanted, ask for it again.",
    "vanished": (
        "The workflow behind this request no longer exists, so nothing can be decided here. "
        "If it is still wanted, it has to be asked for again."
    ),
}
