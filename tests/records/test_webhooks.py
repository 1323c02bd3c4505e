"""The log of deliveries: what is over goes after a while, what is due never."""

from datetime import datetime, timedelta

from activities.webhooks.delivering import LOG_KEPT, Webhooks
from activities.webhooks.sending import WebhookSender
from approvals.signing import KeyRing
from records import webhooks
from records.database import Database
from records.webhooks import Delivery, State


def delivery(name: str, began: datetime, state: State) -> Delivery:
    return Delivery(
        id=name,
        instance_id="deploy-1",
        signer="key",
        url="https://orders.example/hooks",
        event="request.approved",
        body="{}",
        state=state,
        next_attempt_at=began + LOG_KEPT * 2 if state == "due" else None,
        created_at=began,
    )


async def test_what_was_over_long_ago_leaves_the_log_and_what_is_due_stays(database: Database, now: datetime) -> None:
    long_ago, lately = now - LOG_KEPT - timedelta(seconds=1), now - LOG_KEPT + timedelta(days=1)
    async with database.write() as connection:
        for name, began, state in (("a", long_ago, "sent"), ("b", long_ago, "due"), ("c", lately, "given_up")):
            await webhooks.enqueue(connection, delivery(name, began, state))
    sender = WebhookSender()
    await Webhooks(database, sender, KeyRing({"k1": "a secret of thirty-two characters"}), lambda: now).look()
    async with database.read() as connection:
        assert [each.id for each in await webhooks.page(connection)] == ["c", "b"]
    await sender.close()
