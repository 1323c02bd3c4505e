"""Services on an SQLite file and a fake engine: what a management call does, without a process."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from activities.callbacks import Callbacks
from activities.policies import PolicyFile
from approvals.authority import Role
from approvals.people import Person, Profile
from approvals.signing import parse_key_ring
from bot.access.authenticating import Access, Caller
from bot.access.throttle import Throttle
from bot.control.operations.calls import Given, Parts
from bot.control.operations.quotas import QuotaGuard
from bot.control.operations.single import Operations
from bot.control.operations.starting import Starting, StartParts
from bot.control.subjects import Subjects
from records import audit, notifications
from records.database import Database
from tests.fake_engine import FakeEngine
from tests.migrated import migrated

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
POLICY = """
version: 1
channel: approvals
currency: USD
rules:
  - name: small
    when: {currency: USD, amount: {below: 5000}}
    approve: [{email: manager@example.com}]
    within: 1 day
"""


class Notified:
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.rows: list[notifications.NotificationRow] = []

    def take(self, rows: Iterable[notifications.NotificationRow]) -> None:
        """Keep them."""
        self.rows.extend(rows)


class NoDirectory:
    """A Slack with the requester alone."""

    async def by_email(self, email: str) -> None:
        return None

    async def find(self, reference: str) -> Profile | None:
        known = reference == "req@example.com"
        return Profile(person=Person(team="T1", user="UREQ"), email=reference) if known else None

    async def members(self, group: str) -> frozenset[str]:
        return frozenset()


class House:
    """The services, and what they leave behind."""

    def __init__(self, database: Database, policy: Path) -> None:
        directory: Any = NoDirectory()
        self.engine = FakeEngine()
        engine: Any = self.engine
        self.database = database
        self.policy = policy
        self.notified = Notified()
        quotas = QuotaGuard(PolicyFile(policy))
        callbacks = Callbacks(["orders.example"])
        keys, policies = parse_key_ring("k" * 40), PolicyFile(policy)
        access = Access(
            database=database,
            directory=directory,
            policies=policies,
            key_ring=keys,
            clock=lambda: NOW,
            throttle=Throttle(),
        )
        subjects = Subjects(database, engine, access, directory, lambda: NOW)
        self.starting = Starting(
            StartParts(
                database=database,
                engine=engine,
                policies=policies,
                directory=directory,
                keys=keys,
                callbacks=callbacks,
                quotas=quotas,
                names=("approval_workflow", "nightly"),
                clock=lambda: NOW,
            )
        )
        parts = Parts(database, engine, self.notified, lambda: NOW)
        self.operations = Operations(parts, access, subjects, self.starting, turns_s=(0.0,))

    async def audited(self) -> list[str]:
        async with self.database.read() as connection:
            return [str(entry.action) for entry in reversed(await audit.page(connection))]


def caller(*roles: Role) -> Caller:
    return Caller(actor="key:1", email="op@example.com", roles=frozenset(roles), through="rest")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "policy.yml").write_text(POLICY)
    database = Database.open(await migrated(tmp_path / "house.db"))
    yield House(database, tmp_path / "policy.yml")
    await database.close()


@pytest.fixture
def given() -> Given:
    return Given(reason="because")
