"""/audit/decisions : who approved what above which amount, as a page and as a file for a spreadsheet."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError

from bot.control.reading.decided import DecisionQuery, DecisionsSearch
from bot.dashboard.forms import address, asked, number
from bot.dashboard.names import DisplayNames
from bot.dashboard.page_renderer import PageRenderer
from bot.dashboard.rendering import guarded
from bot.dashboard.waiting import plain_amount, query_mistake

DECISIONS_SHOWN = 50
AMOUNTS = ("above", "below")


class DecisionsPage:
    """The search of decisions."""

    def __init__(self, renderer: PageRenderer, search: DecisionsSearch, names: DisplayNames) -> None:
        self._pages = renderer
        self._search = search
        self._names = names

    def register(self, router: APIRouter) -> None:
        """Add the page and the file."""
        router.get("/audit/decisions")(self.show)
        router.get("/audit/decisions.csv")(self.file)

    async def show(self, request: Request) -> Response:
        """Show decisions, newest first."""
        signed_in = await self._pages.enter(request)
        given = _given(request)
        query, mistake = _query(given)
        last = number(request.query_params.get("before", ""))
        found = await self._search.page(signed_in.caller, query, before=last, limit=DECISIONS_SHOWN)
        people = [name for one in found for name in (one.person, one.requester) if name]
        return self._pages.show(
            request,
            signed_in,
            "decisions.html",
            status=422 if mistake else 200,
            given={name: given.get(name, "") for name in DecisionQuery.model_fields},
            found=found,
            mistake=mistake,
            paged=last is not None,
            first=address("/audit/decisions", given),
            following=address("/audit/decisions", given, before=str(found[-1].entry))
            if len(found) == DECISIONS_SHOWN
            else "",
            file=address("/audit/decisions.csv", given),
            names=await self._names.of(people),
        )

    async def file(self, request: Request) -> Response:
        """Send the whole search as CSV."""
        signed_in = await self._pages.enter(request)
        query, _ = _query(_given(request))
        lines = await self._search.csv(signed_in.caller, query)
        headers = {"Content-Disposition": 'attachment; filename="decisions.csv"'}
        return guarded(StreamingResponse(lines, media_type="text/csv", headers=headers))


def _given(request: Request) -> dict[str, str]:
    return {name: value for name, value in asked(request, *DecisionQuery.model_fields).items() if value}


def _query(given: dict[str, str]) -> tuple[DecisionQuery, str]:
    """Return the search and its errors; with an error all decisions are shown."""
    fields: dict[str, Any] = {name: plain_amount(value) if name in AMOUNTS else value for name, value in given.items()}
    try:
        return DecisionQuery.model_validate(fields), ""
    except ValidationError as error:
        return DecisionQuery.model_validate({}), query_mistake(error, "All decisions are shown instead.")
