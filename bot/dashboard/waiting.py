"""/ : what waits now, first what waits for the reader. Filters and order stand in the address."""

from typing import Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import Field, ValidationError, field_validator

from approvals.authority import Action, Resource
from approvals.statuses import STATUSES
from approvals.values import Value
from bot.access.refusals import Kind, Refused
from bot.control.reading.lines import Workflow
from bot.control.reading.list_query import ME, ListQuery
from bot.control.reading.overview import Overview
from bot.dashboard.names import Names
from bot.dashboard.page_renderer import PageRenderer, may
from bot.dashboard.rendering import guarded, segment
from bot.dashboard.sessions import Visit
from bot.dashboard.words import PHASES
from records import listing

Sort = Literal["created", "deadline", "since", "progress"]
SORTS: dict[Sort, str] = {
    "deadline": "Next deadline first",
    "since": "Waiting longest first",
    "progress": "Least progress first",
    "created": "Newest first",
}
PAGE = 50
FORWARDED = ("status", "name", "waiting_on", "q", "older_than", "newer_than")


class Wanted(Value):
    """The list's address as it was typed. `phase` is `waiting` unless another, or `any`, is asked for."""

    phase: str = "waiting"
    status: str = ""
    name: str = Field("", max_length=200)
    waiting_on: str = Field("", max_length=200)
    q: str = Field("", max_length=200)
    older_than: str = Field("", max_length=60)
    newer_than: str = Field("", max_length=60)
    mine: bool = False
    sort: Sort = "deadline"
    cursor: str = Field("", max_length=500)

    @field_validator("*", mode="before")
    @classmethod
    def _trimmed(cls, value: object) -> object:
        return value.strip() if isinstance(value, str) else value

    @property
    def filtered(self) -> bool:
        """Whether anything but the usual is asked for."""
        return self.mine or self.phase != "waiting" or any(getattr(self, name) for name in FORWARDED)

    def address(self, **changes: Any) -> str:
        """Return the address of the same list with something changed; the usual is left out."""
        shown = self.model_copy(update=changes).model_dump(exclude_defaults=True)
        return f"/?{urlencode(shown)}" if shown else "/"

    def query(self) -> ListQuery:
        """Return the query that REST would take. Raises: ValidationError."""
        given: dict[str, Any] = {name: getattr(self, name) for name in FORWARDED if getattr(self, name)}
        if self.phase != "any":
            given["phase"] = self.phase
        return ListQuery.model_validate({**given, "sort": self.sort, "mine": self.mine, "limit": PAGE})


class Waiting:
    """The first page."""

    def __init__(self, desk: PageRenderer, overview: Overview, names: Names) -> None:
        self._desk = desk
        self._overview = overview
        self._names = names

    def register(self, router: APIRouter) -> None:
        """Add the pages."""
        router.get("/")(self.show)
        router.get("/find")(self.find)

    async def show(self, request: Request) -> Response:
        """Show the list."""
        visit = await self._desk.door.enter(request)
        wanted, mistake = _wanted(request)
        try:
            query = wanted.query()
        except ValidationError as error:
            wanted, mistake = Wanted(), _sentence(error)
            query = wanted.query()
        page = await self._listed(visit, wanted, query)
        first = not wanted.cursor and not wanted.filtered
        asked = await self._asked(visit) if first else ()
        return await self._page(request, visit, wanted, page, asked, mistake)

    async def _listed(self, visit: Visit, wanted: Wanted, query: ListQuery) -> listing.Page:
        if wanted.waiting_on.casefold() == ME:
            return listing.Page(lines=await self._overview.waiting_for(visit.caller, PAGE))
        return await self._overview.page(
            visit.caller,
            query.filter(self._desk.clock()),
            sort=wanted.sort,
            cursor=wanted.cursor or None,
            limit=PAGE,
            mine=wanted.mine,
        )

    async def _asked(self, visit: Visit) -> tuple[Workflow, ...]:
        """Return what waits for the reader's own decision; nothing for those who may not see what they are asked."""
        if not may(visit.caller, Action.LIST, Resource(asked=True)):
            return ()
        return await self._overview.lines(await self._overview.waiting_for(visit.caller, PAGE))

    async def _page(  # noqa: PLR0913, PLR0917 what the page shows
        self,
        request: Request,
        visit: Visit,
        wanted: Wanted,
        page: listing.Page,
        asked: tuple[Workflow, ...],
        mistake: str,
    ) -> Response:
        lines = await self._overview.lines(page.lines)
        people = [name for line in (*asked, *lines) for name in (*line.waiting_on, line.requester)]
        return self._desk.show(
            request,
            visit,
            "waiting.html",
            status=422 if mistake else 200,
            wanted=wanted,
            lines=lines,
            asked=asked,
            mistake=mistake,
            following=wanted.address(cursor=page.cursor) if page.cursor else "",
            everything=may(visit.caller, Action.LIST),
            names=await self._names.of(people),
            sorts=SORTS,
            statuses=STATUSES,
            phases=PHASES,
        )

    async def find(self, request: Request) -> Response:
        """Go to an instance or an order by its id."""
        await self._desk.door.enter(request)
        reference = request.query_params.get("id", "").strip()[:200]
        return guarded(RedirectResponse(f"/w/{segment(reference)}" if reference else "/", 303))


def _wanted(request: Request) -> tuple[Wanted, str]:
    given = {name: value for name, value in request.query_params.items() if value.strip()}
    try:
        return Wanted.model_validate(given), ""
    except ValidationError as error:
        return Wanted(), _sentence(error)


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    where = str(first["loc"][0]) if first["loc"] else "filter"
    what = str(first["msg"]).removeprefix("Value error, ")
    return f"The filter “{where}” is not usable: {what}. The usual list is shown instead."


def refuse_unknown(reference: str) -> None:
    """Refuse what cannot be an id. Raises: Refused NOT_FOUND."""
    if not reference or not reference.isprintable():
        raise Refused(Kind.NOT_FOUND, "This cannot be the id of a workflow. Look at the list and choose one there.")
