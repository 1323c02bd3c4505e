"""A Retry-After is obeyed by whatever this process calls next in that channel, by name as well as by id."""

import asyncio
from collections.abc import Callable

import pytest

from activities.slack.client import Slack
from activities.slack.failures import SlackUnavailableError
from cards import Message
from tests.end_to_end.system import System, workspace


async def test_no_call_begins_before_its_retry_after_is_over() -> None:
    with workspace() as limited:
        slack = Slack(limited.bot_token, limited.api_url)
        message = Message(text="hello", blocks=())
        try:
            limited.fault(method="chat.postMessage", kind="ratelimited", count=1, retry_after=1)
            with pytest.raises(SlackUnavailableError):
                await slack.post("approvals", message, patience=0.5)
            slack.queues.learn("#approvals", "C0APPROVALS")  # another call has heard the channel's id meanwhile
            posts = [slack.post("approvals", message) for _ in range(2)]
            replies = [slack.post("C0APPROVALS", message, thread="1.0") for _ in range(2)]
            await asyncio.gather(*posts, *replies, return_exceptions=True)
            first, *later = limited.calls("chat.postMessage")
            assert first.status == 429
            assert min(each.at - each.elapsed for each in later) >= first.at + 1
        finally:
            await slack.close()


def test_a_click_while_slack_does_not_say_which_team_we_are_is_no_stranger_s(alone: Callable[..., System]) -> None:
    system = alone()
    order = system.order("no-team")
    order.card()
    system.slack.fault(method="auth.test", kind="http_500", count=2)
    assert order.click("U0MANAGER").ok
    assert order.result() == {"status": "completed"}
    assert "other_team" not in {entry.verdict for entry in order.audit()}
