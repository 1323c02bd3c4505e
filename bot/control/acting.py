"""What a bulk operation does to one instance: the call, guards and audit of a single one; a failure is a result."""

from activities.bulk import ItemResult
from approvals.authority import Role
from bot.access import Caller
from bot.control.operations import Done, Operations, RefusedError
from bot.control.subjects import NotFoundError
from bot.engine import EngineRefusedError, EngineUnavailableError
from bot.rest.problems import Problem
from records import bulk
from records.errors import RecordsError


class Acting:
    """Carries out operations on single instances."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def act(self, operation: bulk.Operation, instance_id: str) -> ItemResult:
        """Do it. Who started the operation was authorized then; the row that says so is written by nobody else."""
        try:
            done = await self._do(operation, instance_id)
        except NotFoundError:
            return ItemResult(state="skipped", result="It is not known any more, so nothing was done.")
        except (RefusedError, Problem) as refusal:
            return ItemResult(state="skipped", result=str(refusal))
        except (EngineUnavailableError, EngineRefusedError, RecordsError) as error:
            return ItemResult(state="failed", result=f"It did not work: {error}. Continue the operation to try again.")
        return ItemResult(state="done" if done.changed else "skipped", result=done.sentence)

    async def _do(self, operation: bulk.Operation, instance_id: str) -> Done:
        caller = Caller(
            actor=operation.actor,
            email=str(operation.filter.get("by", "")),
            roles=frozenset({Role.OPERATOR}),
            through=operation.filter.get("through", "rest"),
        )
        reason = f"{operation.reason} (bulk {operation.id})"
        match operation.action:
            case "terminate":
                return await self._operations.terminate(caller, instance_id, reason)
            case "purge":
                return await self._operations.purge(caller, instance_id, reason)
            case "pause":
                return await self._operations.pause(caller, instance_id, reason)
            case _:
                return await self._operations.resume(caller, instance_id, reason)
