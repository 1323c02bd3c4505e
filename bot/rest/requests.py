"""/requests and /kinds: any process asks for a human yes, of whatever kind the policy has rules for, and waits."""

import hashlib
import uuid
from decimal import Decimal
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from approvals.authority import Action, Resource
from approvals.orders import instance_id_of
from approvals.policy.condition import ORDER
from approvals.request import ApprovalRequest
from approvals.webhooks import Event
from bot.access.authenticating import Access, Caller
from bot.control.operations.asking import MOST_REQUEST_FIELDS, Asking, RequestInput
from bot.control.operations.starting import Starting
from bot.control.reading.kinds import Kinds, KindShown, Preview
from bot.control.reading.requests import RequestQuery, Requests, RequestShown
from bot.control.subjects import Subjects
from bot.decisions.submitting import Decisions
from bot.rest import deciding
from bot.rest.callers import caller_of, may
from bot.rest.deciding import DecisionAnswer, DecisionBody
from bot.rest.documented import SIGNED_IN, problems
from records.listing import MOST_COUNTED

LONGEST_WAIT_S = 60
RequestId = Annotated[str, Path(min_length=1, max_length=200, examples=["deploy-5f0c9a7d1b3e4c5d8e9f0a1b"])]
FieldValue = str | bool | int | float


class RequestBody(BaseModel):
    """A request for a human yes. `kind` is one that a rule of the policy is for.

    `fields` are those of the kind, if the policy declares it (`GET /kinds`); other kinds take any, as texts. `details`
    are for kinds that the policy does not declare.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"kind": "deploy", "subject": "web 7.1", "fields": {"env": "prod"}}]},
    )

    kind: str = Field(pattern="^[a-z][a-z0-9_-]{0,49}$", examples=["deploy"])
    subject: str = Field(min_length=1, max_length=100, description="for what: people read it on the card")
    amount: Decimal | None = Field(None, ge=0, description="if it is about money")
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", description="ISO 4217; the policy's own if left out")
    description: str = Field("", max_length=3000)
    fields: dict[str, FieldValue] = Field(default_factory=dict, max_length=MOST_REQUEST_FIELDS)
    details: dict[str, str] = Field(default_factory=dict, max_length=20)
    requester: str | None = Field(
        None, min_length=1, max_length=254, description="an e-mail or a Slack user id; the caller if left out"
    )
    callback: str | None = Field(
        None, min_length=1, max_length=2000, description="https URL that is told how it ended, as a signed webhook"
    )
    callback_events: tuple[Event, ...] = Field(
        (),
        max_length=2,
        description="what it is told of before that: `counted`, a yes counted and more are needed; `changed`, other "
        "people are asked, because a stage is done or was escalated",
    )

    @property
    def asked(self) -> RequestInput:
        """The body as the operations' input."""
        return RequestInput(**self.model_dump())


