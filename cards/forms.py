"""Read a modal's submission: typed text by its block and action, errors by field."""

from collections.abc import Mapping
from typing import Any

from approvals.values import Value

METADATA_LIMIT = 3000


class FieldErrors(Value):
    """The errors of a submission, by block id. The modal stays open and shows each below its field."""

    errors: dict[str, str]

    def response(self) -> dict[str, Any]:
        """Return the answer to view_submission that keeps the modal open."""
        return {"response_action": "errors", "errors": dict(self.errors)}


def typed_value(view: Mapping[str, Any], block_id: str, action_id: str) -> str:
    """Return what stands in a text input, stripped; empty if nothing was typed or the state looks otherwise."""
    node: Any = view
    for key in ("state", "values", block_id, action_id, "value"):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node.strip() if isinstance(node, str) else ""
