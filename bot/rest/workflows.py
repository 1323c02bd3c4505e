"""GET and POST /workflows: what runs, what became of it, and what operators do about it. No DELETE is offered."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from approvals.state import binding_of
from approvals.verbs import VERBS, Verb
from bot.access.authenticating import Access, Caller
from bot.control.operations.calls import Done, Given
from bot.control.operations.single import Operations
from bot.control.reading.lines import Workflow
from bot.control.reading.list_query import ListQuery
from bot.control.reading.overview import Overview, Source, TimeLineEvent, listed
from bot.control.subjects import Subject
from bot.rest.callers import caller_of
from bot.rest.documented import SIGNED_IN, problems
from cards.values import Diagnosis
from records.listing import MOST_COUNTED

Reference = Annotated[
    str, Path(min_length=1, max_length=200, description="an instance id, or an order's id", examples=["42"])
]
Reason = Annotated[str, Field(max_length=1000, description="kept in the audit with your name")]
Clock = Callable[[], datetime]


class WorkflowPage(BaseModel):
    """One page of the list. Send `cursor`, or `previous`, as the cursor to go on, or back; null at the ends."""

    workflows: tuple[Workflow, ...]
    cursor: str | None
    previous: str | None = None
    before: int = Field(0, description="how many come before this page")
    total: int = Field(0, description=f"how many there are; exact up to {MOST_COUNTED:,}, more are one more")
    sees_all: bool = Field(False, description="whether you may see everybody's; what waits for you is yours alone")


class WorkflowDetail(BaseModel):
    """One instance, with what went in and came out for those who may see it."""

    workflow: Workflow
    purged: bool = Field(description="the engine has forgotten its history; the audit stays")
    failure: str | None = None
    digest: str | None = Field(
        None, description="of the request as it is asked; a decision sends it to say what was seen"
    )
    payloads_shown: bool = Field(description="whether your role may see input and output")
    input: Any = None
    output: Any = None


class History(BaseModel):
    """The engine's and the business's events on one time line, oldest first."""

    events: tuple[TimeLineEvent, ...]


class Diagnoses(BaseModel):
    """Why it does not go on, the most likely answer first."""

    answers: tuple[Diagnosis, ...]


def _example(**body: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [body]})


class StartBody(BaseModel):
    """A workflow to start. Without an id one is made up; `start_at` is a moment with its time zone."""

    model_config = _example(
        name="approval_workflow",
        input={"subject": "INV-7", "amount": "120.00", "currency": "USD", "requester": "requester@example.com"},
        instance_id="invoice-7",
    )

    name: str = Field(min_length=1, max_length=200)
    input: Any = None
    instance_id: str | None = Field(None, min_length=1, max_length=128)
    start_at: AwareDatetime | None = None
    reason: Reason = ""


class NeededReason(BaseModel):
    """Why."""

    model_config = _example(reason="The supplier has withdrawn the offer")

    reason: str = Field(min_length=1, max_length=1000, description="kept in the audit with your name")


class OptionalReason(BaseModel):
    """Why, if there is something to say."""

    model_config = _example(reason="Looked into it")

    reason: Reason = ""


class PurgeBody(OptionalReason):
    """`force` also takes an instance that is wedged and cannot end any more."""

    force: bool = False


class RerunBody(OptionalReason):
    """The event to run again from, by its id in the history: a scheduled task, a timer or a child workflow."""

    model_config = _example(event_id=3, reason="The ledger was down")

    event_id: int = Field(ge=0, le=2**31 - 1)
    new_instance_id: str | None = Field(None, min_length=1, max_length=128)


class EventBody(OptionalReason):
    """The event's payload: an object with something in it, for the engine delivers an empty one as nothing."""

    model_config = _example(input={"paid": True}, reason="The bank called")

    input: dict[str, Any]


def routes(access: Access, operations: Operations, overview: Overview, clock: Clock) -> APIRouter:
    """Return the routes of workflows."""
    router = APIRouter(prefix="/workflows", tags=["workflows"], dependencies=SIGNED_IN)
    _reading(router, Depends(caller_of(access)), overview, clock)
    _acting(router, Depends(caller_of(access)), operations)
    return router


def order_routes(access: Access, overview: Overview) -> APIRouter:
    """Return the route that reads an order."""
    router = APIRouter(prefix="/orders", tags=["orders"], dependencies=SIGNED_IN)

    @router.get("/{order_id}", responses=problems(404))
    async def get_order(order_id: Reference, caller: Annotated[Caller, Depends(caller_of(access))]) -> WorkflowDetail:
        """Show an order: where it stands, who has decided, what it is about."""
        subject = await overview.get(caller, order_id)
        return await _detail(overview, subject, shown=await overview.payloads(caller, subject))

    return router


