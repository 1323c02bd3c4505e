"""Socket Mode as it goes wrong in production, and the end of a process while somebody clicks."""

import asyncio
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.settings import Settings
from bot.slack.sockets import Socket
from cards import request_card
from local.slack import LocalSlack
from local.slack.workspace import Settings as LocalSlackSettings
from tests.end_to_end.conftest import Systems
from tests.end_to_end.control_room import key
from tests.end_to_end.processes import AppProcess, running_apps
from tests.end_to_end.system import REAL_SIDECAR, ROOT, SidecarProcess, System, buttons_of, eventually, settings_for

NOISE = ("Task was destroyed", "never retrieved", "Traceback", "Unclosed", "never awaited")

SECRET = LocalSlackSettings().signing_secret


def noise_of(app: AppProcess) -> list[str]:
    """Return the lines that an orderly end does not write."""
    return [line for line in app.written.splitlines() if any(each in line for each in NOISE)]


@pytest.fixture(scope="module")
def sockets(systems: Systems, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, AppProcess]]:
    """Give an app of its own process in Socket Mode."""
    if REAL_SIDECAR:
        systems.stop()
    with running_apps(tmp_path_factory.mktemp("sockets"), socket_mode=True) as (system, apps):
        yield system, apps[0]
        ended, seconds = apps[0].end()
        assert (ended, seconds < 10) == (0, True)
        assert not noise_of(apps[0])


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
    assert order.output() == {"status": "rejected", "reason": "Not now"}
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
    assert order.output() == {"status": "completed"}


def test_a_click_whose_socket_drops_counts_once(sockets: tuple[System, AppProcess]) -> None:
    system, _ = sockets
    order = system.order("cut")
    order.card()
    system.slack.fault(method="interactive", kind="drop_socket")
    assert not order.click("U0MANAGER").ok
    eventually(lambda: system.slack.sockets == 1, 20)
    if buttons_of(order.card()):
        order.click("U0MANAGER")
    assert order.output() == {"status": "completed"}
    assert order.actions().count("request.accepted") == 1


def test_a_bad_app_token_is_said_by_readyz_and_holds_up_no_end(tmp_path: Path) -> None:
    with LocalSlack(manifest=ROOT / "manifest.yml") as slack:
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


def test_a_sidecar_that_hangs_holds_up_no_end(tmp_path: Path) -> None:
    with (
        SidecarProcess(tmp_path / "sidecar.db") as sidecar,
        running_apps(tmp_path, sidecar=sidecar.address) as (system, (app,)),
    ):
        order = system.order("hangs")
        order.card()
        sidecar.send(signal.SIGSTOP)
        assert order.click("U0MANAGER").ok
        code, seconds = app.end()
        assert (code, seconds < 10) == (0, True)
        assert not noise_of(app)


def test_a_page_that_follows_holds_up_no_end(tmp_path: Path) -> None:
    with running_apps(tmp_path) as (system, (app,)):
        with system.http.stream("GET", "/events", headers=key(system, "operator")) as answer:
            lines = answer.iter_lines()
            assert next(lines) == ": following"
            app.send(signal.SIGTERM)
            assert not [line for line in lines if "event:" in line]  # it ends as a stream ends, and is not cut off
        assert app.end()[0] == 0
        assert "graceful shutdown exceeded" not in app.written


def test_both_transports_answer_and_a_process_that_ends_leaves_no_click_half_done(
    systems: Systems, tmp_path: Path
) -> None:
    if REAL_SIDECAR:
        systems.stop()
    with running_apps(tmp_path, socket_mode=True, slack_signing_secret=SECRET) as (system, (app,)):
        eventually(lambda: system.slack.sockets == 1)
        http, over_socket = system.order("ends-http"), system.order("ends-socket")
        for order in (http, over_socket):
            order.card()
        system.slack.fault(method="users.info", kind="slow", delay=0.5, count=None)
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(over_socket.click, "U0MANAGER")
            eventually(lambda: system.slack.deliveries("interactive") or _struck(system))
            system.slack.deliver_to = f"{app.url}/slack/events"
            second = pool.submit(http.click, "U0MANAGER2")
            eventually(lambda: _struck(system) >= 2)
            code, seconds = app.end()
            outcomes = [second.result(), first.result()]
        assert (code, seconds < 10) == (0, True)
        assert not noise_of(app)
        system.slack.clear_faults()
        assert system.slack.sockets == 0
        with AppProcess(system.settings, tmp_path / "next.log") as following:
            system.slack.deliver_to = f"{following.url}/slack/events"
            for order, outcome in zip((http, over_socket), outcomes, strict=True):
                assert outcome.ok or not order.decisions()
                if not outcome.ok:
                    assert order.click("U0MANAGER").ok
                assert order.output() == {"status": "completed"}
                assert order.actions().count("request.accepted") == 1
            assert following.end()[0] == 0


def _struck(system: System) -> int:
    return sum(hits for _, hits, _ in system.slack.workspace.faults.listing())


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
        connection = Socket(settings, None, None, ping_interval=0.05)  # type: ignore[arg-type]  # no envelope comes
        await connection.start()
        async with asyncio.timeout(20):
            await opened.wait()
        assert await connection.state() == "ok"
        assert tried[:2] == ["0", "1"]
        await connection.stop()
