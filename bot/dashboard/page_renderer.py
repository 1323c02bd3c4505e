"""The frame of every page: who is signed in, the navigation, the flash message."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from approvals.authority import Action, Resource, authorize
from approvals.values import Value
from bot.access.authenticating import Caller
from bot.dashboard.cookies import Said
from bot.dashboard.rendering import guarded
from bot.dashboard.serving import TEMPLATES
from bot.dashboard.sessions import SAID, Door, Visit


class Place(Value):
    """An entry of the navigation."""

    href: str
    name: str


PLACES: tuple[tuple[str, str, tuple[Action, ...]], ...] = (
    ("/", "Waiting", ()),
    ("/bulk", "Bulk", (Action.BULK,)),
    ("/statistics", "Statistics", (Action.SEE_STATISTICS,)),
    ("/audit", "Audit", (Action.AUDIT_READ, Action.AUDIT_VERIFY)),
    ("/policy", "Policy", (Action.POLICY_READ,)),
)


def places(caller: Caller) -> tuple[Place, ...]:
    """Return the navigation that the role permits."""
    return tuple(
        Place(href=href, name=name)
        for href, name, wanted in PLACES
        if not wanted or any(may(caller, a) for a in wanted)
    )


def may(caller: Caller, action: Action, resource: Resource | None = None) -> bool:
    """Return whether the caller may; nothing is audited, for nothing was tried."""
    return authorize(caller.as_actor, action, resource or Resource()).allowed


class PageRenderer:
    """Renders pages for people who are signed in."""

    def __init__(self, door: Door, clock: Callable[[], datetime]) -> None:
        self.door = door
        self.clock = clock

    def show(self, request: Request, visit: Visit, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page."""
        said = self.door.said(request)
        response = TEMPLATES.page(
            template,
            status,
            visit=visit,
            csrf=visit.csrf,
            places=places(visit.caller),
            here=request.url.path,
            now=self.clock(),
            said=said,
            **values,
        )
        if said is not None:
            response.delete_cookie(SAID)
        return response

    def go(self, request: Request, address: str, text: str, *, good: bool = True) -> Response:
        """Send the browser on after a form, with a sentence for the page it comes to."""
        response = guarded(RedirectResponse(address, 303))
        return self.door.say(request, response, Said(text=text, good=good, to=address.partition("?")[0]))
