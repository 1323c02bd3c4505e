"""The image, really built and really run: what is in it, and that an order is decided through it."""

import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.deploy.containers.decided import Outside
from tests.deploy.containers.podman import ROOT, STAND_INS, eventually, inspected, podman, running

MEGABYTE = 1_000_000


def printed(image: str, *words: str) -> str:
    return podman(
        "run", "--rm", "--network=none", "--user=0", "--no-healthcheck", f"--entrypoint={words[0]}", image, *words[1:]
    )


def pinned(name: str) -> set[str]:
    """Return the names in a requirement file that hold on Linux with Python 3.13."""
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    elsewhere = re.compile(
        r"sys_platform == 'win32'|python_full_version < '3\.1[23]|platform_python_implementation == 'Py"
    )
    wanted = [line for line in lines if "==" in line and not line.startswith(" ") and not elsewhere.search(line)]
    return {re.sub(r"[-_.]+", "-", re.split(r"\[|==", line)[0]).lower() for line in wanted}


def test_the_image_is_small_and_says_what_it_is(image: str) -> None:
    found = inspected(image)
    assert found["Size"] <= 250 * MEGABYTE
    labels = found["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "Countersign"
    assert labels["org.opencontainers.image.version"]
    assert found["Config"]["User"] == "65532:65532"
    assert found["Config"]["Entrypoint"] == ["countersign"]
    assert found["Config"]["Cmd"] == ["run"]
    assert found["Healthcheck"]["Test"] == ["CMD", "countersign", "health"]


LEFT_BEHIND = """
import json, pathlib, shutil
programs = [each for each in ("gcc", "cc", "pip", "pip3", "strip", "curl") if shutil.which(each)]
folders = ("/tmp", "/var/cache/apt", "/var/lib/apt/lists", "/src", "/build", "/wheel", "/run/secrets")
print(json.dumps(programs + [str(p) for each in folders for p in pathlib.Path(each).rglob("*") if p.is_file()]))
"""


def test_the_image_holds_no_compiler_no_installer_no_cache_and_no_secret(image: str) -> None:
    assert json.loads(printed(image, "python", "-c", LEFT_BEHIND)) == []


def test_the_list_of_parts_in_the_image_names_every_pinned_package_and_nothing_else(image: str) -> None:
    found = json.loads(printed(image, "cat", "/opt/venv/share/countersign/sbom.cdx.json"))
    assert found["bomFormat"] == "CycloneDX"
    names = {re.sub(r"[-_.]+", "-", each["name"]).lower() for each in found["components"]}
    assert names - {"countersign"} == pinned("image.txt")


class Parts:
    """The three containers in one network namespace, as the containers of a pod are."""

    def __init__(self, image: str, run: str) -> None:
        self.image = image
        self.run = run
        self.sidecar, self.slack, self.app = (f"{name}-{run}" for name in ("sidecar", "slack", "app"))
        self.url = ""
        self.slack_url = ""

    def beside(self, name: str, *words: str) -> Any:
        joined = f"--network=container:{self.sidecar}"
        return running(name, joined, "--tmpfs=/tmp", *words)

    def app_running(self) -> Any:
        settings = {
            "SLACK_BOT_TOKEN": "xoxb-local-workspace",
            "SLACK_SIGNING_SECRET": "local-signing-secret",
            "SLACK_API_URL": "http://127.0.0.1:3100/api/",
            "COUNTERSIGN_SECRET_KEY": "a-key-of-the-tests-that-is-long-enough-to-be-one",
        }
        given = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
        return self.beside(self.app, f"--volume=data-{self.run}:/var/lib/countersign", *given, self.image)


def test_the_image_sends_traces_where_a_collector_is_named_and_loads_nothing_of_it_elsewhere(image: str) -> None:
    assert "opentelemetry-exporter-otlp-proto-http" in pinned("image.txt") - pinned("runtime.txt")
    asked = "import sys, bot.app; print(sorted(each for each in sys.modules if each.startswith('opentelemetry.sdk')))"
    assert json.loads(printed(image, "python", "-c", asked)) == []
    assert printed(image, "python", "-c", "import opentelemetry.exporter.otlp.proto.http.trace_exporter") == ""


@pytest.fixture(scope="module")
def parts(image: str) -> Iterator[Parts]:
    found = Parts(image, secrets.token_hex(3))
    with ExitStack() as stack:
        stack.callback(lambda: podman("volume", "rm", "--force", f"data-{found.run}", check=False))
        published = ("--publish=127.0.0.1::8000", "--publish=127.0.0.1::3100", "--tmpfs=/tmp", "--workdir=/tmp")
        sidecar = (*STAND_INS, image, "sidecar", "--db", "/tmp/sidecar.db")  # noqa: S108
        stack.enter_context(running(found.sidecar, *published, *sidecar))
        slack = (*STAND_INS, "--entrypoint=python", image, "-m", "local.slack", "--host=0.0.0.0", "--port=3100")
        deliver = "--deliver-to=http://127.0.0.1:8000/slack/events"
        stack.enter_context(found.beside(found.slack, *slack, deliver))
        found.url = "http://" + podman("port", found.sidecar, "8000/tcp")
        found.slack_url = "http://" + podman("port", found.sidecar, "3100/tcp")
        yield found


def test_an_order_is_decided_inside_and_the_container_ends_by_itself(parts: Parts) -> None:
    people = Outside(parts.url, parts.slack_url)
    with parts.app_running() as app:
        eventually(people.ready)
        assert podman("exec", app, "countersign", "health") == "The app is alive."
        key = podman(
            *("exec", app, "countersign", "keys", "create", "shop"),
            *("--person", "requester@example.com", "--role", "requester", "--expires", "1d", "-o", "json"),
        )
        people.key = re.findall(r"cs_[\w-]+", key)[0]
        assert people.decide("4711") == "approved"
        began = time.monotonic()
        podman("stop", "--time=20", app)
        assert time.monotonic() - began < 10
        assert inspected(app)["State"]["ExitCode"] == 0
