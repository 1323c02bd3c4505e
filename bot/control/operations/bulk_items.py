"""One instance of a bulk operation: the call, guards and audit of a single one; a failure is a result.

An operation that was interrupted comes to some instances twice: what it did the first time counts as its own.
"""

from activities.bulk import ItemResult
from approvals.audit_actions import AuditAction
from approvals.verbs import VERBS
from bot.access.authenticating import Initiator
from bot.access.refusals import Kind, Refused
from bot.control.operations.calls import Done, Given
from bot.control.operations.single import Operations
from bot.engine.client import EngineRefusedError, EngineUnavailableError
from records import audit, bulk
from records.database import Database
from records.errors import RecordsError

BEFORE = "This operation had done it before it was interrupted."
ENTRIES_LOOKED_AT = 50
"""An instance's newest audit entries that are searched for the operation's own."""


class BulkItems:
    """Carries out operations on single instances."""

    def __init__(self, operations: Operations, database: Database) -> None:
        self._operations = operations
        self._database = database

    async def act(self, operation: bulk.Operation, instance_id: str) -> ItemResult:
        """Carry the operation out on one instance. Authorized at its start; only that call writes its row."""
        try:
            done = await self._do(operation, instance_id)
            ours = not done.changed and await self._did(operation, instance_id)
        except Refused as refusal:
            return result_of(refusal)
        except (EngineUnavailableError, EngineRefusedError, RecordsError) as error:
            return ItemResult(state="failed", result=f"It did not work: {error}. Continue the operation to try again.")
        if ours:
            return ItemResult(state="done", result=BEFORE)
        return ItemResult(state="done" if done.changed else "skipped", result=done.sentence)

    async def _did(self, operation: bulk.Operation, instance_id: str) -> bool:
        """Say whether the newest call of this kind was the operation's own: each is audited before it is made."""
        call, wanted = (
            AuditAction(f"workflow.{VERBS[operation.action].action}"),
            audit.EntryFilter(instance_id=instance_id),
        )
        async with self._database.read() as connection:
            entries = await audit.page(connection, wanted, limit=ENTRIES_LOOKED_AT)
        newest = next((each for each in entries if each.action in {call, f"{call}_failed"}), None)
        return newest is not None and newest.action == call and newest.reason.endswith(_mark(operation))

    async def _do(self, operation: bulk.Operation, instance_id: str) -> Done:
        by = Initiator(
            actor=operation.actor,
            email=str(operation.filter.get("by", "")),
            through=operation.filter.get("through", "rest"),
        )
        given = Given(reason=f"{operation.reason} {_mark(operation)}")
        return await self._operations.act_for(by, VERBS[operation.action], instance_id, given)


def result_of(refusal: Refused) -> ItemResult:
    """Return the result of an instance that was left as it is: the operation's map of the error model."""
    if refusal.kind is Kind.NOT_FOUND:
        return ItemResult(state="skipped", result="It is not known any more, so nothing was done.")
    # A crashed holder's lease expires: the item stays pending and is tried again.
    return ItemResult(state="pending" if refusal.kind is Kind.BUSY else "skipped", result=refusal.message)


def _mark(operation: bulk.Operation) -> str:
    """Return what names the operation in the audit of each instance that it hits."""
    return f"(bulk {operation.id})"
