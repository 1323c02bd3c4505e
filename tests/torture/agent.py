"""A stranger's agent: it asks by MCP over standard input and output, with the official client, and pays.

COUNTERSIGN_URL=… COUNTERSIGN_API_KEY=… python -m tests.torture.agent LEDGER
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters

from tests.torture.paying import pay

LEDGER = Path(sys.argv[1])
SERVER = StdioServerParameters(
    command=sys.executable, args=["-m", "bot.cli", "mcp", "--open-at-most", "200"], env=dict(os.environ)
)


async def refund(client: Client, order: str) -> None:
    """Ask, and look for the answer until there is one; what fails is tried again."""
    said = await call(client, "ask_human", kind="refund", subject=f"Refund order {order}", why="a parcel was lost",
                      amount="250", currency="EUR")  # fmt: skip
    while isinstance(said, str) or said["status"] in {"starting", "waiting"}:
        if isinstance(said, str):
            (LEDGER / f"{order}.problem").write_text(said)
            return  # the look at the folder begins it again
        said = await call(client, "check_answer", request_id=said["id"], wait_seconds=20)
    if said["approved"]:
        pay(LEDGER, order)
    else:
        (LEDGER / f"{order}.end").write_text(said["status"])


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """Call a tool; returns its answer, or its message if it is an error."""
    result = await client.call_tool(tool, arguments)
    return result.content[0].text if result.is_error else result.structured_content  # type: ignore[union-attr]


def wanted() -> list[str]:
    """Return the orders that have no end yet."""
    orders = [path.stem for path in LEDGER.glob("mcp*.wanted")]
    return [order for order in orders if not (LEDGER / f"{order}.end").exists()]


async def main() -> None:
    """Work on every order that is wanted and has no end."""
    tasks: dict[str, asyncio.Task[None]] = {}
    async with Client(SERVER) as client:
        while True:
            for order in wanted():
                if order not in tasks or tasks[order].done():
                    tasks[order] = asyncio.create_task(refund(client, order))
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main())
