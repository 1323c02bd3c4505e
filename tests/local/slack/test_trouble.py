"""Faults on request and Slack's rate limits, as the SDK meets them."""

from typing import Any

import aiohttp
import httpx
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack

POST: dict[str, Any] = {"channel": "C0APPROVALS", "text": "x"}


@pytest.fixture
def plain_client(slack: LocalSlack) -> AsyncWebClient:
    """Give a client that retries nothing by itself."""
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


async def test_a_429_says_how_long_to_wait(slack: LocalSlack, plain_client: AsyncWebClient) -> None:
    slack.fault(method="chat.postMessage", kind="ratelimited", retry_after=7)
    with pytest.raises(SlackApiError) as caught:
        await plain_client.chat_postMessage(**POST)
    answer = caught.value.response
    assert (answer.status_code, answer.headers["Retry-After"], answer["error"]) == (429, "7", "ratelimited")
    await plain_client.chat_postMessage(**POST)


async def test_a_500_is_a_500(slack: LocalSlack, plain_client: AsyncWebClient) -> None:
    slack.fault(method="chat.postMessage", kind="http_500")
    with pytest.raises(SlackApiError) as caught:
        await plain_client.chat_postMessage(**POST)
    assert (caught.value.response.status_code, slack.messages("approvals")) == (500, [])


async def test_any_of_slacks_errors_can_be_given(slack: LocalSlack, plain_client: AsyncWebClient) -> None:
    slack.fault(kind="error", error="fatal_error")
    with pytest.raises(SlackApiError, match="fatal_error"):
        await plain_client.auth_test()


LOST = [("lost_reply", 1), ("refused", 0)]


@pytest.mark.parametrize(("kind", "posted"), LOST)
async def test_a_connection_drops_after_or_before_the_work(
    slack: LocalSlack, plain_client: AsyncWebClient, kind: str, posted: int
) -> None:
    slack.fault(method="chat.postMessage", kind=kind)
    with pytest.raises(aiohttp.ClientError):
        await plain_client.chat_postMessage(**POST)
    assert len(slack.messages("approvals")) == posted
    assert slack.calls("chat.postMessage")[0].status == 0


async def test_the_sdks_own_retry_posts_twice_after_a_lost_reply(slack: LocalSlack, client: AsyncWebClient) -> None:
    slack.fault(method="chat.postMessage", kind="lost_reply")
    await client.chat_postMessage(**POST)
    assert len(slack.messages("approvals")) == 2


async def test_a_slow_method_can_outlast_a_client(slack: LocalSlack) -> None:
    slack.fault(method="chat.postMessage", kind="slow", delay=30)
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    async with httpx.AsyncClient(timeout=0.1, headers=headers) as impatient:
        with pytest.raises(httpx.ReadTimeout):
            await impatient.post(f"{slack.api_url}chat.postMessage", json=POST)
    assert slack.messages("approvals") == []


async def test_a_fault_can_skip_repeat_and_end(slack: LocalSlack, plain_client: AsyncWebClient) -> None:
    slack.fault(method="auth.test", kind="http_500", skip=1, count=2)
    statuses = []
    for _ in range(4):
        try:
            statuses.append((await plain_client.auth_test()).status_code)
        except SlackApiError as error:
            statuses.append(error.response.status_code)
    assert statuses == [200, 500, 500, 200]
    slack.fault(method="auth.test", kind="http_500", count=None)
    slack.clear_faults()
    await plain_client.auth_test()


def strikes(seed: int) -> list[bool]:
    with LocalSlack() as slack:
        slack.fault(kind="http_500", count=None, probability=0.5, seed=seed)
        return [slack.workspace.faults.strike("auth.test") is not None for _ in range(20)]


def test_chance_comes_from_a_seed() -> None:
    assert strikes(1) == strikes(1)
    assert strikes(1) != strikes(2)


async def test_limits_are_off_by_default(slack: LocalSlack, plain_client: AsyncWebClient) -> None:
    for _ in range(5):
        await plain_client.chat_postMessage(**POST)
    assert len(slack.messages("approvals")) == 5


async def test_a_channel_takes_one_message_a_second() -> None:
    with LocalSlack(rate_limits=True) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        await client.chat_postMessage(**POST)
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(**POST)
        assert caught.value.response.headers["Retry-After"] == "1"
        await client.chat_postMessage(channel="U0MANAGER", text="another channel")
        slack.advance(1)
        await client.chat_postMessage(**POST)
        assert len(slack.messages("approvals")) == 2


async def test_the_sdks_rate_limit_handler_waits_and_posts() -> None:
    with LocalSlack(rate_limits=True) as slack:
        client = AsyncWebClient(
            token=slack.bot_token, base_url=slack.api_url, retry_handlers=[AsyncRateLimitErrorRetryHandler()]
        )
        for _ in range(2):
            await client.chat_postMessage(**POST)
        assert [call.status for call in slack.calls("chat.postMessage")] == [200, 429, 200]


async def test_a_method_has_its_figure_a_minute() -> None:
    with LocalSlack(rate_limits=True) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        for _ in range(20):
            await client.usergroups_users_list(usergroup="S0VPS")
        with pytest.raises(SlackApiError) as caught:
            await client.usergroups_users_list(usergroup="S0VPS")
        assert 1 <= int(caught.value.response.headers["Retry-After"]) <= 60
        slack.advance(61)
        await client.usergroups_users_list(usergroup="S0VPS")
