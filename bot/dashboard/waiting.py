"""/ : what waits now, first what waits for the reader. Filters and order stand in the address."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import Field, ValidationError, field_validator

from approvals.authority import Action, Resource
from approvals.ends import ENDS
from approvals.mistakes import clause, first_mistake
from approvals.statuses import STATUSES
from approvals.values import Value
from bot.access.refusals import Kind, Refused
from bot.control.reading.list_query import ME, ListQuery
from bot.control.reading.overview import Listed, Overview, listed
from bot.dashboard.names import DisplayNames
from bot.dashboard.page_renderer import PageRenderer, may
from bot.dashboard.rendering import guarded, segment
from bot.dashboard.sessions import SignedInRequest
from bot.dashboard.words import PHASES
from records import listing

SORTS: dict[listing.Sort, str] = {
    "deadline": "Next deadline first",
    "since": "Waiting longest first",
    "progress": "Least progress first",
    "created": "Newest first",
    "ended": "Latest end first",
    "amount": "Highest amount first",
    "requester": "By requester",
}
LINES_PER_PAGE = 50
FEW_LINES = 20
"""The number of waiting requests shown above the list of everything; the rest is one click away."""

FORWARDED = (
    "status", "name", "waiting_on", "q", "older_than", "newer_than", "outcome", "currency", "amount_from", "amount_to",
)  # fmt: skip


class ListForm(Value):
    """The list's address as it was typed. `phase` is `waiting` unless another, or `any`, is asked for."""

    phase: str = "waiting"
    status: str = ""
    name: str = Field("", max_length=200)
    waiting_on: str = Field("", max_length=200)
    q: str = Field("", max_length=200)
    older_than: str = Field("", max_length=60)
    newer_than: str = Field("", max_length=60)
    outcome: str = Field("", max_length=20)
    currency: str = Field("", max_length=3)
    amount_from: str = Field("", max_length=40)
    amount_to: str = Field("", max_length=40)
    mine: bool = False
    sort: listing.Sort = "deadline"
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
        if self.phase != "any" and not self.outcome:
            given["phase"] = self.phase
        amounts = {name: plain_amount(given[name]) for name in ("amount_from", "amount_to") if name in given}
        usual = {"sort": self.sort, "mine": self.mine, "limit": LINES_PER_PAGE, "cursor": self.cursor or None}
        return ListQuery.model_validate({**given, **amounts, **usual, "currency": self.currency.upper() or None})

    @property
    def for_me(self) -> bool:
        """Whether what waits for the reader's own decision is asked for."""
        return self.waiting_on.casefold() == ME


def plain_amount(text: str) -> str:
    """Return an amount without what people write around it: `$5,000` is 5000."""
    return text.strip().lstrip("$€£¥₹").replace(",", "").replace("_", "").strip()


class WaitingPage:
    """The first page."""

    def __init__(self, renderer: PageRenderer, overview: Overview, names: DisplayNames) -> None:
        self._pages = renderer
        self._overview = overview
        self._names = names

    def register(self, router: APIRouter) -> None:
        """Add the pages."""
        router.get("/")(self.show)
        router.get("/find")(self.find)

    async def show(self, request: Request) -> Response:
        """Show the list."""
        signed_in = await self._pages.enter(request)
        wanted, mistake = _wanted(request)
        try:
            query = wanted.query()
        except ValidationError as error:
            wanted, mistake = ListForm(), query_mistake(error)
            query = wanted.query()
        page = await listed(self._overview, signed_in.caller, query, self._pages.clock())
        first = not wanted.cursor and not wanted.filtered
        asked = await self._asked(signed_in) if first else Listed()
        return await self._page(request, signed_in, wanted, page, asked, mistake)

    async def _asked(self, signed_in: SignedInRequest) -> Listed:
        if not may(signed_in.caller, Action.LIST, Resource(asked=True)):
            return Listed()
        return await self._overview.waiting_for(signed_in.caller, limit=FEW_LINES)

    async def _page(  # noqa: PLR0913, PLR0917 what the page shows
        self, request: Request, signed_in: SignedInRequest, wanted: ListForm, page: Listed, asked: Listed, mistake: str
    ) -> Response:
        people = [name for line in (*asked.lines, *page.lines) for name in (*line.waiting_on, line.requester)]
        return self._pages.show(
            request,
            signed_in,
            "waiting.html",
            status=422 if mistake else 200,
            wanted=wanted,
            page=page,
            asked=asked,
            mistake=mistake,
            following=wanted.address(cursor=page.cursor) if page.cursor else "",
            previous=wanted.address(cursor=page.previous) if page.previous else "",
            everything=may(signed_in.caller, Action.LIST),
            names=await self._names.of(people),
            sorts=SORTS,
            statuses=STATUSES,
            phases=PHASES,
            ends=ENDS.values(),
        )

    async def find(self, request: Request) -> Response:
        """Go to an instance or an order by its id."""
        await self._pages.enter(request)
        reference = as_typed(request.query_params.get("id", ""))
        return guarded(RedirectResponse(f"/w/{segment(reference)}" if reference else "/", 303))


def _wanted(request: Request) -> tuple[ListForm, str]:
    given = {name: value for name, value in request.query_params.items() if value.strip()}
    try:
        return ListForm.model_validate(given), ""
    except ValidationError as error:
        return ListForm(), query_mistake(error)


def query_mistake(error: ValidationError, instead: str = "The usual list is shown instead.") -> str:
    """Return the error of a filter, and the list shown in its place."""
    first = first_mistake(error)
    where = str(first["loc"][0]) if first["loc"] else "filter"
    return f"The filter “{where}” is not usable: {clause(first)}. {instead}"


def as_typed(text: str) -> str:
    """Return the id that people mean by `42`, `#42` or `order 42`."""
    reference = text.strip()[:200]
    kind, _, rest = reference.partition(" ")
    return (rest if kind.casefold() == "order" and rest else reference).strip().removeprefix("#").strip()


def refuse_unknown(reference: str) -> None:
    """Refuse what cannot be an id. Raises: Refused NOT_FOUND."""
    if not reference or not reference.isprintable():
        raise Refused(Kind.NOT_FOUND, "This cannot be the id of a workflow. Look at the list and choose one there.")
