"""A stranger's service: it knows Countersign's client and nothing else of this repository.

    STRANGERS_SECRET=whsec_… python stranger.py PORT LEDGER

POST /refunds/{order} asks for a human yes in the background and pays once. It waits for the answer; for an order that
begins with `hook` it is told by a webhook. A restart goes on with what was asked for: its own database is a folder of
files, and the client's key is the order.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import countersign
import uvicorn
from fastapi import FastAPI, Request

PORT, LEDGER = int(sys.argv[1]), Path(sys.argv[2])
SECRET = os.environ.get("STRANGERS_SECRET", "")
TASKS: dict[str, asyncio.Task[None]] = {}
REFUND: dict[str, Any] = {"kind": "refund", "amount": 250, "currency": "EUR"}


async def refund(order: str) -> None:
    """Ask, and wait for the answer or leave it to the webhook. An app that is away for long is asked again."""
    while True:
        try:
            await (begin_hooked if order.startswith("hook") else asked_and_paid)(order)
        except countersign.Unreachable as away:
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
        where = f"http://127.0.0.1:{PORT}/hooks/{order}"
        await client.start(f"Refund order {order}", key=f"refund:{order}", callback=where, **REFUND)


def pay(order: str) -> None:
    """Pay once: a kill may come between the payment and its note, and the order is the payment's own key."""
    with (LEDGER / f"{order}.paid").open("a") as paid:
        if not paid.tell():
            paid.write("paid\n")
    (LEDGER / f"{order}.end").write_text("refunded")


def known() -> list[str]:
    """Return the orders that were asked for."""
    return [path.stem for path in LEDGER.glob("*.wanted")]


def begin(order: str) -> None:
    """Work on an order that has no end yet."""
    if not (LEDGER / f"{order}.end").exists() and order not in TASKS:
        TASKS[order] = asyncio.create_task(refund(order))


@asynccontextmanager
async def life(_app: FastAPI) -> AsyncIterator[None]:
    """Go on with what an earlier process had begun."""
    for wanted in known():
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
    told = countersign.verify_webhook(await request.body(), request.headers, SECRET)
    with (LEDGER / f"{order}.ids").open("a") as ids:
        ids.write(f"{told.id}\n")
    if told.type == "request.approved":
        pay(order)
    else:
        (LEDGER / f"{order}.end").write_text(told.type.removeprefix("request."))
    return "taken"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
