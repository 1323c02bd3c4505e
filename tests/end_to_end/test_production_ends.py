"""The end of a process while somebody clicks, follows a page or waits for the engine.

Each test brings its own app. That of another module's fixture may not run beside it: on a real runtime both are one
app-id, and would take each other's work.
"""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.slack.workspace import Settings as LocalSlackSettings
from tests.end_to_end.control_room import key
from tests.end_to_end.processes import AppProcess, running_apps
from tests.end_to_end.system import SidecarProcess, System, eventually

SECRET = LocalSlackSettings().signing_secret


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
        assert (code, seconds < 15) == (0, True), (
            "two seconds of readiness off, and at most eight for what is under way"
        )
        assert not app.noise


def test_a_page_that_follows_holds_up_no_end(tmp_path: Path) -> None:
    with running_apps(tmp_path) as (system, (app,)):
        with system.http.stream("GET", "/events", headers=key(system, "operator")) as answer:
            lines = answer.iter_lines()
            assert next(lines) == ": following"
            app.send(signal.SIGTERM)
            assert not [line for line in lines if "event:" in line]  # it ends as a stream ends, and is not cut off
        assert app.end()[0] == 0
        assert "graceful shutdown exceeded" not in app.written


def test_both_transports_answer_and_a_process_that_ends_leaves_no_click_half_done(tmp_path: Path) -> None:
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
        assert not app.noise
        system.slack.clear_faults()
        assert system.slack.sockets == 0
        with AppProcess(system.settings, tmp_path / "next.log") as following:
            system.slack.deliver_to = f"{following.url}/slack/events"
            for order, outcome in zip((http, over_socket), outcomes, strict=True):
                assert outcome.ok or not order.decisions()
                if not outcome.ok:
                    assert order.click("U0MANAGER").ok
                assert order.result() == {"status": "completed"}
                assert order.actions().count("request.accepted") == 1
            assert following.end()[0] == 0


def _struck(system: System) -> int:
    return sum(hits for _, hits, _ in system.slack.workspace.faults.listing())
