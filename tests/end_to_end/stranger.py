"""A stranger's service: it knows Countersign's client or its REST API, and nothing else of this repository.

    COUNTERSIGN_URL=… COUNTERSIGN_API_KEY=… STRANGERS_HOOKS_PORT=8001 python stranger.py 8000 LEDGER
    STRANGERS_SECRET=whsec_… python stranger.py 8001 LEDGER

POST /refunds/{order} asks for a human yes in the background and pays once. It waits for the answer; for an order that
begins with `hook`, or with `rest`, which is asked for without the client, the second process is told by a webhook. A
restart goes on with what was asked for: its own database is a folder of files, and the client's key is the order.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import countersign
import httpx
import standardwebhooks
import uvicorn
from fastapi import FastAPI, Request

PORT, LEDGER = int(sys.argv[1]), Path(sys.argv[2])
SECRET = os.environ.get("STRANGERS_SECRET", "")
HOOKS = f"http://127.0.0.1:{os.environ.get('STRANGERS_HOOKS_PORT', PORT)}/hooks"
TASKS: dict[str, asyncio.Task[None]] = {}
REFUND: dict[str, Any] = {"kind": "refund", "amount": 250, "currency": "EUR"}


async def refund(order: str) -> None:
    """Ask, and wait for the answer or leave it to the webhook. An app that is away for long is asked again."""
    ways = {"hook": begin_hooked, "rest": begin_by_rest}
    while True:
        try:
            await ways.get(order[:4], asked_and_paid)(order)
        except (countersign.Unreachable, httpx.HTTPError) as away:
            (LEDGER / f"{order}.problem").write_text(str(away))
            await asyncio.sleep(1)
        else:
            return


async def asked_and_paid(order: str) -> None:
    """Wait for the yes, then pay; write down the end."""
    try:
        await countersign.aask(f"Refund order {order}", key=f"refund:{order}", **REFUND)
    except countersign.NotApproved as no:
        (LEDGER / f"{order}.end").write_text(no.request.status)
    else:
        pay(order)


async def begin_hooked(order: str) -> None:
    """Ask, and name the address that is told the answer."""
    async with countersign.AsyncClient() as client:
        await client.start(f"Refund order {order}", key=f"refund:{order}", callback=f"{HOOKS}/{order}", **REFUND)


async def begin_by_rest(order: str) -> None:
    """Do the same without the client."""
    body = {"subject": f"Refund order {order}", "callback": f"{HOOKS}/{order}", **REFUND}
    token = os.environ["COUNTERSIGN_API_KEY"]
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"refund:{order}"}
    async with httpx.AsyncClient(base_url=os.environ["COUNTERSIGN_URL"], headers=headers, timeout=30) as http:
        (await http.post("/requests", json=body)).raise_for_status()


def pay(order: str) -> None:
    """Pay once: a kill may come between the payment and its note, and the order is the payment's own key."""
    with (LEDGER / f"{order}.paid").open("a") as paid:
        if not paid.tell():
            paid.write("paid\n")
    (LEDGER / f"{order}.end").write_text("refunded")


def known() -> list[str]:
    """Return the orders that were asked for."""
    return [path.stem for path in LEDGER.glob("*.wanted") if not path.stem.startswith("mcp")]


def begin(order: str) -> None:
    """Work on an order that has no end yet."""
    if not (LEDGER / f"{order}.end").exists() and order not in TASKS:
        TASKS[order] = asyncio.create_task(refund(order))


@asynccontextmanager
async def life(_app: FastAPI) -> AsyncIterator[None]:
    """Go on with what an earlier process had begun. One that has no key only hears."""
    for wanted in known() if "COUNTERSIGN_API_KEY" in os.environ else ():
        begin(wanted)
    yield


app = FastAPI(lifespan=life)


@app.post("/refunds/{order}")
async def ask(order: str) -> str:
    """Take a refund: durable before it is acknowledged."""
    (LEDGER / f"{order}.wanted").touch()
    begin(order)
    return "asked"


@app.post("/hooks/{order}")
async def hear(order: str, request: Request) -> str:
    """Take the answer if it is signed. It may come again, and is taken once."""
    body = await request.body()
    if order.startswith("rest"):
        said = standardwebhooks.Webhook(SECRET).verify(body, dict(request.headers))
        told_as, type_ = request.headers["webhook-id"], said["type"]
    else:
        told = countersign.verify_webhook(body, request.headers, SECRET)
        told_as, type_ = told.id, told.type
    with (LEDGER / f"{order}.ids").open("a") as ids:
        ids.write(f"{told_as}\n")
    if type_ == "request.approved":
        pay(order)
    else:
        (LEDGER / f"{order}.end").write_text(type_.removeprefix("request."))
    return "taken"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
