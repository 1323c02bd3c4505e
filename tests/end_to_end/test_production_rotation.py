"""Every secret that rotates without a restart is rotated under clicks: none is refused."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.sidecar import Sidecar
from tests.end_to_end.processes import AppProcess, variables
from tests.end_to_end.system import REAL_SIDECAR, Order, System, eventually, settings_for, workspace

pytestmark = pytest.mark.skipif(bool(REAL_SIDECAR), reason="beside the apps of other tests it would take their work")
FILES = ("COUNTERSIGN_SECRET_KEY", "SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN")


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
