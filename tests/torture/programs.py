"""Strangers' programs as processes: begun, killed with all that they started, and begun again."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.end_to_end.system import ROOT


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Program:
    """A Python program, or another one that `runs` names, with this environment in this folder."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], folder: Path, runs: str = sys.executable
    ) -> None:
        self._command = [runs, *words]
        self._environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'client/src'}", "PYTHON": sys.executable}
        self._environment |= environment
        self._folder = folder
        self.process = self._begin()

    def _begin(self) -> "subprocess.Popen[bytes]":
        with (self._folder / "strangers.log").open("ab") as log:
            return subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stderr=log, start_new_session=True
            )

    @property
    def is_over(self) -> bool:
        """Whether it has ended by itself."""
        return self.process.poll() is not None

    def kill(self) -> None:
        """Kill -9 it, with all that it has started."""
        if not self.is_over:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def again(self) -> None:
        """Kill it, and begin it again."""
        self.kill()
        self.process = self._begin()


class Scripts:
    """A shell script that runs once for each order, until that order has its end."""

    def __init__(self, script: Path, ledger: Path, environment: Mapping[str, str], folder: Path) -> None:
        self._script, self._ledger, self._environment, self._folder = script, ledger, environment, folder
        self._running: list[Program] = []
        self._lock = threading.Lock()

    def begin(self, order: str) -> None:
        """Run the script for an order."""
        words = [str(self._script), order, str(self._ledger)]
        with self._lock:
            self._running.append(Program(words, self._environment, self._folder, runs="sh"))

    def again(self) -> None:
        """Kill all that run, and run them again."""
        with self._lock:
            self._running = [each for each in self._running if not each.is_over]
            for each in self._running:
                each.again()

    def kill(self) -> None:
        """Kill all that run."""
        with self._lock:
            for each in self._running:
                each.kill()
