"""Every secret is rotated without a restart, under clicks: none is refused."""

import asyncio
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from local.sidecar import Sidecar
from tests.end_to_end.processes import AppProcess, variables
from tests.end_to_end.system import REAL_SIDECAR, Order, System, eventually, settings_for, workspace
from tests.postgres import Cluster, running_cluster

pytestmark = pytest.mark.skipif(bool(REAL_SIDECAR), reason="beside the apps of other tests it would take their work")
FILES = ("COUNTERSIGN_SECRET_KEY", "SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN")
CONNECTED = ("SLACK_APP_TOKEN", "DAPR_API_TOKEN", "COUNTERSIGN_DATABASE_URL")


def asked(cluster: Cluster, statement: str, *arguments: object) -> Any:
    """Ask the database by its socket, where no password is needed."""

    async def ask() -> Any:
        connection = await asyncpg.connect(cluster.local_url)
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()

    return asyncio.run(ask())


@contextmanager
def clicking(order: Order) -> Iterator[list[bool]]:
    """Let the requester click on their own request again and again; give what came of each click."""
    ended, seen = threading.Event(), list[bool]()

    def click() -> None:
        while not ended.wait(0.1):
            seen.append(order.click("U0REQUESTER").ok)

    thread = threading.Thread(target=click)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def test_keys_and_signing_secret_are_rotated_and_no_click_is_refused(tmp_path: Path) -> None:
    with Sidecar(tmp_path / "sidecar.db") as sidecar, workspace() as slack:
        old, new, signing = (secrets.token_urlsafe(48) for _ in range(3))
        settings = settings_for(tmp_path, slack, sidecar.address, secret_key=f"old:{old}")
        environment = variables(settings)
        for name in FILES:
            (tmp_path / name).write_text(environment.pop(name))
            environment[f"{name}_FILE"] = str(tmp_path / name)
        with AppProcess(settings, tmp_path / "app.log", environment=environment) as app:
            slack.deliver_to = f"{app.url}/slack/events"
            system = System(slack, app.url, settings, sidecar.address)
            eventually(lambda: system.http.get("/readyz").json()["status"] == "ready")
            rotated = [0]

            def hold(name: str, value: str) -> None:
                (tmp_path / name).write_text(value)
                rotated[0] += 1
                eventually(lambda: app.written.count("secrets are rotated") == rotated[0])

            asked_before, kept = system.order("before"), system.order("kept")
            for order in (asked_before, kept):
                order.card()
            with clicking(kept) as seen:
                hold("COUNTERSIGN_SECRET_KEY", f"old:{old},new:{new}")
                hold("COUNTERSIGN_SECRET_KEY", f"new:{new},old:{old}")
                hold("SLACK_SIGNING_SECRET", f"{signing},{slack.signing_secret}")
                slack.rotate_signing_secret(signing)
                hold("SLACK_SIGNING_SECRET", signing)
                (tmp_path / "SLACK_SIGNING_SECRET").write_text("")
                eventually(lambda: "holds no secret" in app.written)
                assert asked_before.click("U0MANAGER").ok
            assert (len(seen) > 20, set(seen)) == (True, {True})
            assert asked_before.result() == {"status": "completed"}
            after = system.order("after")
            assert after.click("U0MANAGER").ok
            assert after.result() == {"status": "completed"}
            for secret in (old, new, signing):
                assert secret not in app.written
            system.http.close()


def test_app_token_sidecar_token_and_the_database_s_password_are_rotated_and_no_click_is_refused(
    tmp_path: Path,
) -> None:
    first, second = (secrets.token_urlsafe(24) for _ in range(2))
    with ExitStack() as stack:
        cluster = stack.enter_context(running_cluster())
        slack = stack.enter_context(workspace())
        sidecar = Sidecar(tmp_path / "sidecar.db", token=first).start()
        port = int(sidecar.address.rpartition(":")[2])
        settings = settings_for(tmp_path, slack, sidecar.address, socket_mode=True, database_url=cluster.url)
        settings = settings.model_copy(update={"dapr_api_token": SecretStr(first)})
        environment = variables(settings)
        for name in CONNECTED:
            (tmp_path / name).write_text(environment.pop(name))
            environment[f"{name}_FILE"] = str(tmp_path / name)
        app = stack.enter_context(AppProcess(settings, tmp_path / "app.log", environment=environment))
        past = settings.model_copy(update={"database_url": cluster.local_url})
        system = System(slack, app.url, past, sidecar.address)
        stack.callback(system.http.close)
        eventually(lambda: system.http.get("/readyz").json()["status"] == "ready")
        kept, order = system.order("kept"), system.order("over-it")
        for each in (kept, order):
            each.card()

        def hold(name: str, value: str, said: str = "secrets are rotated") -> None:
            before = app.written.count(said)
            (tmp_path / name).write_text(value)
            eventually(lambda: app.written.count(said) > before, 30)

        with clicking(kept) as seen:
            hold("SLACK_APP_TOKEN", "xapp-wrong", "Slack refuses the app token")
            slack.rotate_app_token("xapp-another")
            hold("SLACK_APP_TOKEN", "xapp-another")
            assert slack.sockets == 1
            hold("COUNTERSIGN_DATABASE_URL", f"{cluster.url}-of-another", "names another database")
            before = asked(cluster, "SELECT now()")
            asked(cluster, "ALTER ROLE postgres PASSWORD 'the second one'")
            cluster.password = "the second one"
            hold("COUNTERSIGN_DATABASE_URL", cluster.url)
            hold("DAPR_API_TOKEN", second)
            sidecar.stop()
            assert order.click("U0MANAGER").ok
            stack.callback(Sidecar(tmp_path / "sidecar.db", port=port, token=second).start().stop)
            eventually(lambda: system.http.get("/readyz").json()["status"] == "ready", 60)
        assert (len(seen) > 20, set(seen)) == (True, {True})
        eventually(lambda: len(order.processed()) == 1)
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'countersign' AND backend_start > $1"
        assert asked(cluster, sessions, before) > 0
        for secret in (first, second, "the second one", "xapp-another"):
            assert secret not in app.written
