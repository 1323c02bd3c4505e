"""The app's own parts in one loop: an SQLite file, a local Slack, a fake engine. No server and no second process."""

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import sqlalchemy as sa

from activities.bulk import BulkActivities
from activities.slack.directory import Directory
from approvals.authority import Role
from approvals.request import ApprovalRequest
from bot.access.authenticating import Caller
from bot.control.operations.bulk_items import BulkItems
from bot.engine.worker import ACTIVITIES
from bot.process.settings import Settings
from bot.services import Services
from cards import request_card
from local.slack import Delivery, LocalSlack, Message
from local.slack.http_delivery import HttpDelivery
from local.slack.transport import FAILED, Envelope
from records import audit, instances, intake, tables
from tests.fake_engine import FakeEngine
from tests.migrated import migrated

ROOT = Path(__file__).parents[1]
T = TypeVar("T")
CHANNEL = "approvals"
NAME = "countersign.db"


class Clock:
    """The real time, and what a test has added to it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Straight(HttpDelivery):
    """Carries what people do in Slack to the app's ingress without a server between them."""

    def __init__(self, services: Services) -> None:
        super().__init__("secret", 3.0)
        self._services = services
        self._loop = asyncio.get_running_loop()
        self.deliver_to = "the app in this process"

    async def deliver(self, envelope: Envelope) -> Delivery:
        """Hand it to the app's loop and wait for the answer here."""
        body, started = json.dumps(envelope.payload), time.perf_counter()
        fingerprint = hashlib.sha256((body + secrets.token_hex(4)).encode()).hexdigest()
        asked = self._services.ingress.answer(envelope.payload, fingerprint)
        answer = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked, self._loop))
        error = None if answer.status < BAD else FAILED
        taken = time.perf_counter() - started
        return Delivery(envelope.kind, envelope.payload, answer.status, answer.body.decode(), taken, error)


BAD = 300


