"""The pause of a request, by whom and why, from the audit. A pause by another tool is not in it."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.audit_actions import AuditAction
from cards.card_view import Paused
from records import audit

PAUSES: Final = frozenset({AuditAction.WORKFLOW_PAUSE, AuditAction.WORKFLOW_RESUME})


async def paused_by(connection: AsyncConnection, instance_id: str, *, resumed: bool = False) -> Paused:
    """Return the audit's last actor if they paused the instance (`resumed`: resumed it), else None."""
    entries = await audit.of_instance(connection, instance_id)
    last = next((entry for entry in reversed(entries) if entry.action in PAUSES), None)
    wanted = AuditAction.WORKFLOW_RESUME if resumed else AuditAction.WORKFLOW_PAUSE
    if last is None or last.action != wanted:
        return Paused()
    _, _, user = last.actor.partition("/")
    return Paused(by=user or None, by_name=str(last.data.get("email") or last.actor), reason=last.reason)
