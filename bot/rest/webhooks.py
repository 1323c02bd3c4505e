"""/webhooks: the log of deliveries, trying one again, a test delivery, and the secret that a receiver verifies by."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from approvals.policy.kinds import KIND_NAME
from bot.access.authenticating import Access, Caller
from bot.control.operations.webhooks import Deliveries, DeliveryShown, Tried
from bot.rest.callers import caller_of
from bot.rest.documented import SIGNED_IN, problems
from records.webhooks import State

DeliveryId = Annotated[str, Path(min_length=1, max_length=100, examples=["msg_5f0c9a7d1b3e4c5d8e9f0a1b2c3d4e5f"])]


class DeliveryQuery(BaseModel):
    """A filter of deliveries; all that are given must match."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = Field(None, description="`due`, `sent` or `given_up`")
    request: str | None = Field(None, min_length=1, max_length=200, description="the request's id")
    cursor: str | None = Field(None, max_length=100, description="from the page before")
    limit: int = Field(50, ge=1, le=200)


class DeliveryPage(BaseModel):
    """One page of deliveries, the newest first. Send `cursor` to go on; null at the end."""

    deliveries: tuple[DeliveryShown, ...]
    cursor: str | None


class Secrets(BaseModel):
    """The secrets that sign for the calling key, the newest first. One good signature is enough for a receiver."""

    secrets: tuple[str, ...] = Field(examples=[["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]])


class TestBody(BaseModel):
    """Where a test message is sent."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"url": "https://orders.example/hooks"}]})

    url: str = Field(min_length=1, max_length=2000)
    key: str = Field(
        "", max_length=100, description="for operators: the id of the key that signs; your own if left out"
    )


def routes(access: Access, deliveries: Deliveries) -> APIRouter:
    """Return the routes of webhooks."""
    router = APIRouter(prefix="/webhooks", tags=["webhooks"], dependencies=SIGNED_IN)
    who = Depends(caller_of(access))

    @router.get("/deliveries", responses=problems())
    async def list_deliveries(caller: Annotated[Caller, who], query: Annotated[DeliveryQuery, Query()]) -> DeliveryPage:
        """List what other systems were told, the newest first: the calling key's own, or all for an operator."""
        found, cursor = await deliveries.page(caller, **query.model_dump())
        return DeliveryPage(deliveries=found, cursor=cursor)

    @router.post("/deliveries/{delivery_id}/redrive", responses=problems(404, 409))
    async def redrive(delivery_id: DeliveryId, caller: Annotated[Caller, who]) -> DeliveryShown:
        """Deliver a message again, under the same id: its receiver may have lost it, or was away for three days."""
        return await deliveries.redrive(caller, delivery_id)

    @router.post("/test", responses=problems())
    async def test(body: TestBody, caller: Annotated[Caller, who]) -> Tried:
        """Send a signed message of the type `test` at once, and say what the receiver answered."""
        return await deliveries.test(caller, body.url, body.key)

    @router.get("/secret", responses=problems())
    async def get_secret(
        caller: Annotated[Caller, who],
        kind: Annotated[
            str | None,
            Query(pattern=f"^{KIND_NAME.pattern}$", description="for operators: of the `effect` of this kind"),
        ] = None,
    ) -> Secrets:
        """Show the secret that signs what the calling key is told, or what the effect of a kind is."""
        return Secrets(secrets=await deliveries.secrets(caller, kind))

    @router.post("/secret/rotate", responses=problems())
    async def rotate_secret(caller: Annotated[Caller, who]) -> Secrets:
        """Begin a new secret. The one before signs too, until the next rotation."""
        return Secrets(secrets=await deliveries.rotate(caller))

    return router
