"""A workspace per test and a real Bolt app that reaches it over HTTP or over Socket Mode."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack

MANIFEST = Path(__file__).parent / "manifest.yml"
Connect = Callable[[AsyncApp, str], Awaitable[None]]


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with LocalSlack(manifest=MANIFEST) as workspace:
        yield workspace


@pytest.fixture
def client(slack: LocalSlack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


@pytest.fixture
def bolt(slack: LocalSlack, client: AsyncWebClient) -> AsyncApp:
    return AsyncApp(client=client, signing_secret=slack.signing_secret, process_before_response=True)


@pytest.fixture
async def serve(slack: LocalSlack) -> AsyncIterator[Callable[[web.Application], Awaitable[str]]]:
    """Serve an aiohttp application on a free port and give its address."""
    async with AsyncExitStack() as stack:

        async def start(application: web.Application) -> str:
            runner = web.AppRunner(application, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            return f"http://{host}:{port}"

        yield start


@pytest.fixture
async def connect(slack: LocalSlack, serve: Callable[[web.Application], Awaitable[str]]) -> AsyncIterator[Connect]:
    """Connect a Bolt app to the workspace over "http" or "socket"."""
    async with AsyncExitStack() as stack:

        async def over(app: AsyncApp, transport: str) -> None:
            if transport == "http":
                address = await serve(app.web_app(path="/slack/events"))
                slack.deliver_to = f"{address}/slack/events"
                return
            handler = AsyncSocketModeHandler(app, slack.app_token, ping_interval=1)
            stack.push_async_callback(handler.close_async)
            await handler.connect_async()  # type: ignore[no-untyped-call] # Bolt leaves it untyped
            await slack.wait_for(lambda: slack.sockets == 1)

        yield over


@pytest.fixture
def answering(
    slack: LocalSlack, serve: Callable[[web.Application], Awaitable[str]]
) -> Callable[..., Awaitable[list[web.Request]]]:
    """Let a bare HTTP app answer every delivery with what a function gives; its requests are collected."""

    async def start(answer: Callable[[web.Request], Any]) -> list[web.Request]:
        requests: list[web.Request] = []

        async def handle(request: web.Request) -> web.StreamResponse:
            request["text"] = await request.text()  # aiohttp forgets a body once it is answered
            requests.append(request)
            made = answer(request)
            response: web.StreamResponse = await made if asyncio.iscoroutine(made) else made
            return response

        application = web.Application()
        application.router.add_post("/", handle)
        slack.deliver_to = f"{await serve(application)}/"
        return requests

    return start


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def button(action_id: str = "yes", **more: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": action_id, "text": plain("Press"), **more}


def actions(*elements: dict[str, Any], block_id: str = "choices") -> dict[str, Any]:
    return {"type": "actions", "block_id": block_id, "elements": list(elements or (button(),))}


def text_input(block_id: str = "why", action_id: str = "reason", **element: Any) -> dict[str, Any]:
    typed = {"type": "plain_text_input", "action_id": action_id, **element}
    return {"type": "input", "block_id": block_id, "label": plain("Reason"), "element": typed}


def modal(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": "form",
        "title": plain("A form"),
        "submit": plain("Send"),
        "blocks": list(blocks or (text_input(),)),
        **more,
    }


class Kit:
    """Short ways to write Block Kit in tests."""

    plain = staticmethod(plain)
    button = staticmethod(button)
    actions = staticmethod(actions)
    text_input = staticmethod(text_input)
    modal = staticmethod(modal)


@pytest.fixture
def kit() -> type[Kit]:
    return Kit
