"""Read a modal's submission: typed text by its block and action, errors by field."""

from collections.abc import Mapping
from typing import Any

from approvals.values import Value

METADATA_LIMIT = 3000
ACTION = "reason"
"""The action id of the text input for a reason."""


class FieldErrors(Value):
    """The errors of a submission, by block id. The modal stays open and shows each below its field."""

    errors: dict[str, str]

    def response(self) -> dict[str, Any]:
        """Return the answer to view_submission that keeps the modal open."""
        return {"response_action": "errors", "errors": dict(self.errors)}


def typed_value(view: Mapping[str, Any], block_id: str, action_id: str) -> str:
    """Return a text input's value, stripped; empty if it has none or the state has another form."""
    found = _state_of(view, block_id, action_id, "value")
    return found.strip() if isinstance(found, str) else ""


def chosen_values(view: Mapping[str, Any], block_id: str, action_id: str) -> tuple[str, ...]:
    """Return the values that are chosen in a menu of many; none if the state looks otherwise."""
    found = _state_of(view, block_id, action_id, "selected_options")
    options = found if isinstance(found, list) else []
    return tuple(str(each["value"]) for each in options if isinstance(each, Mapping) and each.get("value"))


def _state_of(view: Mapping[str, Any], block_id: str, action_id: str, name: str) -> Any:
    node: Any = view
    for key in ("state", "values", block_id, action_id, name):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node
