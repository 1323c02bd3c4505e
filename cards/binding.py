"""The value of a button and a modal's private_metadata: a binding, and its card's place.

It holds no secret and proves nothing: Slack's signature names the person who clicked, and the workflow compares the
binding with its own state (law: a decision is bound to what was shown).
"""

from pydantic import ValidationError

from approvals.request import Binding
from cards.text import length

VALUE_LIMIT = 2000


class UnreadableCardError(ValueError):
    """The value of a button or modal is none of ours. The message can be shown to the person who clicked."""


def binding_value(binding: Binding) -> str:
    """Return a binding as compact JSON for a button's value. Raises ValueError if it is over Slack's 2000."""
    value = binding.model_dump_json()
    if length(value) > VALUE_LIMIT:
        raise ValueError(f"The binding of {binding.instance_id[:80]} has {length(value)} of {VALUE_LIMIT} characters.")
    return value


def parse_binding(value: str | None) -> Binding:
    """Read a button's value. Raises UnreadableCardError, which says what to do next."""
    if not value or len(value) > VALUE_LIMIT:
        raise UnreadableCardError(_unreadable("it carries no request"))
    try:
        return Binding.model_validate_json(value)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"]) or "its content"
        raise UnreadableCardError(_unreadable(f"{field} is not as it should be")) from error


def _unreadable(why: str) -> str:
    return (
        f"This button cannot be read: {why}. Nothing was decided. "
        "Ask for the request's status with /approval status and use the newest card."
    )
