"""/requests: any process asks for a human yes, of whatever kind the policy has rules for, and waits for the answer."""

import hashlib
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from approvals.authority import Action, Resource
from approvals.orders import instance_id_of
from approvals.policy.condition import ORDER
from approvals.request import ApprovalRequest
from approvals.requesters import canonical
from bot.access.authenticating import Access, Caller
from bot.access.refusals import Kind, Refused
from bot.control.operations.orders import ID_SENTENCE, ORDER_ID, Orders
from bot.control.reading.lines import DecidedBy, Workflow
from bot.control.reading.overview import Overview
from bot.decisions.submitting import Decisions
from bot.rest import deciding
from bot.rest.callers import caller_of, may
from bot.rest.deciding import DecisionAnswer, DecisionBody
from bot.rest.documented import SIGNED_IN, problems
from bot.rest.orders import in_minor_units

LONGEST_WAIT_S = 60
RequestId = Annotated[str, Path(min_length=1, max_length=200, examples=["deploy-5f0c9a7d1b3e4c5d8e9f0a1b"])]


class RequestBody(BaseModel):
    """A request for a human yes. `kind` is one that a rule of the policy is for."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"kind": "deploy", "subject": "web 7.1", "details": {"commit": "5f0c9a7"}}],
        },
    )

    kind: str = Field(pattern="^[a-z][a-z0-9_-]{0,49}$", examples=["deploy"])
    subject: str = Field(min_length=1, max_length=100, description="for what: people read it on the card")
    amount: Decimal | None = Field(None, ge=0, description="if it is about money")
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", description="ISO 4217; the policy's own if left out")
    description: str = Field("", max_length=3000)
    details: dict[str, str] = Field(default_factory=dict, max_length=20)
    requester: str | None = Field(
        None, min_length=1, max_length=254, description="an e-mail or a Slack user id; the caller if left out"
    )


class RequestAnswer(BaseModel):
    """A request as its asker sees it. `status` is `starting`, `waiting`, `paused`, or how it ended (see `/docs`)."""

    id: str
    kind: str
    subject: str
    status: str = Field(examples=["waiting", "approved", "rejected", "timed_out"])
    amount: str | None
    currency: str | None
    requester: str
    waiting_on: tuple[str, ...]
    deadline: datetime | None
    decided_by: tuple[DecidedBy, ...]
    card_link: str | None
    created_at: datetime
    decided_at: datetime | None


def routes(access: Access, orders: Orders, decisions: Decisions, overview: Overview) -> APIRouter:
    """Return the routes of requests."""
    router = APIRouter(prefix="/requests", tags=["requests"], dependencies=SIGNED_IN)
    may_ask = Depends(may(access, Action.START_ORDER))
    may_decide = Depends(may(access, Action.DECIDE, Resource(status="RUNNING", asked=True)))
    who = Depends(caller_of(access))

    @router.post("", status_code=201, responses=problems(409))
    async def ask(
        body: RequestBody,
        caller: Annotated[Caller, may_ask],
        response: Response,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    ) -> RequestAnswer:
        """Ask. The same `Idempotency-Key` with the same content answers the same request, whatever became of it."""
        request = await _request(body, caller, orders)
        instance_id = _instance_id(request, caller, idempotency_key)
        started = await orders.start(request, caller.actor, "rest", instance_id)
        response.headers["Location"] = f"/requests/{instance_id}"
        if not started.new:
            response.status_code = 200
            response.headers["Idempotent-Replayed"] = "true"
        return await _answer(overview, caller, instance_id)

    @router.get("/{request_id}", responses=problems(404))
    async def get_request(
        request_id: RequestId,
        caller: Annotated[Caller, who],
        wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT_S, description="seconds to wait for its end")] = 0,
    ) -> RequestAnswer:
        """Say where a request stands; with `wait`, as soon as it has ended, at the latest after so many seconds."""
        if wait:
            await overview.one(caller, request_id)
            await overview.ended(request_id, wait)
        return await _answer(overview, caller, request_id)

    @router.post("/{request_id}/decision", responses={**problems(404, 409, 428), 202: {"model": DecisionAnswer}})
    async def decide(
        request_id: RequestId, body: DecisionBody, caller: Annotated[Caller, may_decide], response: Response
    ) -> DecisionAnswer:
        """Decide with an API key that belongs to a person who may."""
        return await deciding.decide(access, orders, decisions, caller, request_id, body, response)

    return router


async def _request(body: RequestBody, caller: Caller, orders: Orders) -> ApprovalRequest:
    if body.kind == ORDER and (body.amount is None or not ORDER_ID.fullmatch(body.subject)):
        raise Refused(Kind.INVALID, "The amount of the order is missing." if body.amount is None else ID_SENTENCE)
    if body.amount is None and body.currency is not None:
        raise Refused(Kind.INVALID, "There is a currency and no amount. Send both, or neither.")
    money: dict[str, Any] = {}
    if body.amount is not None:
        currency = body.currency or await orders.default_currency()
        money = {"amount": in_minor_units(body.amount, currency), "currency": currency}
    try:
        return ApprovalRequest(
            **body.model_dump(include={"kind", "subject", "description", "details"}),
            **money,
            requester=canonical(body.requester or caller.email),
            submitted_by=caller.email,
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "request"
        what = str(first["msg"]).removeprefix("Value error, ")
        raise Refused(Kind.INVALID, f"The {where} is not usable: {what}.") from error


def _instance_id(request: ApprovalRequest, caller: Caller, idempotency_key: str | None) -> str:
    """Return the instance's id: an order's own, or one that only this caller's key can give again."""
    if request.kind == ORDER:
        return instance_id_of(request.subject)
    if idempotency_key is None:
        return f"{request.kind}-{uuid.uuid4().hex[:24]}"
    asked = hashlib.sha256("\n".join((caller.key_id or caller.actor, idempotency_key)).encode())
    return f"{request.kind}-{asked.hexdigest()[:24]}"


async def _answer(overview: Overview, caller: Caller, request_id: str) -> RequestAnswer:
    subject = await overview.one(caller, request_id)
    line = await overview.line(subject)
    if not line.kind:
        raise Refused(Kind.NOT_FOUND, f"{request_id} is no request. /workflows shows every workflow.")
    return RequestAnswer(
        **line.model_dump(include=set(RequestAnswer.model_fields) - {"status", "decided_by"}),
        status=_status(line),
        decided_by=line.decided_by,
    )


def _status(line: Workflow) -> str:
    if line.outcome:
        return line.outcome
    return "paused" if line.status == "SUSPENDED" else "waiting" if line.phase == "waiting" else "starting"