class Program:
    """What a test needs to act and to look."""

    def __init__(self, folder: Path, slack: LocalSlack, **settings: Any) -> None:
        self.clock = Clock()
        self.slack = slack
        self.engine = FakeEngine(self.clock)
        self.policy = folder / "policy.yml"
        self.policy.write_text((ROOT / "policy.yml").read_text())
        values = {
            "slack_bot_token": slack.bot_token,
            "slack_signing_secret": slack.signing_secret,
            "slack_api_url": slack.api_url,
            "database_url": f"sqlite:///{folder / NAME}",
            "policy": self.policy,
            "secret_key": "k" * 48,
        }
        self.services = Services(Settings(_env_file=None, **(values | settings)))
        directory = Directory(self.services.slack, lambda: time.monotonic() + self.clock.ahead.total_seconds())
        replaced = {
            "directory": directory,
            "clock": self.clock,
            "engine": self.engine,
            "worker": SimpleNamespace(ready=True),
        }
        vars(self.services).update(replaced)

    def plays(self) -> None:
        """Let scheduled workflows run, with the app's activities."""
        services = self.services
        self.engine.activities = {name: getattr(services.activities, name) for name in ACTIVITIES}
        batches = BulkActivities(services.database, BulkItems(services.operations, services.database).act, self.clock)
        self.engine.activities["bulk_batch"] = batches.bulk_batch

    async def later(self, **time: float) -> None:
        """Let time pass for everything at once."""
        self.clock.ahead += timedelta(**time)
        self.engine.tick()

    async def close(self) -> None:
        """Close what was opened."""
        await self.services.notifier.stop(0.2)
        await self.services.background.drain(0.2)
        await self.engine.close()
        await self.services.slack.close()
        await self.services.http.aclose()
        await self.services.database.close()

    # ---- requests

    async def start(self, subject: str = "42", amount: str = "2400", **fields: Any) -> str:
        """Start an order as a program does; returns its instance id."""
        known = {"subject": subject, "amount": amount, "currency": "USD", "requester": "requester@example.com"}
        request = ApprovalRequest(**known | fields)
        return (await self.services.starting.ask(request, "key:1", "rest")).instance_id

    async def asked(self, subject: str = "42", amount: str = "2400", **fields: Any) -> str:
        """Start an order and wait until its card stands."""
        instance_id = await self.start(subject, amount, **fields)
        await eventually(lambda: self.row(instance_id), lambda row: row.shown != "")
        return instance_id

    async def row(self, instance_id: str) -> instances.Instance:
        async with self.services.database.read() as connection:
            found = await instances.get(connection, instance_id)
        assert found is not None
        return found

    async def becomes(self, instance_id: str, phase: str) -> instances.Instance:
        """Wait until a request's row is in a phase."""
        return await eventually(lambda: self.row(instance_id), lambda row: row.phase == phase)

    async def begun(self, instance_id: str, **changes: Any) -> None:
        """Make a row without an instance."""
        async with self.services.database.write() as connection:
            known = instances.Known(instance_id=instance_id, name="approval_workflow")
            await instances.insert(connection, known, self.clock())
        await self.mark(instance_id, **changes)

    async def forget_rows(self) -> None:
        """Lose the read model, as by a restore of an older database."""
        async with self.services.database.write() as connection:
            await connection.execute(sa.delete(tables.instances))

    async def becomes_audited(self, instance_id: str, action: str) -> list[str]:
        """Wait until an action is in a request's audit."""
        return await eventually(lambda: self.audited(instance_id), lambda found: action in found)

    async def mark(self, instance_id: str, **changes: Any) -> None:
        """Change a row as something else has left it."""
        async with self.services.database.write() as connection:
            await instances.project(connection, instance_id, instances.Changes(**changes), self.clock())

    async def verdicts(self, instance_id: str) -> list[str | None]:
        """Return the answers to a request's decisions, None for one that has none yet."""
        async with self.services.database.read() as connection:
            found = await intake.of_instance(connection, instance_id)
        return [row.verdict["reason"] if row.verdict else None for row in found]

    async def audited(self, instance_id: str = "") -> list[str]:
        async with self.services.database.read() as connection:
            if instance_id:
                return [str(entry.action) for entry in await audit.of_instance(connection, instance_id)]
            return [str(entry.action) for entry in reversed(await audit.page(connection))]

    async def ended(self, instance_id: str) -> dict[str, Any]:
        """Wait for the workflow's end and return its output."""
        await eventually(lambda: self.engine.state(instance_id), lambda state: state is None or state.finished)
        found = await self.engine.state(instance_id)
        assert found is not None
        return json.loads(found.output or "null")

    # ---- people in Slack

    def card(self, instance_id: str) -> Message:
        """Return a request's newest card."""
        return next(
            each
            for each in reversed(self.slack.messages(CHANNEL))
            if ((each.metadata or {}).get("event_payload") or {}).get("instance_id") == instance_id
        )

    async def click(self, user: str, instance_id: str, action: str = request_card.APPROVE) -> Any:
        """Press a button of a request's card."""
        return await self.slack.act_as(user).click(CHANNEL, self.card(instance_id).ts, action)

    def private(self, user: str) -> list[str]:
        """Return what only this person sees in messages and modals, and what the bot wrote to them."""
        messages = [message.text for message in (*self.slack.ephemerals(user), *self.slack.dms(user))]
        return messages + [json.dumps(view.blocks, ensure_ascii=False) for view in self.slack.modals(user)]

    async def told(self, user: str, part: str) -> list[str]:
        return [text for text in self.private(user) if part in text]

    async def hears(self, user: str, part: str) -> str:
        """Wait until a person was told something that holds `part`."""
        return (await eventually(lambda: self.told(user, part)))[-1]

    async def modals(self, user: str) -> list[Any]:
        return self.slack.modals(user)


def caller(*roles: Role, email: str = "op@example.com", through: Any = "rest") -> Caller:
    """Return a proven person with these roles."""
    return Caller(actor="key:1", email=email, roles=frozenset(roles), through=through)


async def eventually(look: Callable[[], Awaitable[T]], good: Callable[[T], object] = bool, seconds: float = 10.0) -> T:
    """Look until it is good. Raises: AssertionError with what was last seen."""
    end = time.monotonic() + seconds
    while True:
        found = await look()
        if good(found):
            return found
        if time.monotonic() > end:
            raise AssertionError(f"never came true: {found!r}")
        await asyncio.sleep(0.005)


@asynccontextmanager
async def in_process(folder: Path, **settings: Any) -> AsyncIterator[Program]:
    """Give the app's parts, with workflows that run."""
    async with LocalSlack(manifest=ROOT / "manifest.yml") as slack:
        await migrated(folder / NAME)
        program = Program(folder, slack, **settings)
        slack.workspace.http = Straight(program.services)
        program.plays()
        yield program
        await program.close()
