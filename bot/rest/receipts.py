"""Receipts of approvals and their use: a target system verifies the one, and asks for the other once."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel

from bot.access.authenticating import Access, Caller
from bot.control.operations.receipts import Consumed, Receipt, Receipts
from bot.rest.callers import caller_of
from bot.rest.documented import SIGNED_IN, problems
from bot.rest.requests import RequestId


class KeySet(BaseModel):
    """Public keys (RFC 7517)."""

    keys: tuple[dict[str, str], ...]


def routes(access: Access, receipts: Receipts) -> APIRouter:
    """Return the routes of receipts."""
    router = APIRouter(tags=["requests"], dependencies=SIGNED_IN)
    who = Depends(caller_of(access))

    @router.get("/requests/{request_id}/receipt", responses=problems(404, 409))
    async def get_receipt(request_id: RequestId, caller: Annotated[Caller, who]) -> Receipt:
        """Give a signed receipt of an approval: another system verifies it offline by one public key."""
        return await receipts.receipt(caller, request_id)

    @router.post("/requests/{request_id}/consume", responses=problems(404, 409))
    async def consume(
        request_id: RequestId,
        caller: Annotated[Caller, who],
        response: Response,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    ) -> Consumed:
        """Use an approval, once: of many calls one gets 200, the others 409.

        The same `Idempotency-Key` gets its 200 again, so that a caller who lost the answer knows that it was theirs.
        """
        found, new = await receipts.consume(caller, request_id, idempotency_key)
        if not new:
            response.headers["Idempotent-Replayed"] = "true"
        return found

    @router.get("/receipts/keys", responses=problems())
    async def get_receipt_keys(caller: Annotated[Caller, who]) -> KeySet:
        """Give the public keys that verify receipts, as a JWK Set, the current one first."""
        return KeySet(keys=receipts.public_keys())

    return router
