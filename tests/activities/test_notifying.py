"""What people are told is a row until Slack has taken it: told for certain, once, and after whatever went wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from activities import recording
from activities.policies import PolicyFile
from activities.slack.alarming import Alarms, alarm
from activities.slack.announcing import Announcer
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.notifier import NOTIFICATION_LEASE, Notifier
from activities.slack.sending import NotificationSender
from activities.telling import notifications_of, owed_by
from approvals.decision import Decision, Outcome, Reason, Verdict
from approvals.machine import Announce, Answer, CardPosted, Remind, Started, start, step
from approvals.messages import message_for
from approvals.people import Person, UserGroup
from approvals.request import ApprovalRequest, CardRef, Route, Stage
from approvals.state import State, binding_of
from bot.control.reconciling.card_repair import CardRepair
from cards import Message, private
from local.slack import LocalSlack
from records import instances, notifications
from records.database import Database
from tests.migrated import migrated

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
REQUESTER = Person(team="T0LOCAL", user="U0REQUESTER")
MANAGER = Person(team="T0LOCAL", user="U0MANAGER")


def waiting(card: CardRef | None = None) -> State:
    request = ApprovalRequest(subject="42", amount=Decimal(2400), currency="USD", requester="requester@example.com")
    stage = Stage(approvers=(UserGroup(group="managers"),), within=timedelta(hours=1))
    route = Route(rule="r", why="w", policy_version="0" * 12, channel="approvals", stages=(stage, stage))
    state, _ = step(start("order-42-workflow", request, route, NOON, requester=REQUESTER), Started(at=NOON))
    return step(state, CardPosted(card=card))[0] if card else state


def approved(state: State) -> State:
    outcome = Outcome(approved=True, reason="", rule="r", policy_version="0" * 12, digest="0" * 64, by=(), at=NOON)
    return state.model_copy(update={"phase": "over", "outcome": outcome})


def refused(state: State, through: str = "slack") -> Answer:
    decision = Decision.model_validate(
        {"id": "d1", "binding": binding_of(state), "person": MANAGER, "approved": True, "through": through, "at": NOON}
    )
    return Answer(decision=decision, verdict=Verdict(allowed=False, reason=Reason.TOO_LATE, rule="r"))


CARD = CardRef(channel="C0APPROVALS", ts="1.0")


@pytest.mark.parametrize(
    ("state", "effect", "kinds"),
    [
        (approved(waiting(CARD)), Announce(what="approved"), ["card", "thread", "requester"]),
        (approved(waiting()), Announce(what="approved"), ["requester"]),
        (approved(waiting(CARD)).model_copy(update={"requester": None}), Announce(what="approved"), ["card", "thread"]),
        (waiting(CARD), Announce(what="counted"), ["card", "thread"]),
        (waiting(CARD).model_copy(update={"stage": 1}), Announce(what="advanced"), ["card", "thread"]),
        (waiting(CARD), Remind(number=1, deadline=NOON), ["reminder"]),
        (waiting(), Remind(number=1, deadline=NOON), []),
        (waiting(CARD), refused(waiting()), ["answer"]),
        (waiting(CARD), refused(waiting(), through="rest"), []),
    ],
)
def test_a_step_tells_those_whom_it_concerns(
    state: State, effect: Announce | Remind | Answer, kinds: list[str]
) -> None:
    rows = notifications_of(state, effect)
    assert [row.kind for row in rows] == kinds
    assert rows == notifications_of(state, effect)
    assert len({row.id for row in rows}) == len(rows)


def test_what_a_repair_finds_owed_is_what_the_step_has_told() -> None:
    state = approved(waiting(CARD))
    assert owed_by(state, "approved") == notifications_of(state, Announce(what="approved"))
    assert owed_by(waiting(CARD), "waiting/0/0/0") == ()
    assert [row.kind for row in owed_by(waiting(CARD), "terminated")] == ["card", "thread", "requester"]


class Parts:
    """A notifier with all it needs, on a local Slack."""

    def __init__(self, workspace: LocalSlack, database: Database, now: Callable[[], datetime]) -> None:
        self.workspace = workspace
        self.database = database
        self.now = now
        self.slack = Slack(workspace.bot_token, workspace.api_url)
        self.notifiers: list[Notifier] = []
        self.policy = Path("policy.yml")

    def notifier(self) -> Notifier:
        directory = Directory(self.slack)
        announcer = Announcer(self.database, self.slack, directory, self.now)
        repair = CardRepair(self.database, announcer, directory, self.now)
        alarms = Alarms(self.database, self.slack, directory, PolicyFile(self.policy), self.now)
        sender = NotificationSender(self.database, self.slack, directory, announcer, repair, alarms)
        made = Notifier(self.database, sender, self.now)
        self.notifiers.append(made)
        return made

    async def posted(self) -> State:
        """Post a card, note it as the workflow does, and return where the request stands."""
        card = await self.slack.post("approvals", Message(text="card", blocks=()))
        state = waiting(card)
        async with self.database.write() as connection:
            await instances.insert(connection, instances.Known(instance_id=state.instance_id, name="w"), NOON)
        await self.projected(state)
        return state

    async def projected(self, state: State) -> None:
        async with self.database.write() as connection:
            changes = instances.Changes(**recording.projection(state), cards=state.cards)
            await instances.project(connection, state.instance_id, changes, NOON)

    async def enqueued(
        self, state: State, effect: Announce | Remind | Answer
    ) -> tuple[notifications.NotificationRow, ...]:
        await self.projected(state)
        async with self.database.write() as connection:
            return await notifications.enqueue(connection, notifications_of(state, effect), self.now())

    async def rows(self) -> tuple[notifications.NotificationRow, ...]:
        async with self.database.read() as connection:
            return await notifications.of_instance(connection, "order-42-workflow")

    def told(self, state: State) -> list[int]:
        """Count the thread's replies and the requester's direct messages."""
        return [
            len(self.workspace.thread("approvals", state.cards[0].ts)),
            len(self.workspace.dms("U0REQUESTER")),
        ]


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def parts(tmp_path: Path, clock: Clock) -> AsyncIterator[Parts]:
    database = Database.open(await migrated(tmp_path / "c.db"))
    async with LocalSlack() as workspace:
        found = Parts(workspace, database, clock)
        yield found
        for notifier in found.notifiers:
            await notifier.stop(0.1)
        await found.slack.close()
    await database.close()


async def sent(parts: Parts, count: int) -> None:
    for _ in range(200):
        if sum(row.result == "sent" for row in await parts.rows()) == count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(await parts.rows())


async def test_card_thread_and_requester_are_told_at_once_and_once(parts: Parts) -> None:
    state = approved(await parts.posted())
    new = await parts.enqueued(state, Announce(what="approved"))
    assert await parts.enqueued(state, Announce(what="approved")) == ()
    notifier = parts.notifier()
    notifier.take(new)
    await sent(parts, 3)
    await notifier.look()
    assert parts.told(state) == [1, 1]
    assert "Approved" in parts.workspace.message("approvals", state.cards[0].ts).text


async def test_two_processes_that_find_the_same_rows_tell_each_once(parts: Parts) -> None:
    state = approved(await parts.posted())
    await parts.enqueued(state, Announce(what="approved"))
    await asyncio.gather(*(parts.notifier().look() for _ in range(3)))
    await sent(parts, 3)
    await asyncio.sleep(0.1)
    assert parts.told(state) == [1, 1]


async def test_slack_s_outage_is_waited_for_and_its_no_is_recorded(parts: Parts, clock: Clock) -> None:
    state = approved(await parts.posted())
    new = await parts.enqueued(state, Announce(what="approved"))
    parts.workspace.fault(method="chat.postMessage", kind="http_500", count=2)
    parts.workspace.fault(method="conversations.open", kind="error", error="user_disabled", count=None)
    notifier = parts.notifier()
    notifier.take(new)
    for _ in range(4):
        await asyncio.sleep(0.1)
        clock.now += timedelta(minutes=1)
        await notifier.look()
    await sent(parts, 2)
    rows = {row.kind: row for row in await parts.rows()}
    assert rows["thread"].attempts > 0
    assert (rows["requester"].result, rows["requester"].problem) == (
        "refused", "Slack refused conversations.open: user_disabled",
    )  # fmt: skip
    async with parts.database.read() as connection:
        assert await notifications.refused(connection, NOON, 10) == (rows["requester"],)


async def test_a_revoked_token_loses_nothing(parts: Parts, clock: Clock) -> None:
    state = approved(await parts.posted())
    new = await parts.enqueued(state, Announce(what="approved"))
    parts.workspace.fault(method="*", kind="error", error="token_revoked", count=None)
    notifier = parts.notifier()
    notifier.take(new)
    await asyncio.sleep(0.2)
    parts.workspace.clear_faults()
    clock.now += timedelta(minutes=10)
    await notifier.look()
    await sent(parts, 3)
    assert parts.told(state) == [1, 1]


async def test_an_orderly_stop_waits_for_what_is_under_way_and_leaves_the_rest(parts: Parts) -> None:
    state = approved(await parts.posted())
    new = await parts.enqueued(state, Announce(what="approved"))
    parts.workspace.fault(method="chat.postMessage", kind="slow", delay=0.5, count=None)
    first = parts.notifier()
    first.take(new)
    for _ in range(100):
        if parts.notifiers[0]._begun:
            break
        await asyncio.sleep(0.01)
    await first.stop()
    parts.workspace.clear_faults()
    second = parts.notifier()
    await second.look()
    await sent(parts, 3)
    assert parts.told(state) == [1, 1]


async def test_what_a_killed_process_held_is_sent_when_its_lease_is_over(parts: Parts, clock: Clock) -> None:
    state = approved(await parts.posted())
    for row in await parts.enqueued(state, Announce(what="approved")):
        async with parts.database.write() as connection:
            assert await notifications.reserve(
                connection, row.id, "killed", NOON, NOTIFICATION_LEASE, 10 * NOTIFICATION_LEASE
            )
    notifier = parts.notifier()
    assert await notifier.look() == 0
    clock.now += NOTIFICATION_LEASE
    await notifier.look()
    await sent(parts, 3)
    assert parts.told(state) == [1, 1]


async def test_a_reminder_that_comes_too_late_is_not_sent(parts: Parts) -> None:
    state = await parts.posted()
    new = await parts.enqueued(state, Remind(number=1, deadline=NOON))
    await parts.projected(approved(state))
    parts.notifier().take(new)
    await asyncio.sleep(0.2)
    assert parts.told(state) == [0, 0]
    assert await parts.rows() == ()


async def test_who_clicked_hears_the_answer_though_slack_was_away(parts: Parts, clock: Clock) -> None:
    state = await parts.posted()
    new = await parts.enqueued(state, refused(state))
    parts.workspace.fault(method="chat.postEphemeral", kind="http_500", count=1)
    notifier = parts.notifier()
    notifier.take(new)
    await asyncio.sleep(0.2)
    clock.now += timedelta(minutes=1)
    await notifier.look()
    await sent(parts, 1)
    heard = parts.workspace.ephemerals("U0MANAGER")
    expected = private.sentence(f"{state.request.kind} 42: {message_for(Reason.TOO_LATE)}")
    assert [message.text for message in heard] == [expected.text]


OPERATORS = "roles: {operator: [{group: operators}, {email: manager@example.com}]}\n"
ALARMED = "version: 1\nrules: [{approve: {group: managers}}]\n"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (f"{ALARMED}{OPERATORS}", {"U0OPERATOR": 1, "U0MANAGER": 1}),
        (f"{ALARMED}{OPERATORS}operators_channel: approvals\n", {"approvals": 1}),
        (f"{ALARMED}{OPERATORS}operators_channel: nowhere\n", {"U0OPERATOR": 1, "U0MANAGER": 1}),
    ],
)
async def test_an_alarm_reaches_the_operators_channel_or_each_of_them_once(
    parts: Parts, tmp_path: Path, policy: str, told: dict[str, int]
) -> None:
    parts.policy = tmp_path / "policy.yml"
    parts.policy.write_text(policy)
    for _ in range(2):  # two processes see the same
        async with parts.database.write() as connection:
            await notifications.enqueue(connection, [alarm("restored/1", "The <database> was restored.")], parts.now())
    notifier = parts.notifier()
    for _ in range(3):
        await notifier.look()
        await notifier_idle(notifier)
    found = {
        **{user: len(parts.workspace.dms(user)) for user in ("U0OPERATOR", "U0MANAGER")},
        "approvals": len(parts.workspace.messages("approvals")),
    }
    assert {name: count for name, count in found.items() if count} == told


async def test_an_alarm_for_which_the_policy_names_nobody_is_a_finding(parts: Parts, tmp_path: Path) -> None:
    parts.policy = tmp_path / "policy.yml"
    parts.policy.write_text(ALARMED)
    async with parts.database.write() as connection:
        await notifications.enqueue(connection, [alarm("restored/1", "text")], parts.now())
    notifier = parts.notifier()
    await notifier.look()
    await notifier_idle(notifier)
    async with parts.database.read() as connection:
        (row,) = await notifications.refused(connection, NOON, 10)
    assert "names_no_operator" in row.problem


async def notifier_idle(notifier: Notifier) -> None:
    while tasks := tuple(notifier._sending.values()):
        await asyncio.wait(tasks)
        await asyncio.sleep(0)
