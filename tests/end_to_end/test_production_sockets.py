"""Socket Mode as it goes wrong in production."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.process.settings import Settings
from bot.slack.replay import SlackReply
from bot.slack.sockets import Socket
from cards import request_card
from local.slack import Delivery
from local.slack.transport import Envelope
from tests.end_to_end.processes import AppProcess, running_apps
from tests.end_to_end.system import System, buttons_of, eventually, settings_for, workspace


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, AppProcess]]:
    """Give an app of its own process in Socket Mode."""
    with running_apps(tmp_path_factory.mktemp("sockets"), socket_mode=True) as (system, apps):
        yield system, apps[0]
        ended, seconds = apps[0].end()
        assert (ended, seconds < 10) == (0, True)
        assert not apps[0].noise


def test_everything_that_people_do_goes_over_the_socket(sockets: tuple[System, AppProcess]) -> None:
    system, _ = sockets
    order = system.order("socket")
    person = system.slack.act_as("U0MANAGER")
    assert order.click("U0MANAGER", request_card.DETAILS).ok
    eventually(lambda: [view for view in system.slack.modals("U0MANAGER") if order.instance_id in str(view.blocks)])
    system.act(person.close(everything=True))
    said = system.act(person.slash("/approval", f"status {order.id}", "approvals"))
    assert "waiting" in str(said.body).lower()
    system.act(person.open_home())
    eventually(lambda: (home := system.slack.home("U0MANAGER")) and order.id in str(home.blocks))
    assert order.reject("U0MANAGER", "Not now").ok
    assert order.result() == {"status": "rejected", "reason": "Not now"}
    assert system.http.post("/slack/events").status_code == 404
    assert {each.transport for each in system.slack.deliveries()} == {"socket"}


@pytest.mark.parametrize("how", ["dropped", "refreshed", "disabled"])
def test_a_socket_that_ends_is_opened_again_and_clicks_count(sockets: tuple[System, AppProcess], how: str) -> None:
    system, _ = sockets
    order = system.order(how)
    order.card()
    if how == "dropped":
        system.act(system.slack.drop_socket())
    else:
        system.act(system.slack.disconnect_socket("refresh_requested" if how == "refreshed" else "link_disabled"))
    eventually(lambda: system.slack.sockets == 1, 20)
    assert order.click("U0MANAGER").ok
    assert order.result() == {"status": "completed"}


def test_a_click_whose_socket_drops_counts_once(sockets: tuple[System, AppProcess]) -> None:
    system, _ = sockets
    order = system.order("cut")
    order.card()
    system.slack.fault(method="interactive", kind="drop_socket")
    assert not order.click("U0MANAGER").ok
    eventually(lambda: system.slack.sockets == 1, 20)
    if buttons_of(order.card()):
        order.click("U0MANAGER")
    assert order.result() == {"status": "completed"}
    assert order.actions().count("request.accepted") == 1


def test_a_bad_app_token_is_said_by_readyz_and_holds_up_no_end(tmp_path: Path) -> None:
    with workspace() as slack:
        settings = settings_for(tmp_path, slack, "127.0.0.1:9", socket_mode=True, slack_app_token="xapp-wrong")
        with AppProcess(settings, tmp_path / "app.log") as app:
            said = eventually(lambda: _slack_of(app))
            assert (said.startswith("Slack refuses the app token (invalid_auth)"), "xapp-wrong" in said) == (
                True,
                False,
            )
            assert httpx.get(f"{app.url}/livez").status_code == 200
            code, seconds = app.end()
            assert (code, seconds < 10) == (0, True)
            assert "xapp-wrong" not in app.written


def _slack_of(app: AppProcess) -> str:
    said = str(httpx.get(f"{app.url}/readyz", timeout=10).json()["checks"]["slack"])
    return said if "app token" in said else ""


class SlowIngress:
    """Takes half a second for each envelope."""

    async def answer(self, payload: dict[str, Any], fingerprint: str) -> SlackReply:
        await asyncio.sleep(0.5)
        return SlackReply()


async def test_a_socket_that_ends_answers_what_comes_until_it_is_closed(tmp_path: Path) -> None:
    with workspace() as slack:
        settings = settings_for(tmp_path, slack, "127.0.0.1:9", socket_mode=True)
        ending = Socket(settings, SlowIngress())  # type: ignore[arg-type]  # as much of it as the socket asks
        await ending.start()
        await asyncio.to_thread(eventually, lambda: slack.sockets == 1)

        async def delivered() -> Delivery:
            envelope = Envelope("interactive", {"type": "block_actions"}, None)
            given: Delivery = await asyncio.to_thread(slack.run, slack.on_loop(slack.workspace.deliver(envelope)))
            return given

        first = asyncio.create_task(delivered())
        await asyncio.sleep(0.2)
        stopped = asyncio.create_task(ending.stop())
        await asyncio.sleep(0.1)
        second = await delivered()
        assert ((await first).status, second.status) == (200, 200)
        await stopped
        await asyncio.to_thread(eventually, lambda: slack.sockets == 0)


async def test_an_address_is_used_once_however_the_connection_fails(tmp_path: Path) -> None:
    given: list[str] = []
    tried: list[str] = []
    opened = asyncio.Event()

    async def address(request: web.Request) -> web.Response:
        given.append(f"ws://127.0.0.1:{server.port}/link?ticket={len(given)}")
        return web.json_response({"ok": True, "url": given[-1]})

    async def link(request: web.Request) -> web.StreamResponse:
        tried.append(request.query["ticket"])
        if len(tried) == 1:
            return web.Response(status=503)
        answer = web.WebSocketResponse(autoping=False)
        await answer.prepare(request)
        await answer.receive()  # the client's first ping, when it thinks itself connected
        opened.set()
        await answer.receive()
        return answer

    app = web.Application()
    app.add_routes([web.post("/api/apps.connections.open", address), web.get("/link", link)])
    async with TestServer(app) as server:
        settings = Settings(_env_file=None, slack_app_token="xapp-x", slack_api_url=str(server.make_url("/api/")))
        connection = Socket(settings, None, ping_interval=0.05)  # type: ignore[arg-type]  # no envelope comes
        await connection.start()
        async with asyncio.timeout(20):
            await opened.wait()
        assert await connection.state() == "ok"
        assert tried[:2] == ["0", "1"]
        await connection.stop()
