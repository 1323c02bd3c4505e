"""Groups as all processes know them: one asks Slack, a change is known to all, and no forged row makes a member."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError
from activities.slack.shared_answers import SharedAnswers
from approvals.signing import KeyRing
from local.slack import LocalSlack
from records.database import Database
from records.slack_answers import GROUPS, SlackAnswer
from records.tables import slack_answers
from tests.migrated import migrated

REPLICAS = 5
GROUPS_IN_USE = ("@managers", "@vps", "S0OPERATORS")
KEYS = KeyRing({"k1": "a-secret-of-the-tests-that-is-long-enough"})


class Replicas:
    """Directories of as many processes, with one workspace and one database."""

    def __init__(self, workspace: LocalSlack, database: Database, stack: AsyncExitStack) -> None:
        self.workspace = workspace
        self.database = database
        self.shared = [self.answers(str(number)) for number in range(REPLICAS)]
        clients = [Slack(workspace.bot_token, workspace.api_url) for _ in self.shared]
        for client in clients:
            stack.push_async_callback(client.close)
        self.directories = [Directory(one, shared=each) for one, each in zip(clients, self.shared, strict=True)]

    def answers(self, me: str, keys: KeyRing = KEYS) -> SharedAnswers:
        return SharedAnswers(self.database, keys, me, lambda: datetime.now(UTC))

    def asked(self, method: str) -> int:
        return len(self.workspace.calls(method))

    async def members(self, group: str = "@managers") -> list[frozenset[str] | None]:
        return list(await asyncio.gather(*(each.members(group) for each in self.directories)))


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[Replicas]:
    database = Database.open(await migrated(tmp_path / "c.db"))
    async with AsyncExitStack() as stack:
        workspace = await stack.enter_async_context(LocalSlack())
        yield Replicas(workspace, database, stack)
        await database.close()


async def test_five_processes_ask_slack_as_often_as_one(replicas: Replicas) -> None:
    for group in GROUPS_IN_USE:
        found = await replicas.members(group)
        assert len(set(found)) == 1
        assert found[0]
    assert replicas.asked("usergroups.users.list") == len(GROUPS_IN_USE)
    assert replicas.asked("usergroups.list") == 1


class Overtaken(SharedAnswers):
    """Another process asks, answers and lets go between this one's first look and its lease."""

    other: SharedAnswers | None = None

    async def _kept(self, key: str, since: datetime) -> SlackAnswer | None:
        found = await super()._kept(key, since)
        if self.other is not None:
            other, self.other = self.other, None
            await other.get(key, 60, lambda: asyncio.sleep(0, ["U0OTHER"]))
        return found


async def test_an_answer_given_between_the_look_and_the_lease_is_read_and_slack_is_not_asked_again(
    replicas: Replicas,
) -> None:
    late = Overtaken(replicas.database, KEYS, "late", lambda: datetime.now(UTC))
    late.other = replicas.answers("other")
    assert await late.get("members S0X", 60, lambda: asyncio.sleep(0, ["U0LATE"])) == ["U0OTHER"]
    assert await replicas.answers("third").get("members S0X", 0, lambda: asyncio.sleep(0, ["U0NEW"])) == ["U0NEW"]


async def test_after_a_change_no_answer_of_before_counts_in_any_process(replicas: Replicas) -> None:
    assert await replicas.members() == [{"U0MANAGER", "U0MANAGER2"}] * REPLICAS
    await replicas.workspace.change_group("S0MANAGERS", members=("U0VP",))
    await replicas.shared[0].changed(GROUPS)
    for each in replicas.directories:
        each.on_notification(GROUPS)  # as PostgreSQL's notification tells all of them
    assert await replicas.members() == [{"U0VP"}] * REPLICAS
    assert replicas.asked("usergroups.users.list") == 2


async def test_a_person_who_changed_is_asked_for_again_and_so_is_who_was_not_found(replicas: Replicas) -> None:
    directory = replicas.directories[0]
    assert await directory.by_email("new@example.com") is None
    before = await directory.profile("U0MANAGER")
    assert before is not None
    assert not before.deactivated
    await replicas.workspace.change_user("U0MANAGER", deleted=True)
    await replicas.workspace.change_user("U0NEW", email="new@example.com")
    directory.on_notification("U0MANAGER")
    after = await directory.profile("U0MANAGER")
    assert after is not None
    assert after.deactivated
    assert await directory.by_email("new@example.com") is not None


async def test_a_row_that_none_of_our_processes_wrote_makes_nobody_a_member(replicas: Replicas) -> None:
    await replicas.members()
    async with replicas.database.write() as connection:
        forged = sa.update(slack_answers).where(slack_answers.c.key == "members S0MANAGERS")
        await connection.execute(forged.values(answer='["U0STRANGER"]'))
    fresh = Directory(Slack(replicas.workspace.bot_token, replicas.workspace.api_url), shared=replicas.answers("new"))
    assert await fresh.members("@managers") == {"U0MANAGER", "U0MANAGER2"}
    await fresh._slack.close()  # type: ignore[attr-defined]


async def test_a_failure_is_nobody_else_s_and_the_next_one_asks(replicas: Replicas) -> None:
    replicas.workspace.fault(method="usergroups.list", kind="error", error="fatal_error", count=1)
    found = await asyncio.gather(*(each.members("@vps") for each in replicas.directories), return_exceptions=True)
    assert sum(isinstance(each, LookupFailedError) for each in found) <= 1
    assert frozenset({"U0VP"}) in found


async def test_without_the_database_each_process_asks_by_itself(replicas: Replicas) -> None:
    await replicas.members()
    await replicas.database.close()
    lost = Database.open("sqlite:////nowhere/at/all.db")
    alone = SharedAnswers(lost, KEYS, "alone", lambda: datetime.now(UTC))

    async def ask() -> list[str]:
        return ["U0VP"]

    assert await alone.get("members S0VPS", 60, ask) == ["U0VP"]
    await lost.close()
