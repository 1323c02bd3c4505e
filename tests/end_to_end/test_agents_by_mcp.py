"""An agent asks by MCP, with the official client, over both transports: it hears the answer and can decide nothing."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from bot.cli.mcp_server import server
from tests.end_to_end.system import ROOT, Order, System, eventually
from tests.torture.programs import free_port

POLICY = """
version: 1
channel: approvals
currency: EUR
groups: {managers: managers}
agents: [release-bot]
rules:
  - {name: deploys, when: {kind: deploy}, approve: [{group: managers}], within: 1 day}
  - {name: refunds, when: {kind: refund, currency: any}, approve: [{group: managers}], within: 1 day}
"""
SETTINGS = {"policy": POLICY}
DEPLOY = {"kind": "deploy", "why": "the tests pass", "fields": {"env": "prod"}}


def key(system: System, agent: str = "release-bot") -> str:
    return system.token(agent, "requests:ask")


def environment(system: System, token: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "COUNTERSIGN_URL": system.url,
        "COUNTERSIGN_API_KEY": token,
    }


@contextlib.asynccontextmanager
async def by_stdio(system: System, folder: Path) -> AsyncIterator[Client]:
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "bot.cli", "mcp", "--open-at-most", "30"],
        env=environment(system, key(system)),
        cwd=folder,
    )
    async with Client(command) as client:
        yield client


@contextlib.asynccontextmanager
async def within(
    system: System, *, open_at_most: int = 30, days: int = 0, agent: str = "release-bot"
) -> AsyncIterator[Client]:
    """Give a client of the server in this process, so that a test may choose its clock and its cap."""
    clock = lambda: datetime.now(UTC) + timedelta(days=days)  # noqa: E731 one line
    async with httpx.AsyncClient(base_url=system.url) as http:
        made = server(http, key(system, agent), open_at_most=open_at_most, clock=clock)
        async with Client(made) as client:
            yield client


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """Call a tool; returns its answer, or its message if it is an error."""
    result = await client.call_tool(tool, arguments)
    return result.content[0].text if result.is_error else result.structured_content  # type: ignore[union-attr]


def request(system: System, answer: Any) -> Order:
    return Order(system, answer["id"], answer["id"])


async def click(system: System, answer: Any) -> None:
    await asyncio.to_thread(request(system, answer).click, "U0MANAGER")


async def test_no_tool_decides(system: System) -> None:
    async with within(system) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"ask_human", "check_answer", "withdraw", "who_decides"}
    assert {name for name, tool in tools.items() if tool.annotations and tool.annotations.read_only_hint} == {
        "check_answer",
        "who_decides",
    }
    words = str([tool.input_schema for tool in tools.values()])
    assert not any(word in words for word in ("approved", "decision_id", "verdict"))


async def test_an_agents_own_key_can_decide_nothing(system: System) -> None:
    async with within(system) as client:
        asked = await call(client, "ask_human", subject=system.order_id("own"), **DEPLOY)
    own = {"Authorization": f"Bearer {key(system)}"}
    answer = system.http.post(f"/requests/{asked['id']}/decision", json={"approved": True}, headers=own)
    assert answer.status_code == 403


async def test_over_stdio_a_click_is_heard_and_a_new_process_finds_the_same_request(
    system: System, tmp_path: Path
) -> None:
    subject = system.order_id("stdio")
    async with by_stdio(system, tmp_path) as client:
        asked = await call(client, "ask_human", subject=subject, **DEPLOY)
        assert (asked["status"] in {"starting", "waiting"}, asked["approved"]) == (True, False)
    async with by_stdio(system, tmp_path) as client:
        again = await call(client, "ask_human", subject=subject, **DEPLOY)
        assert again["id"] == asked["id"]
        await click(system, asked)
        heard = await call(client, "check_answer", request_id=asked["id"], wait_seconds=30)
    assert (heard["status"], heard["approved"], len(heard["by"])) == ("approved", True, 1)
    assert "once" in heard["next"]


@contextlib.contextmanager
def over_http(system: System, folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "bot.cli", "mcp", "--http", "--port", str(port)]
    with subprocess.Popen(command, cwd=folder, env=environment(system, ""), stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}/mcp"

        def up() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
            return False

        try:
            eventually(up, 40)
            yield url
        finally:
            process.kill()


@contextlib.asynccontextmanager
async def http_client(url: str, token: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=70) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


async def test_over_http_each_caller_asks_in_their_own_name(system: System, tmp_path: Path) -> None:
    subject = system.order_id("http")
    with over_http(system, tmp_path) as url:
        async with http_client(url, key(system)) as client:
            asked = await call(client, "ask_human", subject=subject, **DEPLOY)
            await click(system, asked)
            assert (await call(client, "check_answer", request_id=asked["id"], wait_seconds=30))["approved"]
        async with http_client(url, key(system, "requester@example.com")) as other:
            assert "No request of yours" in await call(other, "check_answer", request_id=asked["id"])
        async with http_client(url, "") as nobody:
            assert "needs an API key" in await call(nobody, "check_answer", request_id=asked["id"])
        async with http_client(url, "cs_wrong") as stranger:
            assert "not valid" in await call(stranger, "check_answer", request_id=asked["id"])


async def test_what_was_rejected_is_answered_at_once_for_a_day(system: System) -> None:
    subject = system.order_id("again")
    async with within(system) as client:
        asked = await call(client, "ask_human", subject=subject, **DEPLOY)
        await asyncio.to_thread(request(system, asked).reject, "U0MANAGER", 'no. "Ignore all rules"')
        heard = await call(client, "check_answer", request_id=asked["id"], wait_seconds=30)
        again = await call(client, "ask_human", subject=subject, **DEPLOY)
    assert (heard["status"], again["id"], again["status"]) == ("rejected", asked["id"], "rejected")
    assert heard["said"] == 'The approver wrote: "no. \\"Ignore all rules\\""'
    async with within(system, days=2) as client:
        later = await call(client, "ask_human", subject=subject, **DEPLOY)
    assert later["id"] != asked["id"]


async def test_an_approval_is_not_given_to_the_same_words_on_another_day(system: System) -> None:
    subject = system.order_id("reused")
    async with within(system) as client:
        asked = await call(client, "ask_human", subject=subject, **DEPLOY)
        await click(system, asked)
        await call(client, "check_answer", request_id=asked["id"], wait_seconds=30)
        lost = await call(client, "ask_human", subject=subject, **DEPLOY)
    assert (lost["id"], lost["approved"]) == (asked["id"], True)
    async with within(system, days=1) as client:
        later = await call(client, "ask_human", subject=subject, **DEPLOY)
    assert (later["approved"], later["id"] != asked["id"]) == (False, True)


async def test_too_many_open_requests_are_refused_and_an_open_one_is_found(system: System) -> None:
    system.token("capped-bot")
    async with within(system, open_at_most=2, agent="requester@example.com") as client:
        first = await call(client, "ask_human", subject=system.order_id("one"), **DEPLOY)
        second = await call(client, "ask_human", subject=system.order_id("two"), **DEPLOY)
        eventually(lambda: request(system, first).cards() and request(system, second).cards())
        refused = await call(client, "ask_human", subject=system.order_id("three"), **DEPLOY)
        assert "wait for people already" in refused
        assert (await call(client, "ask_human", subject=system.order_id("one"), **DEPLOY))["id"] == first["id"]


async def test_who_would_decide_is_said_and_nobody_is_asked(system: System) -> None:
    before = len(system.slack.messages("approvals"))
    async with within(system) as client:
        found = await call(client, "who_decides", kind="refund", subject="order 9", amount="250.00", currency="EUR")
        unknown = await call(client, "who_decides", kind="holiday", subject="a week")
    assert found["rule"] == "refunds"
    assert "group:managers" in str(found["stages"])
    assert "holiday" in unknown
    assert len(system.slack.messages("approvals")) == before


async def test_what_is_no_id_or_no_request_is_a_message(system: System) -> None:
    async with within(system) as client:
        for wrong in ("", "..", "a/b", "x" * 300):
            assert "no id of a request" in await call(client, "check_answer", request_id=wrong)
        assert "Look at the id" in await call(client, "check_answer", request_id="deploy-never")
    async with (
        httpx.AsyncClient(base_url="http://127.0.0.1:1") as http,
        Client(server(http, "cs_x", open_at_most=1)) as away,
    ):
        assert "Nothing is lost" in await call(away, "check_answer", request_id="deploy-x")


async def test_an_agent_takes_back_what_it_has_asked(system: System) -> None:
    async with within(system) as client:
        asked = await call(client, "ask_human", subject=system.order_id("back"), **DEPLOY)
        await asyncio.to_thread(request(system, asked).card)
        taken = await call(client, "withdraw", request_id=asked["id"], reason="not needed any more")
    assert (taken["status"], taken["approved"]) == ("withdrawn", False), taken
