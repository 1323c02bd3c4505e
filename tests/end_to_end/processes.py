"""The app as a program of its own, as production runs it: `countersign run`, ended by a signal."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx
from pydantic import SecretStr

from bot.process.settings import Settings
from local.sidecar import Sidecar
from tests.end_to_end.system import REAL_SIDECAR, ROOT, SHARED, System, eventually, settings_for, workspace

NOISE = ("Task was destroyed", "never retrieved", "Traceback", "Unclosed", "never awaited")


class AppProcess:
    """`countersign run` on a free port. What it writes is kept in a file."""

    def __init__(
        self,
        settings: Settings,
        log: Path,
        port: int = 0,
        packages: Path | None = None,
        environment: Mapping[str, str] | None = None,
        descriptors: int | None = None,
    ) -> None:
        self._log = log
        path = os.pathsep.join(str(each) for each in (packages, ROOT) if each)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("SLACK_", "DAPR_"))}
        own = variables(settings) if environment is None else environment
        limit = ["prlimit", f"--nofile={descriptors}"] if descriptors else []
        command = [*limit, sys.executable, "-m", "bot.cli", "run", "--port", str(port)]
        self._process = subprocess.Popen(
            command,
            env={**inherited, **own} | {"PYTHONPATH": path, "PYTHONASYNCIODEBUG": "0"},
            cwd=log.parent,
            stdout=subprocess.PIPE,
            stderr=log.open("ab"),
            text=True,
        )
        self.url = ""

    def ready(self, seconds: float = 60) -> str:
        """Wait for the line that says its address, and return it."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise AssertionError(f"the app said nothing for {seconds} s:\n{self.written}")
        line = self._process.stdout.readline()
        assert "ready at http://" in line, self.written
        self.url = line.split()[-1]
        return self.url

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def written(self) -> str:
        """All it has written to standard error."""
        return self._log.read_text()

    @property
    def noise(self) -> list[str]:
        """The lines that an orderly end does not write."""
        return [line for line in self.written.splitlines() if any(each in line for each in NOISE)]

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill -9 it."""
        self._process.kill()
        self._process.wait()

    def end(self) -> tuple[int, float]:
        """Ask it to end. Returns its exit code and how many seconds that took."""
        began = time.monotonic()
        self.send(signal.SIGTERM)
        return self._process.wait(30), time.monotonic() - began

    def exit_code(self) -> int:
        """Wait for its own end."""
        assert self._process.stdout is not None
        self._process.stdout.close()
        return self._process.wait(30)

    def __enter__(self) -> Self:
        self.ready()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()


def variables(settings: Settings) -> dict[str, str]:
    """Return the environment that makes these settings."""
    found = {}
    for name, field in Settings.model_fields.items():
        alias = getattr(field.validation_alias, "choices", [f"COUNTERSIGN_{name.upper()}"])[0]
        value: Any = getattr(settings, name)
        if value not in (None, (), ""):
            shown = value.get_secret_value() if isinstance(value, SecretStr) else value
            found[str(alias)] = ",".join(shown) if isinstance(shown, tuple) else str(shown)
    return found


@contextlib.contextmanager
def running_apps(
    folder: Path,
    count: int = 1,
    *,
    sidecar: str | None = None,
    socket_mode: bool = False,
    packages: Path | None = None,
    descriptors: int | None = None,
    **changes: Any,
) -> Iterator[tuple[System, list[AppProcess]]]:
    """Start the parts, the apps as processes on one sidecar and one database. Slack calls the first over HTTP.

    `packages` is a folder with installed packages that the apps find beside their own; `descriptors` is how many files
    and connections each may have open.
    """
    with contextlib.ExitStack() as stack:
        for stop in SHARED if REAL_SIDECAR and sidecar is None else ():
            stop()
        sidecar = sidecar or REAL_SIDECAR or stack.enter_context(Sidecar(folder / "sidecar.db")).address
        slack = stack.enter_context(workspace())
        settings = settings_for(folder, slack, sidecar, socket_mode=socket_mode, **changes)
        logs = [folder / f"app-{number}.log" for number in range(count)]
        apps = [AppProcess(settings, log, packages=packages, descriptors=descriptors) for log in logs]
        for app in apps:
            stack.enter_context(app)
        slack.deliver_to = None if socket_mode else f"{apps[0].url}/slack/events"
        system = System(slack, apps[0].url, settings, sidecar)
        stack.callback(system.http.close)
        for app in apps:
            eventually(lambda app=app: httpx.get(f"{app.url}/readyz").status_code == 200)  # type: ignore[misc]
        yield system, apps
