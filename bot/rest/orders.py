"""POST /orders/{order_id}/start and /approve: an order asks, and a decision that does not come from Slack."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from approvals import ends
from approvals.authority import Action, Resource
from approvals.orders import instance_id_of
from approvals.request import ApprovalRequest, in_plain_digits
from bot.access.authenticating import Access, Caller
from bot.access.refusals import Kind, Refused, unusable
from bot.control.operations.asking import Asking, RequestInput
from bot.control.operations.ids import ORDER_ID, ORDER_ID_SENTENCE
from bot.control.operations.starting import StartedRequest, Starting
from bot.control.subjects import Subjects
from bot.decisions.submitting import Decisions
from bot.rest import deciding
from bot.rest.callers import may
from bot.rest.deciding import DecisionAnswer, DecisionBody
from bot.rest.documented import problems


def _order_id(value: str) -> str:
    if not ORDER_ID.fullmatch(value):
        raise ValueError(ORDER_ID_SENTENCE)
    return value


OrderId = Annotated[str, Path(examples=["42"]), AfterValidator(_order_id)]


class OrderBody(BaseModel):
    """An order. Everything but the amount has a default: the policy's currency, and the caller as requester."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "amount": "2400.00",
                    "currency": "USD",
                    "description": "Two replacement laptops",
                    "requester": "requester@example.com",
                }
            ]
        },
    )

    amount: Decimal | None = None
    currency: str | None = Field(None, pattern="^[A-Za-z]{3}$", description="ISO 4217")
    description: str | None = Field(None, max_length=3000)
    requester: str | None = Field(None, min_length=1, max_length=254, description="an e-mail or a Slack user id")
    details: dict[str, str] = Field(default_factory=dict, max_length=20)

    @field_validator("amount", mode="before")
    @classmethod
    def _a_number(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("the amount must be a number")  # noqa: TRY004 pydantic turns ValueErrors into 422
        return str(value) if isinstance(value, float) else in_plain_digits(value)


class StartedAnswer(BaseModel):
    """The order's workflow: new, or the one that the same call started before.

    `outcome` is how it ended, if it is over; then nothing was started, and `detail` says so.
    """

    instance_id: str = Field(examples=["order-42-workflow"])
    status: Literal["started"] = "started"
    new: bool = True
    outcome: str | None = None
    detail: str = ""


def routes(access: Access, asking: Asking, starting: Starting, subjects: Subjects, decisions: Decisions) -> APIRouter:
    """Return the routes of orders."""
    router = APIRouter(prefix="/orders", tags=["orders"])
    may_start = Depends(may(access, Action.START_ORDER))
    # Whether this person is asked, and whether the request is open, is the decision's own check.
    may_decide = Depends(may(access, Action.DECIDE, Resource(status="RUNNING", asked=True)))

    @router.post("/{order_id}/start")
    async def start(  # noqa: PLR0913, PLR0917 a tutorial's query form is taken too
        order_id: OrderId,
        caller: Annotated[Caller, may_start],
        body: OrderBody | None = None,
        amount: Annotated[str | None, Query(examples=["2400"])] = None,
        currency: Annotated[str | None, Query()] = None,
        description: Annotated[str | None, Query()] = None,
        requester: Annotated[str | None, Query()] = None,
    ) -> StartedAnswer:
        """Start an order's approval. The same call again answers the same instance."""
        query = {"amount": amount, "currency": currency, "description": description, "requester": requester}
        request = await _request(order_id, body or OrderBody(), query, caller, asking)
        started = await starting.ask(request, caller.actor, "rest")
        return _started(started)

    @router.post("/{order_id}/approve", responses={**problems(404, 409, 428), 202: {"model": DecisionAnswer}})
    async def approve(  # noqa: PLR0913, PLR0917 a tutorial's query form is taken too
        order_id: OrderId,
        caller: Annotated[Caller, may_decide],
        response: Response,
        body: DecisionBody | None = None,
        approved: Annotated[bool | None, Query()] = None,
        reason: Annotated[str | None, Query(max_length=1000)] = None,
        digest: Annotated[str | None, Query(max_length=64)] = None,
    ) -> DecisionAnswer:
        """Decide an order with an API key that belongs to a person who may.

        Without a body it approves; `?approved=false&reason=Over budget` rejects.
        """
        decision = _decision(body, {"approved": approved, "reason": reason, "digest": digest})
        return await deciding.decide(access, subjects, decisions, caller, instance_id_of(order_id), decision, response)

    return router


def _decision(body: DecisionBody | None, query: dict[str, Any]) -> DecisionBody:
    """Return the decision of a call, from its body or its query; of one that says nothing, a yes."""
    given = {name: value for name, value in query.items() if value is not None}
    if body is None:
        return DecisionBody.model_validate({"approved": True} | given)
    if given:
        raise Refused(
            Kind.INVALID,
            f"The decision stands in the body, and the query has '{next(iter(given))}' too. Send it in one place.",
        )
    return body


def _started(started: StartedRequest) -> StartedAnswer:
    if started.new:
        return StartedAnswer(instance_id=started.instance_id)
    detail = "This order was started before by the same call; it goes on."
    if started.outcome is not None:
        how = ends.shown(started.outcome)
        detail = f"This order is over: {how}. Nothing was started; another order needs another id."
    return StartedAnswer(instance_id=started.instance_id, new=False, outcome=started.outcome, detail=detail)


async def _request(
    order_id: str, body: OrderBody, query: dict[str, str | None], caller: Caller, asking: Asking
) -> ApprovalRequest:
    """Return the request that a call describes, in its body or (as tutorials do) in its query."""
    given = {name: value for name, value in query.items() if value is not None}
    twice = [name for name in given if getattr(body, name) is not None]
    if twice:
        raise Refused(Kind.INVALID, f"The {twice[0]} stands both in the query and in the body. Send it once.")
    try:
        merged = OrderBody.model_validate(body.model_dump(exclude_none=True) | given)
    except ValueError as error:
        raise unusable(error) from error
    if merged.amount is None:
        raise Refused(Kind.INVALID, "The amount is missing: send it in the body or as ?amount=2400.")
    given = merged.model_dump(exclude_none=True, exclude={"details"})
    return await asking.request(caller, RequestInput(subject=order_id, details=merged.details, **given))