def _reading(router: APIRouter, who: Any, overview: Overview, clock: Clock) -> None:
    @router.get("", responses=problems())
    async def list_workflows(caller: Annotated[Caller, who], query: Annotated[ListQuery, Query()]) -> WorkflowPage:
        """List workflows, newest first. Who may not see all of them sees their own.

        `waiting_on=me` lists what waits for your own decision, the next deadline first.
        """
        page = await listed(overview, caller, query, clock())
        return WorkflowPage(workflows=page.lines, **page.model_dump(exclude={"lines"}))

    @router.get("/{reference}", responses=problems(404))
    async def get_workflow(reference: Reference, caller: Annotated[Caller, who]) -> WorkflowDetail:
        """Show one workflow."""
        subject = await overview.get(caller, reference)
        return await _detail(overview, subject, shown=await overview.payloads(caller, subject))

    @router.get("/{reference}/history", responses=problems(404))
    async def get_history(
        reference: Reference, caller: Annotated[Caller, who], source: Source | None = None
    ) -> History:
        """Show what happened to it: who did what (`source=business`), the engine's events, or both on one time line."""
        return History(events=await overview.history(caller, reference, source))

    @router.get("/{reference}/diagnosis", responses=problems(404))
    async def get_diagnosis(reference: Reference, caller: Annotated[Caller, who]) -> Diagnoses:
        """Say why it does not go on, with the evidence and the next step."""
        return Diagnoses(answers=await overview.diagnosis(caller, reference))


def _acting(router: APIRouter, who: Any, operations: Operations) -> None:
    @router.post("", status_code=201, responses=problems(409))
    async def start_workflow(body: StartBody, caller: Annotated[Caller, who], response: Response) -> Done:
        """Start a workflow by its name. An id that has run is not run again."""
        done = await operations.start(
            caller, body.name, body.input, instance_id=body.instance_id, start_at=body.start_at, reason=body.reason
        )
        response.headers["Location"] = f"/workflows/{quote(done.instance_id, safe='')}"
        return done

    for verb in VERBS.values():
        if verb.plain:
            _offer(router, who, operations, verb)

    @router.post("/{reference}/purge", responses=problems(404, 409))
    async def purge_workflow(
        reference: Reference, caller: Annotated[Caller, who], body: PurgeBody | None = None
    ) -> Done:
        """Forget a finished workflow's history. Its audit entries stay."""
        given = Given(**(body or PurgeBody()).model_dump())
        return await operations.act(caller, VERBS["purge"], reference, given)

    @router.post("/{reference}/rerun", responses=problems(404, 409))
    async def rerun_workflow(reference: Reference, body: RerunBody, caller: Annotated[Caller, who]) -> Done:
        """Run a finished workflow again from one of its events, as a new instance."""
        given = Given(reason=body.reason, event_id=body.event_id, new_id=body.new_instance_id)
        return await operations.act(caller, VERBS["rerun"], reference, given)

    @router.post("/{reference}/raise-event/{name}", responses=problems(404, 409))
    async def raise_event(
        reference: Reference,
        name: Annotated[str, Path(min_length=1, max_length=200, examples=["payment_confirmed"])],
        body: EventBody,
        caller: Annotated[Caller, who],
    ) -> Done:
        """Raise an event at a waiting workflow. A decision is not raised so: it has to be a person's own."""
        given = Given(reason=body.reason, event=name, payload=body.input)
        return await operations.act(caller, VERBS["raise-event"], reference, given)


def _offer(router: APIRouter, who: Any, operations: Operations, verb: Verb) -> None:
    """Add the route of a verb that takes a reason and nothing else."""

    async def needed(reference: Reference, body: NeededReason, caller: Annotated[Caller, who]) -> Done:
        return await operations.act(caller, verb, reference, Given(reason=body.reason))

    async def optional(
        reference: Reference, caller: Annotated[Caller, who], body: OptionalReason | None = None
    ) -> Done:
        return await operations.act(caller, verb, reference, Given(reason=body.reason if body else ""))

    router.add_api_route(
        f"/{{reference}}/{verb.name}",
        needed if verb.needs_reason else optional,
        methods=["POST"],
        name=f"{verb.name}_workflow",
        description=f"{verb.summary} {verb.warning}",
        responses=problems(404, 409),
    )


async def _detail(overview: Overview, subject: Subject, *, shown: bool) -> WorkflowDetail:
    engine, row = subject.engine, subject.row
    return WorkflowDetail(
        workflow=await overview.line(subject),
        purged=engine is None,
        failure=engine.failure if engine and shown else None,
        digest=binding_of(row.state).digest if row and row.state else None,
        payloads_shown=shown,
        input=_json(engine.input if engine else None) if shown else None,
        output=_json((engine.output if engine else None) or (row.output if row else None)) if shown else None,
    )


def _json(text: str | None) -> Any:
    """Return a payload as text: another program's need not be JSON."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text
