"""The doctor's look at evidence: what was done without what must come before it, and starts that no door signed."""

from collections import deque

from approvals.audit_actions import AuditAction
from bot.engine.client import Engine, EngineRefusedError
from records import audit, unproven
from records.database import Database

MOST_EVIDENCE_SHOWN = 500
"""Findings of one kind: the newest."""


async def unproven_entries(database: Database) -> tuple[unproven.Unproven, ...]:
    """Return the newest audit entries that lack what has to stand before them."""
    newest: deque[unproven.Unproven] = deque(maxlen=MOST_EVIDENCE_SHOWN)
    async for each in unproven.find(database):
        newest.append(each)
    return tuple(newest)


async def unsigned_starts(database: Database, engine: Engine, own: tuple[str, ...]) -> tuple[str, ...]:
    """Return the running requests of the workflows in `own` that none of the app's doors has started.

    A workflow of another name that asks in its own instance does so by design. Raises: EngineUnavailableError.
    """
    async with database.read() as connection:
        entries = await audit.page(
            connection, audit.EntryFilter(action=AuditAction.START_UNSIGNED), limit=MOST_EVIDENCE_SHOWN
        )
    found = []
    for instance_id in dict.fromkeys(entry.instance_id for entry in entries):
        try:
            state = await engine.state(instance_id, payloads=False)
        except EngineRefusedError:
            continue  # an id that this engine does not take
        if state is not None and not state.finished and state.name in own:
            found.append(instance_id)
    return tuple(found)
