"""A PostgreSQL cluster of one's own, where its server programs are installed. It can be killed and started again."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

PASSWORD = "p@ss:word/canary%1"
"""With the characters that a URL has to escape; nothing that is written may hold it."""


def programs() -> Path:
    """Where initdb and postgres are. In CI a missing server fails; elsewhere its tests are skipped."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    on_path = shutil.which("initdb")
    if not found and on_path:
        found = [Path(on_path)]
    if not found and os.environ.get("CI"):
        pytest.fail("PostgreSQL's server programs are missing: install postgresql")
    if not found:
        pytest.skip("PostgreSQL's server programs are not installed")
    return found[0].parent


def unprivileged() -> dict[str, object]:
    """Run as nobody where we are root: the server refuses root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Cluster:
    """A cluster in a folder: on a socket there without a password, and on loopback with one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs = programs()
        self.port = free_port()
        self.password = PASSWORD
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if os.getuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        auth = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}"]
        options = ["-U", "postgres", *auth, "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]
        initdb = [self._programs / "initdb", "-D", folder / "data", *options]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **unprivileged())  # type: ignore[call-overload]

    def start(self) -> None:
        """Start the server and wait until it takes connections; a crashed one recovers first."""
        own = [f"unix_socket_directories={self.folder}", "fsync=off", "shared_buffers=16MB"]
        listen = ["listen_addresses=127.0.0.1", f"port={self.port}"]
        chosen = " ".join(f"-c {one}" for one in [*listen, *own])
        start = ("-o", chosen, "-l", self.folder / "log", "start")
        for _ in range(20):
            # What a killed server leaves behind holds its memory for a moment.
            if self._control(*start) == 0:
                return
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Stop the server without asking who is connected."""
        self._control("-m", "immediate", "stop")

    def kill(self) -> None:
        """Kill -9 the server; the processes of its connections notice it and end."""
        os.kill(self._pid(), signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of the server's processes: SIGSTOP freezes it, SIGCONT lets it go on."""
        first = self._pid()
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for pid in [first, *map(int, children)]:
            os.kill(pid, number)

    def _pid(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    @property
    def local_url(self) -> str:
        """The URL by the socket, without a password."""
        return f"postgresql://postgres@/postgres?host={self.folder}&port={self.port}"

    @property
    def url(self) -> str:
        """The URL by loopback, with the password."""
        return f"postgresql://postgres:{quote(self.password, safe='')}@127.0.0.1:{self.port}/postgres"

    def _control(self, *words: object) -> int:
        command = [self._programs / "pg_ctl", "-D", self.folder / "data", "-w", "-s", *words]
        return subprocess.run(command, check=False, cwd=self.folder, **unprivileged()).returncode  # type: ignore[call-overload, no-any-return]


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Make a cluster, start it, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="cs-pg-"))
    try:
        cluster = Cluster(folder)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
