"""The modal that asks for a rejection's reason: its view, and the parsing of its submission."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from approvals.request import Binding, CardRef
from approvals.values import Value
from cards import parts
from cards.binding import UnreadableCardError
from cards.forms import ACTION, METADATA_LIMIT, FieldErrors, typed_value
from cards.surface import View
from cards.text import clean

CALLBACK = "approval_reject_reason"
BLOCK = "reject_reason"
LONGEST_REJECTION = 1000


class RejectTarget(Value):
    """The card that a rejection is for. It is kept in private_metadata: no secret, and no proof of who rejects."""

    binding: Binding
    card: CardRef


class Rejection(Value):
    """A readable submission: what is rejected, and why."""

    target: RejectTarget
    reason: str


def build(target: RejectTarget, what: str, amount: str, requester: str) -> View:
    """Return the modal. The texts are CardView's, repeated so that nobody rejects another request than they mean."""
    rejected = f"{amount} for {parts.typed(what, 140)}" if amount else parts.typed(what, 140)
    about = f"You reject {rejected}, asked for by {parts.typed(requester)}."
    reason = {
        "type": "plain_text_input",
        "action_id": ACTION,
        "multiline": True,
        "min_length": 1,
        "max_length": LONGEST_REJECTION,
        "focus_on_load": True,
        "placeholder": parts.plain("What should change, or why not?", 150),
    }
    field = {
        "type": "input",
        "block_id": BLOCK,
        "label": parts.plain("Reason", 200),
        "hint": parts.plain("The requester and the approval channel see it. It cannot be taken back.", 200),
        "element": reason,
    }
    return View(
        title="Reject request",
        submit="Reject",
        close="Cancel",
        callback_id=CALLBACK,
        private_metadata=target.model_dump_json(),
        blocks=(parts.sentence(about), field),
    )


def parse(view: Mapping[str, Any]) -> Rejection | FieldErrors:
    """Read the `view` of a view_submission. Raises UnreadableCardError if the modal is none of ours."""
    target = _target(str(view.get("private_metadata") or ""))
    reason = clean(typed_value(view, BLOCK, ACTION))
    if not reason:
        return FieldErrors(errors={BLOCK: "Please say in a sentence why: the requester needs it to go on."})
    if len(reason) > LONGEST_REJECTION:
        return FieldErrors(
            errors={BLOCK: f"Please use at most {LONGEST_REJECTION} characters; these are {len(reason)}."}
        )
    return Rejection(target=target, reason=reason)


def _target(metadata: str) -> RejectTarget:
    try:
        if len(metadata) > METADATA_LIMIT:
            raise UnreadableCardError("This form cannot be read: it is too long. Nothing was decided.")
        return RejectTarget.model_validate_json(metadata)
    except ValidationError as error:
        raise UnreadableCardError(
            "This form cannot be read, so nothing was decided. Close it and click Reject on the card again."
        ) from error
