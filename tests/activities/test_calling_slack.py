"""Calling Slack: every Retry-After is obeyed, nothing is sent twice behind one's back, a lost reply makes one card."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import structlog

from activities import asking, recording
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError, NonRetryableError, SlackRefusedError, SlackUnavailableError
from activities.stepping import Steps, write_step
from approvals.evidence import Stepped
from approvals.machine import Record, Started, start, step
from approvals.people import UserGroup
from approvals.request import ApprovalRequest, Route, Stage
from approvals.state import State
from cards import private
from local.slack import LocalSlack
from records import audit, instances
from records.database import Database
from tests.migrated import migrated

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
HISTORY = {"oauth_config": {"scopes": {"bot": ["chat:write", "usergroups:read", "users:read", "channels:history"]}}}


@pytest.fixture
async def workspace() -> AsyncIterator[LocalSlack]:
    async with LocalSlack() as found:
        yield found


@pytest.fixture
async def slack(workspace: LocalSlack) -> AsyncIterator[Slack]:
    found = Slack(workspace.bot_token, workspace.api_url)
    yield found
    await found.close()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    found = Database.open(await migrated(tmp_path / "c.db"))
    yield found
    await found.close()


def waiting(channel: str = "C0APPROVALS") -> State:
    request = ApprovalRequest(subject="42", amount=Decimal(2400), currency="USD", requester="requester@example.com")
    stage = Stage(approvers=(UserGroup(group="managers"),), within=timedelta(hours=1))
    route = Route(rule="r", why="w", policy_version="0" * 12, channel=channel, stages=(stage,))
    return step(start("order-42-workflow", request, route, NOON), Started(at=NOON))[0]


def cards_of(database: Database, slack: Slack) -> asking.Cards:
    return asking.Cards(database, slack, Directory(slack), lambda: NOON, look_again_s=0.05)


async def known(database: Database, state: State) -> None:
    async with database.write() as connection:
        await instances.insert(
            connection, instances.Known(instance_id=state.instance_id, name="approval_workflow"), NOON
        )
        await instances.project(
            connection, state.instance_id, instances.Changes(**recording.projection(state)), datetime.now(UTC)
        )


async def test_a_429_costs_the_caller_its_time_and_no_attempt(workspace: LocalSlack, slack: Slack) -> None:
    workspace.fault(method="chat.postMessage", kind="ratelimited", retry_after=1)
    await slack.post("C0APPROVALS", private.sentence("one"))
    first, second = workspace.calls("chat.postMessage")
    assert (first.status, second.status) == (429, 200)
    assert second.at - first.at >= 1


async def test_a_long_retry_after_is_the_retry_policys_business(workspace: LocalSlack, slack: Slack) -> None:
    workspace.fault(method="chat.postMessage", kind="ratelimited", retry_after=600)
    for _ in range(2):
        with pytest.raises(SlackUnavailableError):
            await slack.post("C0APPROVALS", private.sentence("one"))
    assert len(workspace.calls("chat.postMessage")) == 1


@pytest.mark.parametrize("kind", ["http_500", "lost_reply", "refused"])
async def test_a_failure_is_not_sent_again_behind_ones_back(workspace: LocalSlack, slack: Slack, kind: str) -> None:
    workspace.fault(method="chat.postMessage", kind=kind)
    with pytest.raises(SlackUnavailableError):
        await slack.post("C0APPROVALS", private.sentence("one"))
    assert len(workspace.calls("chat.postMessage")) == 1


async def test_slacks_no_is_told_from_an_outage(slack: Slack) -> None:
    with pytest.raises(SlackRefusedError) as caught:
        await slack.post("C0NOWHERE", private.sentence("one"))
    assert caught.value.error == "channel_not_found"


async def test_a_revoked_token_is_a_lookup_that_fails_and_not_a_crash(workspace: LocalSlack, slack: Slack) -> None:
    workspace.fault(method="auth.test", kind="error", error="token_revoked")
    with pytest.raises(LookupFailedError):
        await Directory(slack).team()


async def test_the_same_asking_twice_posts_one_card(workspace: LocalSlack, slack: Slack, database: Database) -> None:
    state = waiting()
    await known(database, state)
    first = await cards_of(database, slack).post(state)
    second = await cards_of(database, slack).post(state)
    assert first == second
    assert len(workspace.messages("approvals")) == 1


async def test_with_the_history_scope_a_lost_card_is_found_and_not_posted_again(database: Database) -> None:
    state = waiting()
    await known(database, state)
    async with LocalSlack(manifest=HISTORY) as workspace:
        slack = Slack(workspace.bot_token, workspace.api_url)
        workspace.fault(method="chat.postMessage", kind="lost_reply")
        cards = cards_of(database, slack)
        with pytest.raises(SlackUnavailableError):
            await cards.post(state)
        card = (await cards.post(state)).card
        assert [message.ts for message in workspace.messages("approvals")] == [card.ts]
        await slack.close()


async def test_a_record_that_is_written_twice_is_one_entry_and_two_events_are_two(database: Database) -> None:
    state = waiting()
    await known(database, state)
    for minute in (0, 0, 1):
        refused = Stepped(state, (Record(action="refused"),))
        steps = Steps(state, ((refused, NOON + timedelta(minutes=minute)),), state)
        await database.transact(write_step, steps, NOON)
    async with database.read() as connection:
        entries = await audit.of_instance(connection, state.instance_id)
    assert [entry.action for entry in entries] == ["request.refused"] * 2


async def test_an_unposted_card_is_one_alarm_however_often_it_is_tried(database: Database) -> None:
    state = waiting("C0NOWHERE")
    await known(database, state)
    with structlog.testing.capture_logs() as logged:
        for _ in range(2):
            await asking.report_unposted(database, state, NOON)
    assert {line["log_level"] for line in logged} == {"error"}
    async with database.read() as connection:
        entries = await audit.of_instance(connection, state.instance_id)
    assert [entry.action for entry in entries] == ["card.unposted"]
    assert "REST" in entries[0].reason


async def test_a_card_that_another_process_is_posting_is_posted_once(
    workspace: LocalSlack, slack: Slack, database: Database
) -> None:
    state = waiting()
    await known(database, state)
    workspace.fault(method="chat.postMessage", kind="slow", delay=0.3)
    places = await asyncio.gather(*(cards_of(database, slack).post(state) for _ in range(3)))
    assert len(set(places)) == 1
    assert len(workspace.messages("approvals")) == 1


async def test_a_stop_leaves_cards_that_wait_and_finishes_the_one_under_way(
    workspace: LocalSlack, slack: Slack, database: Database
) -> None:
    state = waiting()
    await known(database, state)
    cards = cards_of(database, slack)
    workspace.fault(method="chat.postMessage", kind="slow", delay=1)
    under_way = asyncio.create_task(cards.post(state))
    async with asyncio.timeout(10):
        while not cards._begun:  # noqa: ASYNC110 nothing tells of it
            await asyncio.sleep(0.01)
    other = state.model_copy(update={"instance_id": "order-43-workflow"})
    await known(database, other)
    left = asyncio.create_task(cards.post(other))
    await asyncio.sleep(0.05)
    cards.stop()
    assert (await under_way).card.channel == "C0APPROVALS"
    with pytest.raises(asyncio.CancelledError):
        await left
    assert len(workspace.messages("approvals")) == 1


async def test_a_card_of_a_request_that_is_over_is_not_posted(
    workspace: LocalSlack, slack: Slack, database: Database
) -> None:
    state = waiting()
    await known(database, state)
    async with database.write() as connection:
        await instances.project(connection, state.instance_id, instances.Changes(phase="terminated"), NOON)
    with pytest.raises(NonRetryableError):
        await cards_of(database, slack).post(state)
    assert workspace.messages("approvals") == []
