"""A stranger's service: it knows Countersign's client and nothing else of this repository.

    python stranger.py PORT LEDGER

POST /refunds/{order} asks for a human yes in the background and pays once. A restart goes on with what was asked for:
its own database is a folder of files, and the client's key is the order.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import countersign
import uvicorn
from fastapi import FastAPI

LEDGER = Path(sys.argv[2])
TASKS: dict[str, asyncio.Task[None]] = {}


async def refund(order: str) -> None:
    """Wait for the yes, then pay; write down the end."""
    try:
        await countersign.aask(
            f"Refund order {order}", kind="refund", amount=250, currency="EUR", key=f"refund:{order}"
        )
    except countersign.NotApproved as no:
        (LEDGER / f"{order}.end").write_text(no.request.status)
    else:
        with (LEDGER / f"{order}.paid").open("a") as paid:
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


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
