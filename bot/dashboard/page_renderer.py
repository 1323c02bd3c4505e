"""The frame of every page: who is signed in, the navigation, the flash message."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from approvals.authority import Action, Resource, authorize
from approvals.values import Value
from bot.access.authenticating import Caller
from bot.dashboard.cookies import FlashMessage
from bot.dashboard.rendering import guarded
from bot.dashboard.serving import TEMPLATES
from bot.dashboard.sessions import SAID, Sessions, SignedInRequest


class NavItem(Value):
    """An entry of the navigation."""

    href: str
    name: str


PLACES: tuple[tuple[str, str, tuple[Action, ...]], ...] = (
    ("/", "Waiting", ()),
    ("/bulk", "Bulk", (Action.BULK,)),
    ("/statistics", "Statistics", (Action.SEE_STATISTICS,)),
    ("/audit", "Audit", (Action.AUDIT_READ, Action.AUDIT_VERIFY)),
    ("/webhooks", "Webhooks", (Action.WEBHOOKS,)),
    ("/policy", "Policy", (Action.POLICY_READ,)),
)


def places(caller: Caller) -> tuple[NavItem, ...]:
    """Return the navigation that the role permits."""
    return tuple(
        NavItem(href=href, name=name)
        for href, name, wanted in PLACES
        if not wanted or any(may(caller, a) for a in wanted)
    )


def may(caller: Caller, action: Action, resource: Resource | None = None) -> bool:
    """Return whether the caller may; nothing is audited, for nothing was tried."""
    return authorize(caller.as_actor, action, resource or Resource()).allowed


class PageRenderer:
    """Renders pages for people who are signed in."""

    def __init__(self, sessions: Sessions, clock: Callable[[], datetime]) -> None:
        self.sessions = sessions
        self.clock = clock

    async def enter(self, request: Request) -> SignedInRequest:
        """Return who has sent this request. Raises: SignInNeededError."""
        return await self.sessions.enter(request)

    async def form(self, request: Request, signed_in: SignedInRequest) -> FormData:
        """Return the form that this session has sent. Raises: Refused NOT_ALLOWED, TOO_LARGE."""
        return await self.sessions.form(request, signed_in.session.id)

    def show(
        self, request: Request, signed_in: SignedInRequest, template: str, status: int = 200, **values: Any
    ) -> Response:
        """Return a page."""
        said = self.sessions.flashed(request)
        response = TEMPLATES.page(
            template,
            status,
            signed_in=signed_in,
            csrf=signed_in.csrf,
            places=places(signed_in.caller),
            here=request.url.path,
            now=self.clock(),
            said=said,
            **values,
        )
        if said is not None:
            response.delete_cookie(SAID)
        return response

    def go(self, request: Request, address: str, text: str, *, good: bool = True) -> Response:
        """Send the browser on after a form, with a message for the page it comes to."""
        response = guarded(RedirectResponse(address, 303))
        return self.sessions.flash(request, response, FlashMessage(text=text, good=good, to=address.partition("?")[0]))