class WithdrawalBody(BaseModel):
    """A withdrawal by the one who asked."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"reason": "No longer needed"}]}
    )

    reason: str = Field("", max_length=1000, description="shown on the card, and kept in the audit")


class RequestPage(BaseModel):
    """One page of the list. Send `cursor`, or `previous`, as the cursor to go on, or back; null at the ends."""

    requests: tuple[RequestShown, ...]
    cursor: str | None
    previous: str | None = None
    before: int = Field(0, description="how many come before this page")
    total: int = Field(0, description=f"how many there are; exact up to {MOST_COUNTED:,}, more are one more")


class KindList(BaseModel):
    """The kinds that the policy declares, and those that its rules name."""

    kinds: tuple[KindShown, ...]


def routes(  # noqa: PLR0913, PLR0917 the services behind it
    access: Access,
    asking: Asking,
    starting: Starting,
    subjects: Subjects,
    decisions: Decisions,
    requests: Requests,
    kinds: Kinds,
) -> APIRouter:
    """Return the routes of requests."""
    router = APIRouter(tags=["requests"], dependencies=SIGNED_IN)
    may_ask, who = Depends(may(access, Action.START_ORDER)), Depends(caller_of(access))

    @router.post("/requests", status_code=201, responses=problems(409))
    async def ask(
        body: RequestBody,
        caller: Annotated[Caller, may_ask],
        response: Response,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    ) -> RequestShown:
        """Ask. The same `Idempotency-Key` with the same content answers the same request, whatever became of it."""
        request = await asking.request(caller, body.asked)
        instance_id = _instance_id(request, caller, idempotency_key)
        callback = await asking.callback(caller, body.asked)
        started = await starting.ask(request, caller.actor, "rest", instance_id, callback)
        response.headers["Location"] = f"/requests/{quote(instance_id, safe='')}"
        if not started.new:
            response.status_code = 200
            response.headers["Idempotent-Replayed"] = "true"
        return await requests.get(caller, instance_id)

    @router.post("/requests/preview", responses=problems())
    async def preview(body: RequestBody, caller: Annotated[Caller, may_ask]) -> Preview:
        """Say who would be asked, and until when. Nothing is started."""
        return await kinds.preview(await asking.request(caller, body.asked))

    @router.get("/requests", responses=problems())
    async def list_requests(caller: Annotated[Caller, who], query: Annotated[RequestQuery, Query()]) -> RequestPage:
        """List requests, newest first. Who may not see all of them sees their own."""
        page, shown = await requests.page(caller, query)
        return RequestPage(requests=shown, **page.model_dump(exclude={"lines"}))

    @router.get("/requests/{request_id}", responses=problems(404))
    async def get_request(
        request_id: RequestId,
        caller: Annotated[Caller, who],
        wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT_S, description="seconds to wait for its end")] = 0,
    ) -> RequestShown:
        """Show a request; with `wait`, once it has ended, or after that many seconds."""
        return await requests.get(caller, request_id, wait_s=wait)

    _answer_routes(router, access, subjects, decisions, requests)

    @router.get("/kinds", responses=problems())
    async def list_kinds(caller: Annotated[Caller, may_ask]) -> KindList:
        """List the kinds of request: their fields as JSON Schema, and whether the caller may ask for them."""
        return KindList(kinds=await kinds.shown(caller))

    return router


def _answer_routes(
    router: APIRouter, access: Access, subjects: Subjects, decisions: Decisions, requests: Requests
) -> None:
    may_ask = Depends(may(access, Action.START_ORDER))
    may_decide = Depends(may(access, Action.DECIDE, Resource(status="RUNNING", asked=True)))

    @router.post("/requests/{request_id}/decision", responses={**problems(404, 409), 202: {"model": DecisionAnswer}})
    async def decide(
        request_id: RequestId, body: DecisionBody, caller: Annotated[Caller, may_decide], response: Response
    ) -> DecisionAnswer:
        """Decide with an API key that belongs to a person who may."""
        return await deciding.decide(access, subjects, decisions, caller, request_id, body, response)

    @router.post("/requests/{request_id}/withdraw", responses={**problems(404, 409), 202: {"model": RequestShown}})
    async def withdraw(
        request_id: RequestId,
        caller: Annotated[Caller, may_ask],
        response: Response,
        body: WithdrawalBody = WithdrawalBody(reason=""),  # noqa: B008  # frozen
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    ) -> RequestShown:
        """Take a request back, as the one who asked or who submitted it. 202 if the workflow has not answered yet."""
        found = await requests.get(caller, request_id)
        who = await access.submitter(caller)
        answered = await deciding.withdraw(decisions, caller, who, found.id, body.reason, idempotency_key)
        response.status_code = 200 if answered else 202
        return await requests.get(caller, found.id)


def _instance_id(request: ApprovalRequest, caller: Caller, idempotency_key: str | None) -> str:
    """Return the instance's id: an order's own, or one that only this caller's key can give again."""
    if request.kind == ORDER:
        return instance_id_of(request.subject)
    if idempotency_key is None:
        return f"{request.kind}-{uuid.uuid4().hex[:24]}"
    asked = hashlib.sha256(f"{caller.own_ids}\n{idempotency_key}".encode())
    return f"{request.kind}-{asked.hexdigest()[:24]}"
