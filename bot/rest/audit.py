"""GET /audit/decisions: who decided what, as JSON or as a CSV file."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from bot.access.authenticating import Access, Caller
from bot.control.reading.decided import DecisionQuery, DecisionsSearch
from bot.rest.callers import caller_of
from bot.rest.documented import SIGNED_IN, problems
from records.decided import Decided

MOST_ENTRIES = 200


class CsvResponse(StreamingResponse):
    """A spreadsheet's file, line by line."""

    media_type = "text/csv"


class PagedQuery(DecisionQuery):
    """A search, and which page of it."""

    before: int | None = Field(
        None, ge=0, le=2**63 - 1, description="the `entry` of the last decision of the page before"
    )
    limit: int = Field(50, ge=1, le=MOST_ENTRIES)


class DecisionPage(BaseModel):
    """Decisions, newest first. Send `before` again for the page after; it is null at the end."""

    decisions: tuple[Decided, ...]
    before: int | None


def routes(access: Access, search: DecisionsSearch) -> APIRouter:
    """Return the routes of the audit."""
    router = APIRouter(prefix="/audit", tags=["audit"], dependencies=SIGNED_IN)
    who = Depends(caller_of(access))

    @router.get("/decisions", responses=problems())
    async def list_decisions(caller: Annotated[Caller, who], query: Annotated[PagedQuery, Query()]) -> DecisionPage:
        """Say who approved or rejected what, with amount, rule, moment and reason. Takes the auditor's role."""
        found = await search.page(caller, query, before=query.before, limit=query.limit)
        return DecisionPage(decisions=found, before=found[-1].entry if len(found) == query.limit else None)

    @router.get("/decisions.csv", response_class=CsvResponse, responses=problems())
    async def export_decisions(caller: Annotated[Caller, who], query: Annotated[DecisionQuery, Query()]) -> Response:
        """Give the same as a CSV file, all of it."""
        lines = await search.csv(caller, query)
        return CsvResponse(lines, headers={"Content-Disposition": 'attachment; filename="decisions.csv"'})

    return router
