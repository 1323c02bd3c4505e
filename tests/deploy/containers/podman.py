"""Podman for the tests: builds the image as a release would, and runs it as a cluster would."""

import configparser
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[3]
IMAGE = "localhost/countersign"
BASE = "localhost/debian:trixie-slim"
HARDENED = (
    "--read-only",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--user=65532:65532",
    "--no-healthcheck",
)
"""How every container of ours runs. The engine's own timer for health checks wants systemd; the tests ask."""
STAND_INS = (f"--volume={ROOT / 'local'}:/srv/local:ro", "--env=PYTHONPATH=/srv")
"""The local sidecar and the local Slack, which no image of ours holds."""


def podman(*words: str, check: bool = True, seconds: float = 60) -> str:
    """Run podman and return what it prints.

    Raises:
        AssertionError: it failed; the text is what it said.
    """
    environment = os.environ | {"CONTAINERS_CONF": str(Path(__file__).parent / "containers.conf")}
    done = subprocess.run(
        ["podman", *words], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(f"podman {' '.join(words)}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout.strip()


def inspected(what: str) -> dict[str, Any]:
    """Return what podman knows of an image or a container."""
    found: dict[str, Any] = json.loads(podman("inspect", what))[0]
    return found


def build() -> None:
    """Build the image on the base that deploy/image/base.sh makes."""
    with TemporaryDirectory() as folder:
        podman(
            *("build", "--format=docker", "--isolation=chroot", "--network=host", "--layers"),
            *("--build-arg", f"BASE={BASE}", *_pip_secrets(Path(folder))),
            *("--file=deploy/image/Dockerfile", f"--tag={IMAGE}", "."),
            seconds=500,
        )


def _pip_secrets(folder: Path) -> list[str]:
    """Return the options that hand this machine's package index and certificates to the build, and to no layer."""
    known = configparser.ConfigParser(interpolation=None)
    known.read([Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf"])
    lines, secrets = ["[global]"], []
    for name, variable in (("index_url", "PIP_INDEX_URL"), ("cert", "PIP_CERT")):
        value = os.environ.get(variable) or known.get("global", name, fallback="")
        value = value or known.get("global", name.replace("_", "-"), fallback="")
        if value and name == "cert":
            secrets += ["--secret", f"id=certificates,src={value}"]
            value = "/run/secrets/certificates"
        lines += [f"{name} = {value}"] if value else []
    written = folder / "pip.conf"
    written.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [*secrets, "--secret", f"id=pip,src={written}"]


@contextmanager
def running(name: str, *words: str, hardened: bool = True) -> Iterator[str]:
    """Run a container in the background, and take it away at the end."""
    podman("run", "--detach", f"--name={name}", *(HARDENED if hardened else ()), *words)
    try:
        yield name
    finally:
        podman("rm", "--force", "--volumes", "--time=0", name, check=False)


def eventually(found: Callable[[], Any], seconds: float = 40) -> Any:
    """Return the first true value.

    Raises:
        AssertionError: there was none in time; the text is what was last seen.
    """
    end = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > end:
            raise AssertionError(f"never came true: {value!r}")
        time.sleep(0.1)
    return value
