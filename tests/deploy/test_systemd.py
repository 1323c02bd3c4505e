"""The units for a server without containers: systemd takes them, they are shut in, and secrets reach no environment."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.kinds import ROOT

UNITS = ROOT / "deploy/systemd"
SERVICES = sorted(UNITS.glob("*.service"))
OURS = {
    "countersign.service",
    "countersign-dapr.service",
    "countersign-placement.service",
    "countersign-scheduler.service",
}
MOST_EXPOSED = 2.5

each_service = pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)


def lines(path: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)


def verified(folder: Path, change: tuple[str, str] = ("", "")) -> str:
    """Return what systemd says of the units, with programs in the place of those that are not on this machine."""
    program = Path(sys.executable).parent / "countersign"
    for path in UNITS.iterdir():
        text = path.read_text(encoding="utf-8").replace("/opt/countersign/bin/countersign", str(program))
        text = re.sub(r"/opt/dapr/\w+", "/bin/true", text).replace("/usr/bin/curl", "/bin/true")
        (folder / path.name).write_text(text.replace(*change) if change[0] else text, encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(folder.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "\n".join(line for line in (done.stdout + done.stderr).splitlines() if "countersign" in line)


@pytest.mark.systemd
def test_systemd_takes_every_unit_without_a_word(tmp_path: Path) -> None:
    assert verified(tmp_path) == ""


@pytest.mark.systemd
def test_a_misspelt_line_would_be_found(tmp_path: Path) -> None:
    assert "ProtectSystm" in verified(tmp_path, ("ProtectSystem=", "ProtectSystm="))


@pytest.mark.systemd
@each_service
def test_each_service_is_shut_in(path: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found.group(1)) <= MOST_EXPOSED


def test_there_is_a_unit_for_each_part() -> None:
    assert {path.name for path in SERVICES} >= OURS
    for name in OURS:
        assert lines(UNITS / name, "Restart") == ["always"]
        assert lines(UNITS / name, "DynamicUser") == ["yes"]
        assert lines(UNITS / name, "ProtectSystem") == ["strict"]
        assert lines(UNITS / name, "StateDirectory") == [name.removesuffix(".service")]


def test_each_secret_is_a_credential_and_none_is_in_the_environment() -> None:
    app = UNITS / "countersign.service"
    credentials = {each.partition(":")[0] for each in lines(app, "LoadCredential")}
    files = dict(each.split("=", 1) for each in lines(app, "Environment") if "_FILE=" in each)
    assert {each.removeprefix("%d/") for each in files.values()} == credentials
    assert {"SLACK_BOT_TOKEN_FILE", "COUNTERSIGN_SECRET_KEY_FILE", "DAPR_API_TOKEN_FILE"} <= files.keys()


def test_the_parts_start_in_order_and_listen_on_this_machine_alone() -> None:
    assert lines(UNITS / "countersign.service", "Requires") == ["countersign-dapr.service"]
    (sidecar,) = lines(UNITS / "countersign-dapr.service", "ExecStart")
    for flag in ("--dapr-listen-addresses", "--dapr-internal-grpc-listen-address", "--metrics-listen-address"):
        assert f"{flag}=127.0.0.1" in sidecar
    for name, port in (("placement", 50005), ("scheduler", 50006)):
        (started,) = lines(UNITS / f"countersign-{name}.service", "ExecStart")
        assert f"--port={port} --listen-address=127.0.0.1" in started
        assert f"--{name}-host-address=127.0.0.1:{port}" in sidecar


def test_the_app_is_started_by_a_command_that_there_is() -> None:
    (started,) = lines(UNITS / "countersign.service", "ExecStart")
    program, *words = started.split()
    done = subprocess.run(
        [Path(sys.executable).parent / Path(program).name, *words, "--help"], capture_output=True, check=False
    )
    assert done.returncode == 0


def test_a_sidecar_that_stays_unhealthy_for_a_minute_is_restarted() -> None:
    check = UNITS / "countersign-health.service"
    (asked,) = lines(check, "ExecStart")
    retries, delay = (int(re.search(rf"--{name} (\d+)", asked).group(1)) for name in ("retry", "retry-delay"))  # type: ignore[union-attr]
    assert 55 <= retries * delay <= 90
    (after,) = lines(check, "OnFailure")
    assert lines(UNITS / after, "ExecStart") == ["/usr/bin/systemctl try-restart countersign-dapr.service"]
