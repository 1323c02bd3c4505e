"""/audit : who did what, when and why, newest first; and whether the chain is whole."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from approvals.audit_actions import AuditAction
from approvals.authority import Action
from approvals.moments import moment_of
from bot.access.authenticating import Access
from bot.control.reading.audit_trail import AuditTrail, Verified
from bot.dashboard.forms import address, asked, number
from bot.dashboard.names import DisplayNames
from bot.dashboard.page_renderer import PageRenderer, may
from bot.dashboard.sessions import SignedInRequest
from records import audit

ENTRIES_PER_PAGE = 50
FIELDS = ("instance", "actor", "action", "correlation", "since", "until")


class AuditPage:
    """The page of the audit."""

    def __init__(self, *, renderer: PageRenderer, access: Access, trail: AuditTrail, names: DisplayNames) -> None:
        self._pages = renderer
        self._access = access
        self._trail = trail
        self._names = names

    def register(self, router: APIRouter) -> None:
        """Add the pages."""
        router.get("/audit")(self.show)
        router.post("/audit/verify")(self.verify)

    async def show(self, request: Request) -> Response:
        """Show entries."""
        signed_in = await self._pages.enter(request)
        if not may(signed_in.caller, Action.AUDIT_VERIFY):
            await self._access.demand(signed_in.caller, Action.AUDIT_READ)
        given = asked(request, *FIELDS, "before")
        mistake, wanted = "", audit.EntryFilter()
        try:
            wanted = await self._filter(given)
        except ValueError as error:
            mistake = f"The time is not usable: {error}. The newest entries are shown."
        return await self._page(request, signed_in, given, wanted, mistake)

    async def _filter(self, given: dict[str, str]) -> audit.EntryFilter:
        now = self._pages.clock()
        fields: dict[str, Any] = {
            "instance_id": await self._trail.instance_of(given["instance"]) if given["instance"] else None,
            "actors": await self._actors(given["actor"]) if given["actor"] else None,
            "action": given["action"] or None,
            "correlation_id": given["correlation"] or None,
            "since": moment_of(given["since"], now) if given["since"] else None,
            "until": moment_of(given["until"], now) if given["until"] else None,
        }
        return audit.EntryFilter(**fields)

    async def _actors(self, text: str) -> tuple[str, ...]:
        """Return those whose id, name or e-mail as the page shows it has the text in it, in any case."""
        owners = await self._trail.actors()
        known = tuple(owners)
        names = await self._names.of(known)
        wanted = text.casefold()
        people = await self._names.keys_of(text)
        shown = {each: f"{each} {names.get(each, '')} {owners[each]}".casefold() for each in known}
        return tuple(each for each in known if wanted in shown[each] or each in people)

    async def _page(
        self,
        request: Request,
        signed_in: SignedInRequest,
        given: dict[str, str],
        wanted: audit.EntryFilter,
        mistake: str,
    ) -> Response:
        readable = may(signed_in.caller, Action.AUDIT_READ)
        entries: tuple[audit.Chained, ...] = ()
        if readable:
            entries = await self._trail.page(
                signed_in.caller, wanted, before=number(given["before"]), limit=ENTRIES_PER_PAGE
            )
        kept = {name: value for name, value in given.items() if value and name != "before"}
        more = len(entries) == ENTRIES_PER_PAGE
        return self._pages.show(
            request,
            signed_in,
            "audit.html",
            status=422 if mistake else 200,
            given=given,
            entries=entries,
            readable=readable,
            verifiable=may(signed_in.caller, Action.AUDIT_VERIFY),
            filtered=bool(kept),
            first=address("/audit", kept),
            following=address("/audit", kept, before=str(entries[-1].seq)) if more else "",
            mistake=mistake,
            names=await self._names.of([entry.actor for entry in entries]),
            actions=list(AuditAction),
        )

    async def verify(self, request: Request) -> Response:
        """Check the whole chain against itself and its signed checkpoints."""
        signed_in = await self._pages.enter(request)
        await self._access.demand(signed_in.caller, Action.AUDIT_VERIFY)
        await self._pages.form(request, signed_in)
        found = await self._trail.verify(signed_in.caller)
        return self._pages.go(request, "/audit", _sentence(found), good=found.whole)


def _sentence(verified: Verified) -> str:
    found, unsigned = verified.chain, verified.unsigned
    if not found.ok:
        return (
            f"The audit is NOT whole. {found.problem} The {found.entries:,} entries before it are whole. Keep the "
            "database as it is and tell whoever is responsible for security."
        )
    if unsigned:
        return (
            f"The chain is whole, but the checkpoint of entry {unsigned[0]} is not signed by this installation's key: "
            "it was changed, or the key was rotated away. `countersign audit verify --public-key` takes older keys."
        )
    if verified.missing:
        return f"The chain is whole in itself, but its end is not proven. {verified.missing}"
    agree = f"{found.checkpoints} signed checkpoints agree" if found.checkpoints else "no checkpoint was compared"
    return f"The audit is whole: {found.entries:,} entries up to number {found.seq:,}, {agree}."
