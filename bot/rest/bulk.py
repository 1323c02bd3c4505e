"""POST /workflows/bulk: a dry run unless it is told otherwise, then exactly what the dry run has shown."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from bot.access.authenticating import Access, Caller
from bot.access.refusals import Kind, Refused
from bot.control.operations.bulk import Bulk, Plan, Result, Status
from bot.control.operations.selection import BulkAction, BulkFilter
from bot.rest.callers import caller_of
from bot.rest.documented import SIGNED_IN, problems
from records import bulk as book

OperationId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", examples=["5f0c9a7d1b3e4c5d8e9f0a1b2c3d4e5f"])]


class BulkBody(BaseModel):
    """A dry run: action and filter. The real call: `dry_run` false, the dry run's token and a reason."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"action": "terminate", "filter": {"stuck": True, "older_than": "2h"}},
                {"action": "purge", "filter": {"completed": True, "older_than": "30d"}},
            ]
        },
    )

    action: BulkAction
    filter: BulkFilter | None = None
    dry_run: bool = True
    reason: str = Field("", max_length=1000, description="needed for the real call; kept in the audit")
    without: frozenset[Annotated[str, Field(max_length=200)]] = Field(
        frozenset(), max_length=1000, description="instance ids of the dry run's list to which nothing is done"
    )
    token: str | None = Field(None, max_length=200, description="from the dry run; the real call hits what it listed")


class ContinueBody(BaseModel):
    """The reason for continuing."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "The sidecar is back"}]})

    reason: str = Field("", max_length=1000)


class BulkQuery(BaseModel):
    """The number of operations, newest first."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100)


class BulkPage(BaseModel):
    """The newest operations."""

    operations: tuple[Status, ...]


class Results(BaseModel):
    """Instances with their results. Send `after` with the last id to get the next; it is null at the end."""

    results: tuple[Result, ...]
    after: str | None


class ResultsQuery(BaseModel):
    """A filter of results."""

    model_config = ConfigDict(extra="forbid")

    state: book.ItemState | None = None
    after: str = Field("", max_length=200)
    limit: int = Field(200, ge=1, le=1000)


def routes(access: Access, bulk: Bulk) -> APIRouter:
    """Return the routes of bulk operations. They come before those of single workflows."""
    router = APIRouter(prefix="/workflows/bulk", tags=["bulk"], dependencies=SIGNED_IN)
    who = Depends(caller_of(access))
    _starting(router, who, bulk)

    @router.get("", responses=problems())
    async def list_bulk(caller: Annotated[Caller, who], query: Annotated[BulkQuery, Query()]) -> BulkPage:
        """List the newest operations."""
        return BulkPage(operations=await bulk.page(caller, query.limit))

    @router.get("/{operation_id}", responses=problems(404))
    async def get_bulk(operation_id: OperationId, caller: Annotated[Caller, who]) -> Status:
        """Show how far an operation is."""
        return await bulk.status(caller, operation_id)

    @router.get("/{operation_id}/results", responses=problems(404))
    async def get_results(
        operation_id: OperationId, caller: Annotated[Caller, who], query: Annotated[ResultsQuery, Query()]
    ) -> Results:
        """Show what became of each instance; of a dry run, what would be hit."""
        found = await bulk.results(caller, operation_id, state=query.state, after=query.after, limit=query.limit)
        return Results(results=found, after=found[-1].instance_id if len(found) == query.limit else None)

    @router.post("/{operation_id}/continue", status_code=202, responses=problems(404, 409))
    async def continue_bulk(
        operation_id: OperationId, caller: Annotated[Caller, who], body: ContinueBody | None = None
    ) -> Status:
        """Continue with instances that failed or have no result yet."""
        return await bulk.continue_(caller, operation_id, body.reason if body else "")

    return router


def _starting(router: APIRouter, who: Any, bulk: Bulk) -> None:
    @router.post("", responses={202: {"model": Status}, **problems(409)})
    async def bulk_workflows(body: BulkBody, caller: Annotated[Caller, who], response: Response) -> Plan | Status:
        """List what a bulk action would hit, or do it to exactly what a dry run has listed."""
        if body.dry_run:
            return await bulk.dry_run(caller, body.action, body.filter or BulkFilter(), body.reason)
        if not body.token:
            raise Refused(
                Kind.INVALID, "The real call takes the token of a dry run. Nothing was done: make a dry run first."
            )
        started = await bulk.start(caller, body.token, body.reason, body.action, body.without)
        response.status_code = 202
        response.headers["Location"] = f"/workflows/bulk/{started.operation_id}"
        return started
