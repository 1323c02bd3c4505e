"""/webhooks : what other systems were told, with a redrive for each delivery and a test delivery."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.access.refusals import CORRECTABLE, Kind, Refused
from bot.control.operations.webhooks import Deliveries, Tried
from bot.dashboard.forms import address, asked, typed
from bot.dashboard.page_renderer import PageRenderer
from records.webhooks import State

PAGE = 50
HERE = "/webhooks"
STATES: dict[str, State] = {"due": "due", "sent": "sent", "given_up": "given_up"}
TOLD = CORRECTABLE | {Kind.NOT_FOUND}
FIELDS = ("state", "request")


class WebhooksPage:
    """The log of deliveries."""

    def __init__(self, renderer: PageRenderer, deliveries: Deliveries) -> None:
        self._pages = renderer
        self._deliveries = deliveries

    def register(self, router: APIRouter) -> None:
        """Add the pages."""
        router.get(HERE)(self.show)
        router.post(f"{HERE}/test")(self.test)
        router.post(f"{HERE}/{{delivery_id}}/redrive")(self.redrive)

    async def show(self, request: Request) -> Response:
        """Show deliveries, newest first."""
        signed_in = await self._pages.enter(request)
        given = asked(request, *FIELDS, "cursor")
        found, cursor = await self._deliveries.page(
            signed_in.caller,
            state=STATES.get(given["state"]),
            request=given["request"] or None,
            cursor=given["cursor"] or None,
            limit=PAGE,
        )
        kept = {name: given[name] for name in FIELDS if given[name]}
        return self._pages.show(
            request,
            signed_in,
            "webhooks.html",
            given=given,
            found=found,
            states=STATES,
            filtered=bool(kept),
            first=address(HERE, kept),
            following=address(HERE, kept, cursor=cursor) if cursor else "",
        )

    async def redrive(self, request: Request, delivery_id: str) -> Response:
        """Deliver a message again."""
        signed_in = await self._pages.enter(request)
        await self._pages.form(request, signed_in)
        try:
            again = await self._deliveries.redrive(signed_in.caller, delivery_id)
        except Refused as refusal:
            if refusal.kind not in TOLD:
                raise
            return self._pages.go(request, HERE, refusal.message, good=False)
        return self._pages.go(request, HERE, f"{again.event} of {again.request} is sent again to {again.url}.")

    async def test(self, request: Request) -> Response:
        """Send a test message, and say what the receiver answered."""
        signed_in = await self._pages.enter(request)
        form = await self._pages.form(request, signed_in)
        url, key_id = typed(form.get("url", ""))[:2000], typed(form.get("key", ""))[:100]
        try:
            tried = await self._deliveries.test(signed_in.caller, url, key_id)
        except Refused as refusal:
            if refusal.kind not in TOLD:
                raise
            return self._pages.go(request, HERE, refusal.message, good=False)
        return self._pages.go(request, HERE, _answer(url, tried), good=tried.taken)


def _answer(url: str, tried: Tried) -> str:
    if tried.taken:
        return f"Taken: {url[:200]} answered {tried.status}."
    answered = f" It answered {tried.status}." if tried.status else ""
    return f"Not taken by {url[:200]}.{answered} {tried.problem}".rstrip()
