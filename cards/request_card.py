"""The card of one stage: who asks, for what, how much, why this rule, until when, and the buttons or what became of it.

A card shows buttons only while its own stage waits. It is a view: nothing is ever read back from it but the
binding in its buttons.
"""

from approvals.request import Binding
from cards import outcome, parts, thread
from cards.binding import binding_value
from cards.card_view import CardView, Standing
from cards.moments import date_token, in_utc
from cards.surface import Block, Message
from cards.text import clean, cut, length

APPROVE = "approval_approve"
REJECT = "approval_reject"
DETAILS = "approval_details"
MENU = "approval_menu"
WITHDRAW = "withdraw"
"""The option of the menu that takes the request back. The binding stands in the buttons beside it."""

EVENT_TYPE = "countersign_request"

MOST_DETAILS, LONGEST_DETAIL, ALL_DETAILS, DETAIL_LINES = 8, 600, 1500, 12
"""The part of a request's details that the card shows; the rest is in the modal behind Details."""


def build(view: CardView) -> Message:
    """Return the card as it must look now, with the metadata by which a card that was posted twice can be found."""
    waits = view.standing == "waiting"
    blocks = [parts.header(_title(view)), _facts(view), *_origin(view), *_words_of_requester(view)]
    blocks += [parts.sentence(f"Why you are asked: {parts.typed(view.route.why, 600)}")] if waits else []
    blocks += [*outcome.earlier(view), *_progress(view), *_pause(view), *_buttons(view)] if waits else [_end(view)]
    text = parts.fallback(*summary(view))
    return Message(text=text, blocks=(*blocks, *_small_print(view)), metadata=metadata(view.binding))


def purged(what: str, end: str) -> Message:
    """Return the card of a request whose content is purged: without buttons, names and amounts."""
    text = f"{what[:1].upper()}{what[1:]}: {end or 'Over'}. Its history is purged; its audit entries stay."
    return parts.paragraph(parts.words(text))


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
    "withdrawn": "Withdrawn",
    "terminated": "Stopped",
    "vanished": "No longer exists",
    "failed": "Failed",
    "stopped": "Stopped elsewhere",
}


def _title(view: CardView) -> str:
    title = "Paused" if view.paused and view.standing == "waiting" else _TITLES[view.standing]
    if view.standing == "timed_out" and view.outcome and view.outcome.by:
        title = "Too few answered"
    return ", ".join(filter(None, (f"{title}: {view.what}", view.amount)))


def summary(view: CardView) -> list[str | Block]:
    """Return the card in a sentence or two, for notifications and screen readers."""
    wanted = f"{view.amount} ({view.what})" if view.amount else view.what
    asker = view.requester if view.from_a_door else f"A workflow, in the name of {view.requester},"
    asked = f"{asker} asks for {wanted}. "
    if view.standing != "waiting":
        return [asked, *outcome.ended(view)]
    until = f" may approve or reject it until {in_utc(view.deadline)}. Open the card to decide."
    return [asked, *parts.people(view.approvers, 5), until]


ASKED_BY_A_WORKFLOW = (
    "Asked by a workflow: nobody signed in to ask for it, so the requester is what the workflow says. Ask them if you "
    "do not know this process."
)


def _origin(view: CardView) -> list[Block]:
    """Say that no known person has asked: every program that reaches the sidecar's port can start a workflow."""
    return [] if view.from_a_door else [parts.sentence(ASKED_BY_A_WORKFLOW)]


def _facts(view: CardView) -> Block:
    asker = parts.as_marked([parts.person(view.requester_user)]) if parts.is_user(view.requester_user) else ""
    fields = [parts.typed_field("Kind", view.route.title)] if view.route.title else []
    fields += [parts.own_field("Amount", view.amount)] if view.amount else []
    label = "Asked by" if view.from_a_door else "Asked in the name of"
    fields.append(parts.own_field(label, asker) if asker else parts.typed_field(label, view.requester))
    if view.standing == "waiting":
        fields.append(parts.own_field("Who may decide", parts.as_marked(parts.deciders(view.approvers, view.seats))))
        fields.append(parts.own_field("Decide until", date_token(view.deadline)))
    return parts.fields(*fields)


