"""Slack's rate limits, enforced by a local workspace: they are kept, and what matters most goes first."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest

from activities.slack.client import FOR_EVER, Slack
from activities.slack.failures import NotBegunError, SlackUnavailableError
from activities.slack.queue import CALM_S, MARGIN_S, POST, Pace, Queue, Queues, Urgency
from activities.slack.shared_pace import SharedPace
from cards import Message
from local.slack import LocalSlack
from records.database import Database
from tests.migrated import migrated

CHANNEL = "C0APPROVALS"


@pytest.fixture
async def workspace() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(rate_limits=True) as found:
        yield found


@pytest.fixture
async def slack(workspace: LocalSlack) -> AsyncIterator[Slack]:
    found = Slack(workspace.bot_token, workspace.api_url)
    yield found
    await found.close()


def said(text: str) -> Message:
    return Message(text=text, blocks=())


@pytest.mark.slow
async def test_a_burst_is_posted_one_a_second_and_hardly_refused(workspace: LocalSlack, slack: Slack) -> None:
    posts = [slack.post("approvals", said(f"card {number}"), patience=FOR_EVER) for number in range(3)]
    posts += [slack.post(CHANNEL, said(f"reply {number}"), patience=FOR_EVER) for number in range(2)]
    began = monotonic()
    await asyncio.gather(*posts)
    assert monotonic() - began > 4
    assert len(workspace.messages("approvals")) == 5
    assert sum(call.status == 429 for call in workspace.calls(POST)) <= 2  # one by name, one by id


@pytest.mark.slow
async def test_the_most_urgent_goes_first_and_equals_in_turn(workspace: LocalSlack, slack: Slack) -> None:
    await slack.post(CHANNEL, said("first"))
    cards = [slack.post(CHANNEL, said(f"card {n}"), urgency=Urgency.NEW_CARD, patience=FOR_EVER) for n in range(2)]
    waiting = asyncio.gather(*cards)
    await asyncio.sleep(0.3)  # Slack has answered 429 by now
    await slack.post(CHANNEL, said("reply"), urgency=Urgency.TELLING)
    await waiting
    assert [message.text for message in workspace.messages("approvals")] == ["first", "reply", "card 0", "card 1"]


async def test_an_update_does_not_wait_behind_posts(workspace: LocalSlack, slack: Slack) -> None:
    card = await slack.post(CHANNEL, said("card"))
    posts = [asyncio.create_task(slack.post(CHANNEL, said("more"), patience=FOR_EVER)) for _ in range(500)]
    await asyncio.sleep(0.1)
    began = monotonic()
    await slack.update(card, said("decided"))
    assert monotonic() - began < 0.5
    for post in posts:
        post.cancel()
    await asyncio.gather(*posts, return_exceptions=True)


async def test_what_is_not_wanted_any_more_when_its_turn_comes_is_not_sent(workspace: LocalSlack, slack: Slack) -> None:
    async def gone() -> bool:
        return False

    with pytest.raises(NotBegunError):
        await slack.post(CHANNEL, said("old"), begin=gone)
    assert workspace.messages("approvals") == []
    await slack.post(CHANNEL, said("new"))  # the turn was given back


async def test_a_waiter_that_gives_up_gives_its_turn_to_the_next(workspace: LocalSlack, slack: Slack) -> None:
    await slack.post(CHANNEL, said("first"))
    impatient = [slack.post(CHANNEL, said("late"), patience=0.3) for _ in range(3)]
    patient = slack.post(CHANNEL, said("patient"), patience=FOR_EVER)
    *given_up, _ = await asyncio.gather(*impatient, patient, return_exceptions=True)
    assert [type(each) for each in given_up] == [SlackUnavailableError] * 3
    assert [message.text for message in workspace.messages("approvals")] == ["first", "patient"]


class Clock:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_after_a_429_no_more_calls_begin_in_a_minute_than_slack_promises() -> None:
    clock = Clock()
    queue = Queue(Pace(spacing=0, per_minute=3), clock)
    places = itertools.count()
    for _ in range(4):  # Slack lets a burst pass, and then it does not
        await queue.admit((Urgency.LOOK, next(places)), 1)
        queue.let_go(clock.now)
    queue.stop(2)
    clock.now += 2
    with pytest.raises(SlackUnavailableError):
        await queue.admit((Urgency.LOOK, next(places)), 0.01)
    clock.now += 60 + MARGIN_S
    for _ in range(3):
        await queue.admit((Urgency.LOOK, next(places)), 0.01)
        queue.let_go(clock.now)
    with pytest.raises(SlackUnavailableError):
        await queue.admit((Urgency.LOOK, next(places)), 0.01)
    clock.now += CALM_S
    for _ in range(10):  # nobody has waited for a while
        await queue.admit((Urgency.LOOK, next(places)), 0.01)
        queue.let_go(clock.now)


async def test_those_who_wait_under_a_channel_s_name_wait_on_under_its_id() -> None:
    queues = Queues()
    queues.of(POST, "#approvals").stop(30)
    waiting = asyncio.create_task(queues._admitted(POST, "#approvals", (Urgency.NEW_CARD, 0), FOR_EVER))
    await asyncio.sleep(0)
    queues.learn("#approvals", CHANNEL)
    await asyncio.sleep(0.01)
    assert queues.waiting() == {f"{POST} {CHANNEL}": 1}
    assert queues.of(POST, CHANNEL).until_free > 29
    waiting.cancel()


async def test_what_slack_tells_one_process_holds_for_all(workspace: LocalSlack, tmp_path: Path) -> None:
    database = Database.open(await migrated(tmp_path / "c.db"))
    several = [
        Slack(workspace.bot_token, workspace.api_url, shared=SharedPace(database, lambda: datetime.now(UTC)))
        for _ in range(2)
    ]
    workspace.fault(method=POST, kind="ratelimited", retry_after=60)
    for slack in several:
        with pytest.raises(SlackUnavailableError):
            await slack.post(CHANNEL, said("too soon"), patience=0.5)
    assert [call.status for call in workspace.calls(POST)] == [429]  # the other one did not ask at all
    for slack in several:
        await slack.close()
    await database.close()
