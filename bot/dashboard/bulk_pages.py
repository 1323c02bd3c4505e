"""/bulk : the dry run first, then exactly what it has shown, with its progress and a result for each instance."""

from collections.abc import Mapping
from typing import Any, get_args

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from approvals.authority import Action
from approvals.mistakes import clause, first_mistake
from approvals.statuses import STATUSES
from approvals.verbs import IN_BULK
from bot.access.authenticating import Access
from bot.access.refusals import CORRECTABLE, Kind, Refused, unknown
from bot.control.operations.bulk import Bulk, Plan
from bot.control.operations.selection import BulkFilter
from bot.dashboard.forms import LONGEST_FORM_REASON, typed
from bot.dashboard.names import DisplayNames
from bot.dashboard.page_renderer import PageRenderer
from bot.dashboard.sessions import SignedInRequest
from records import bulk as book

RESULTS = 100
RECENT = 20
TEXTS = ("status", "name", "waiting_on", "q", "older_than")
OUT = "without "
"""The beginning of a check box's name; the instance that is taken out follows."""
FLAGS = ("stuck", "completed", "everything")


class BulkPages:
    """The pages of bulk operations."""

    def __init__(self, *, renderer: PageRenderer, bulk: Bulk, access: Access, names: DisplayNames) -> None:
        self._pages = renderer
        self._bulk = bulk
        self._access = access
        self._names = names

    def register(self, router: APIRouter) -> None:
        """Add the pages."""
        router.get("/bulk")(self.ask)
        router.post("/bulk")(self.dry_run)
        router.post("/bulk/start")(self.start)
        router.get("/bulk/{operation_id}")(self.show)
        router.post("/bulk/{operation_id}/continue")(self.continue_)

    async def ask(self, request: Request) -> Response:
        """Show the form, and earlier bulk operations."""
        signed_in = await self._entered(request)
        return await self._form(request, signed_in, request.query_params, "")

    async def dry_run(self, request: Request) -> Response:
        """List what would be hit. Nothing is done to any of it."""
        signed_in = await self._entered(request)
        given = await self._given(request, signed_in)
        try:
            plan = await self._planned(signed_in, given)
        except ValidationError as error:
            return await self._form(request, signed_in, given, _sentence(error))
        except Refused as refusal:
            if refusal.kind not in CORRECTABLE:
                raise
            return await self._form(request, signed_in, given, refusal.message)
        return await self._plan(request, signed_in, plan, plan.token, "")

    async def start(self, request: Request) -> Response:
        """Do exactly what the dry run has shown."""
        signed_in = await self._entered(request)
        given = await self._given(request, signed_in)
        reason = given.get("reason", "")
        if not reason or len(reason) > LONGEST_FORM_REASON:
            raise Refused(
                Kind.INVALID,
                "A bulk operation needs a reason of up to 1000 characters: the audit keeps it with your name. "
                "Nothing was done. Go back and say why.",
            )
        without = {name.removeprefix(OUT) for name in given if name.startswith(OUT)}
        status = await self._bulk.start(signed_in.caller, given.get("token", ""), reason, without=without)
        return self._pages.go(request, f"/bulk/{status.operation_id}", "It has started. This page follows it.")

    async def show(self, request: Request, operation_id: str) -> Response:
        """Show how far an operation is, and each result."""
        signed_in = await self._entered(request)
        state, after = request.query_params.get("state") or None, request.query_params.get("after", "")[:200]
        if state not in {None, *get_args(book.ItemState)}:
            raise Refused(Kind.INVALID, "There is no such kind of result. Choose one on the page.")
        status = await self._bulk.status(signed_in.caller, _known(operation_id))
        results = await self._bulk.results(
            signed_in.caller,
            operation_id,
            state=state,  # type: ignore[arg-type]  # checked above
            after=after,
            limit=RESULTS,
        )
        return self._pages.show(
            request,
            signed_in,
            "bulk_operation.html",
            status=200,
            operation=status,
            results=results,
            state=state or "",
            after=after,
            more=results[-1].instance_id if len(results) == RESULTS else "",
        )

    async def continue_(self, request: Request, operation_id: str) -> Response:
        """Continue with items that failed or have no result yet."""
        signed_in = await self._entered(request)
        given = await self._given(request, signed_in)
        address = f"/bulk/{_known(operation_id)}"
        try:
            await self._bulk.continue_(signed_in.caller, operation_id, given.get("reason", "")[:LONGEST_FORM_REASON])
        except Refused as refusal:
            if refusal.kind not in CORRECTABLE:
                raise
            return self._pages.go(request, address, refusal.message, good=False)
        return self._pages.go(request, address, "It goes on with what was left.")

    # ---- inside -----------------------------------------------------------------------------------------------------

    async def _entered(self, request: Request) -> SignedInRequest:
        signed_in = await self._pages.enter(request)
        await self._access.demand(signed_in.caller, Action.BULK)
        return signed_in

    async def _given(self, request: Request, signed_in: SignedInRequest) -> dict[str, str]:
        form = await self._pages.form(request, signed_in)
        return {name: typed(value) for name, value in form.items()}

    async def _planned(self, signed_in: SignedInRequest, given: Mapping[str, str]) -> Plan:
        action = given.get("action", "")
        if action not in IN_BULK:
            raise Refused(Kind.INVALID, f"Choose what is to be done: {', '.join(IN_BULK)}.")
        wanted: dict[str, Any] = {name: given[name] for name in TEXTS if given.get(name)}
        wanted |= {name: True for name in FLAGS if given.get(name)}
        return await self._bulk.dry_run(signed_in.caller, action, BulkFilter.model_validate(wanted))

    async def _form(
        self, request: Request, signed_in: SignedInRequest, given: Mapping[str, str], mistake: str
    ) -> Response:
        recent = await self._bulk.begun(signed_in.caller, RECENT)
        return self._pages.show(
            request,
            signed_in,
            "bulk.html",
            status=422 if mistake else 200,
            given=given,
            mistake=mistake,
            actions=tuple(IN_BULK),
            statuses=STATUSES,
            recent=recent,
            names=await self._names.of([each.actor for each in recent]),
        )

    async def _plan(
        self, request: Request, signed_in: SignedInRequest, plan: Plan, token: str, mistake: str
    ) -> Response:
        people = [name for line in plan.lines for name in (*line.waiting_on, line.requester)]
        return self._pages.show(
            request,
            signed_in,
            "bulk_plan.html",
            plan=plan,
            token=token,
            mistake=mistake,
            names=await self._names.of(people),
        )


def _known(operation_id: str) -> str:
    if len(operation_id) != 32 or not operation_id.isalnum():  # noqa: PLR2004 a UUID's hex digits
        raise unknown(operation_id)
    return operation_id


def _sentence(error: ValidationError) -> str:
    first = first_mistake(error)
    return f"“{first['loc'][0]}” is not usable: {clause(first)}. Nothing was done."
