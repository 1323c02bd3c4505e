"""The compose stack, really up: PostgreSQL, secrets as files, an order decided; `down` and `up` keep it."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.containers.decided import Outside
from tests.deploy.containers.podman import ROOT, eventually, podman

HERE = Path(__file__).parent
PASSWORD = secrets.token_hex(12)
SECRETS = {
    "slack-bot-token": "xoxb-local-workspace",
    "slack-signing-secret": "local-signing-secret",
    "secret-key": secrets.token_urlsafe(48),
    "postgres-password": PASSWORD,
    "database-url": f"postgresql://countersign:{PASSWORD}@postgres/countersign",
    "dapr.json": "{}",
}


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


class Stack:
    """deploy/compose in a folder of its own, under a name of its own."""

    def __init__(self, folder: Path, image: str) -> None:
        self.name = f"stack{secrets.token_hex(3)}"
        self._ports = {"COUNTERSIGN_PORT": free_port(), "SLACK_PORT": free_port()}
        self._image = image
        self._folder = folder / "deploy/compose"
        for each in ("deploy/compose", "deploy/monitoring", "components"):
            shutil.copytree(ROOT / each, folder / each)
        shutil.copy(ROOT / "policy.yml", folder)
        shutil.copy(HERE / "stack.yaml", self._folder)
        self._write_secrets()

    def _write_secrets(self) -> None:
        """Write them as the first lines of compose.yaml say: for the containers' users alone."""
        shutil.rmtree(self._folder / "secrets", ignore_errors=True)
        (self._folder / "secrets").mkdir(mode=0o711)
        for name, value in SECRETS.items():
            path = self._folder / "secrets" / name
            path.write_text(value, encoding="utf-8")
            path.chmod(0o400)
            os.chown(path, 999 if name == "postgres-password" else 65532, -1)

    def compose(self, *words: str) -> None:
        """Run podman-compose on the stack."""
        program = Path(sys.executable).parent / "podman-compose"
        command = [str(program), "-p", self.name, "-f", "compose.yaml", "-f", "stack.yaml", *words]
        settings = {"COUNTERSIGN_IMAGE": self._image, "CONTAINERS_CONF": str(HERE / "containers.conf"), **self._ports}
        settings["STAND_INS"] = str(ROOT / "local")
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    def outside(self) -> Outside:
        """Return the stack as its users see it."""
        return Outside(*(f"http://127.0.0.1:{port}" for port in self._ports.values()))


@pytest.fixture
def stack(image: str, tmp_path: Path) -> Iterator[Stack]:
    podman(
        *("build", "--isolation=chroot", "--network=host", "--layers", "--tag=localhost/countersign-postgres"),
        *(f"--file={HERE / 'Postgres.Dockerfile'}", str(HERE)),
        seconds=300,
    )
    found = Stack(tmp_path, image)
    try:
        yield found
    finally:
        found.compose("down", "--timeout=1", "--volumes")


def test_an_order_is_decided_in_the_stack_and_is_still_there_after_down_and_up(stack: Stack) -> None:
    stack.compose("up", "--detach")
    people = stack.outside()
    eventually(people.ready, 60)
    made = podman(
        *("exec", f"{stack.name}_countersign_1", "countersign", "keys", "create", "shop"),
        *("--person", "requester@example.com", "--role", "requester", "--expires", "1d", "-o", "json"),
    )
    people.key = re.findall(r"cs_[\w-]+", made)[0]
    assert people.decide("4711") == "approved"
    stack.compose("down", "--timeout=10")
    stack.compose("up", "--detach")
    eventually(people.ready, 60)
    assert (people.ended("4711") or {})["custom_status"] == "approved"
    assert people.decide("4712") == "approved"