def _words_of_requester(view: CardView) -> list[Block]:
    """Return description and details, marked as the requester's: an approver must not take them for checked facts."""
    blocks: list[Block] = []
    if view.request.description.strip():
        blocks.append(parts.quote(view.request.description, 700, lines=8))
    details, folded = _details(view)
    blocks += details
    if blocks:
        blocks.insert(0, parts.context(parts.plain("In the requester's own words:", 100)))
    if folded:
        blocks.append(parts.context(parts.plain(f"{folded} The whole of it is behind Details.", 200)))
    return blocks


def _details(view: CardView) -> tuple[list[Block], str]:
    blocks: list[Block] = []
    room, cut_short, given = ALL_DETAILS, False, view.given
    for name, value in given[:MOST_DETAILS]:
        lines = clean(value).split("\n")
        text = cut("\n".join(lines[:DETAIL_LINES]), min(LONGEST_DETAIL, room))
        cut_short |= len(lines) > DETAIL_LINES or text != "\n".join(lines)
        blocks.append(parts.named(name, text))
        room -= length(text)
        if room < MOST_DETAILS:
            break
    left = len(given) - len(blocks)
    if left:
        return blocks, f"{left} more detail{'s' * (left != 1)} not shown here."
    return blocks, "Long details are cut here." if cut_short else ""


def _progress(view: CardView) -> list[Block]:
    if len(view.route.stages) <= 1 and view.needed <= 1:
        return []
    place = f"{view.place.capitalize()}, " if len(view.route.stages) > 1 else ""
    text = f"{place}{view.so_far}"
    return [parts.rich(parts.words(text[:1].upper() + text[1:], bold=True), *outcome.decisions(view, view.counted))]


def _pause(view: CardView) -> list[Block]:
    return [parts.rich(*thread.pause_elements(view.paused))] if view.paused else []


def _small_print(view: CardView) -> list[Block]:
    if view.standing != "waiting":
        return []
    told = ["High risk: every look-up is made anew."] if view.route.risk == "high" else []
    told += [f"Reminded {view.reminders} time{'s' * (view.reminders != 1)}."] if view.reminders else []
    return [parts.context(parts.plain(" ".join(told), 200))] if told else []


# ---- buttons --------------------------------------------------------------------------------------------------


def _buttons(view: CardView) -> list[Block]:
    value = binding_value(view.binding)
    short = view.amount_for_what
    approve = parts.button("Approve", APPROVE, value, f"Approve {short}", style="primary", confirm=_confirmation(view))
    reject = parts.button("Reject", REJECT, value, f"Reject {short}; asks for a reason", style="danger")
    details = parts.button("Details", DETAILS, value, f"Show all details of {view.what}")
    return [{"type": "actions", "block_id": "approval_buttons", "elements": [approve, reject, details, _menu(view)]}]


def _menu(view: CardView) -> Block:
    """Return what few need: the person who asked takes it back."""
    text = f"Only {view.requester}, who asked for it, can do this. Nobody decides it then; it has to be asked again."
    option = {"text": parts.plain("Withdraw", 75), "value": WITHDRAW}
    confirm = parts.confirm(f"Withdraw {view.what}?", text, "Withdraw", "Keep it", style="danger")
    return {"type": "overflow", "action_id": MENU, "options": [option], "confirm": confirm}


def _confirmation(view: CardView) -> Block:
    text = f"{view.amount_for_what}, asked for by {view.requester}. Your approval cannot be taken back."
    return parts.confirm(f"Approve {view.amount or view.what}?", text, "Approve", "Not now", style="primary")


def _end(view: CardView) -> Block:
    return parts.rich(*outcome.ended(view))
