"""The Events API: subscriptions, retries, the verification of a request URL."""

from typing import Any

import pytest
from aiohttp import web
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack


@pytest.mark.parametrize("transport", ["http", "socket"])
async def test_opening_the_home_lets_the_app_fill_it(
    slack: LocalSlack, bolt: AsyncApp, connect: Any, transport: str
) -> None:
    @bolt.event("app_home_opened")
    async def on_home(event: dict[str, Any], client: AsyncWebClient) -> None:
        divider: dict[str, Any] = {"type": "divider"}
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [divider]})

    await connect(bolt, transport)
    manager = slack.act_as("manager")
    assert (await manager.open_home()).status == 200
    home = await slack.wait_for(lambda: manager.home)
    assert home
    assert home.blocks[0]["type"] == "divider"


@pytest.mark.parametrize("transport", ["http", "socket"])
async def test_a_mention_and_a_message_arrive_when_subscribed(
    slack: LocalSlack, bolt: AsyncApp, connect: Any, transport: str
) -> None:
    seen: list[tuple[str, str]] = []

    @bolt.event("app_mention")
    async def on_mention(event: dict[str, Any]) -> None:
        seen.append(("mention", event["text"]))

    @bolt.event("message")
    async def on_message(event: dict[str, Any]) -> None:
        seen.append((event["channel_type"], event["text"]))

    await connect(bolt, transport)
    await slack.act_as("manager").say("approvals", "<@U0BOT> hello")
    await slack.wait_for(lambda: len(slack.deliveries("events_api")) == 2)
    assert sorted(seen) == [("channel", "<@U0BOT> hello"), ("mention", "<@U0BOT> hello")]


async def test_what_nobody_subscribed_to_is_not_sent() -> None:
    with LocalSlack(manifest={}) as slack:
        outcome = await slack.act_as("manager").open_home()
        assert (outcome.status, slack.deliveries()) == (None, [])


@pytest.fixture
def impatient() -> Any:
    with LocalSlack(event_retry_delays=(0.0, 0.01, 0.02)) as workspace:
        yield workspace


async def serve_statuses(serve: Any, slack: LocalSlack, *statuses: int, **headers: str) -> list[dict[str, str]]:
    seen: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append({name: request.headers.get(f"X-Slack-Retry-{name}", "") for name in ("Num", "Reason")})
        return web.Response(status=statuses[min(len(seen), len(statuses)) - 1], headers=headers)

    application = web.Application()
    application.router.add_post("/", answer)
    slack.deliver_to = f"{await serve(application)}/"
    return seen


async def test_a_failed_event_is_retried_three_times(impatient: LocalSlack, serve: Any) -> None:
    seen = await serve_statuses(serve, impatient, 500)
    await impatient.act_as("manager").open_home()
    await impatient.wait_for(lambda: len(impatient.deliveries()) == 4)
    assert [retry["Num"] for retry in seen] == ["", "1", "2", "3"]
    assert seen[1]["Reason"] == "http_error"


async def test_a_retry_that_works_is_the_last(impatient: LocalSlack, serve: Any) -> None:
    seen = await serve_statuses(serve, impatient, 500, 200)
    await impatient.act_as("manager").open_home()
    await impatient.wait_for(lambda: len(impatient.deliveries()) == 2)
    assert [retry["Num"] for retry in seen] == ["", "1"]


async def test_an_app_can_refuse_retries(impatient: LocalSlack, serve: Any) -> None:
    seen = await serve_statuses(serve, impatient, 500, **{"X-Slack-No-Retry": "1"})
    await impatient.act_as("manager").open_home()
    assert len(seen) == 1


async def test_a_request_url_is_verified(slack: LocalSlack, bolt: AsyncApp, connect: Any, answering: Any) -> None:
    await connect(bolt, "http")
    assert await slack.verify_request_url()
    await answering(lambda _request: web.Response(text="hello"))
    assert not await slack.verify_request_url()
