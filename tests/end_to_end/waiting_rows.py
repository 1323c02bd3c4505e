"""Many requests that wait, written where lists read: real ones would take minutes of Slack's rate limits."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from records import instances
from tests.end_to_end.system import System


def waiting(system: System, count: int, name: str, *, on: str = "group:managers", first_in: float = 60) -> None:
    """Write `count` orders `NAME-001` and so on. The last to begin has the next deadline, `first_in` minutes ahead."""
    now = datetime.now(UTC)

    async def write(connection: AsyncConnection) -> None:
        for number in range(count):
            known = instances.Known(
                instance_id=f"order-{name}-{number:03}-workflow",
                name="approval_workflow",
                kind="order",
                subject=f"{name}-{number:03}",
                engine_status="RUNNING",
                phase="waiting",
                amount=Decimal(500 + number),
                currency="USD",
                description=f"Printer paper, box {number}",
                requester="requester@example.com",
                waiting_on=(on,),
                barred=("requester@example.com", "u0requester", "t0local/u0requester"),
                asked_at=now,
                deadline=now + timedelta(minutes=first_in + count - number),
            )
            await instances.insert(connection, known, now - timedelta(minutes=1) + timedelta(milliseconds=number))

    system.records(write, write=True)
