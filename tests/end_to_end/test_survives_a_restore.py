"""Database and engine restored to a moment before: it is said by every channel, and no effect runs until it is read."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.control.reconciling.checkpoints import signers_of
from local.sidecar import Sidecar
from records import checkpoints
from tests.end_to_end.system import REAL_SIDECAR, ROOT, System, eventually, settings_for, workspace
from tests.end_to_end.test_survives_a_record_behind import app, copied, moved


def told(system: System, user: str) -> list[str]:
    return [text for text in system.private(user) if "restored from a backup" in text]


@pytest.mark.skipif(REAL_SIDECAR is not None, reason="it needs an engine of its own")
def test_a_restored_database_is_said_everywhere_and_effects_wait_for_an_operator(tmp_path: Path) -> None:
    folder, database = tmp_path / "checkpoints", tmp_path / "countersign.db"
    with Sidecar(tmp_path / "sidecar.db") as sidecar, workspace() as slack:
        settings = settings_for(
            tmp_path, slack, sidecar.address, checkpoint_dir=folder, checkpoint_every_minutes=1 / 120
        )
        trusted = [each.public_key for each in signers_of(settings.keys)]
        with app(slack, settings, sidecar.address) as system:
            waits = system.order("waits")
            eventually(lambda: "card.posted" in waits.actions())
            copied(database, tmp_path / "kept.db")
            lost = system.order("lost")
            lost.card()
            lost.click("U0MANAGER")
            lost.result()
            last = eventually(lambda: len(lost.processed()) == 1 and lost.audit()[-1].seq)
            eventually(lambda: (newest := checkpoints.newest_in(folder, trusted)) and newest.seq >= last)
        copied(tmp_path / "kept.db", database)

        def doctor(*words: str) -> "subprocess.CompletedProcess[str]":
            own = {
                "COUNTERSIGN_DATABASE_URL": f"sqlite:///{database}",
                "COUNTERSIGN_CHECKPOINT_DIR": str(folder),
                "COUNTERSIGN_SECRET_KEY": settings.secret_key.get_secret_value(),
                "COUNTERSIGN_POLICY": str(settings.policy),
                "DAPR_GRPC_PORT": str(settings.dapr_grpc_port),
                "SLACK_BOT_TOKEN": slack.bot_token,
                "SLACK_API_URL": slack.api_url,
            }
            command = [sys.executable, "-m", "bot.cli", "doctor", *words]
            return subprocess.run(
                command,
                env=os.environ | own,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )

        with app(slack, settings, sidecar.address) as system:
            assert "is older than its signed checkpoints" in system.http.get("/readyz").json()["checks"]["restore"]
            assert "countersign_effects_held 1.0" in system.http.get("/metrics").text
            eventually(lambda: told(system, "U0OPERATOR"))
            again = moved(waits, system)
            again.click("U0MANAGER")
            again.card_says("Approved")
            looked = doctor("--look")
            assert (looked.returncode, "restored from a backup" in looked.stdout) == (1, True), looked.stdout
            asked = doctor("--after-restore")
            assert (asked.returncode, "still held" in asked.stderr) == (1, True)
            with pytest.raises(AssertionError), contextlib.suppress(TimeoutError):
                again.output(1.0)
            assert not again.processed()
            acknowledged = doctor("--after-restore", "--yes")
            assert (acknowledged.returncode, "Set aside" in acknowledged.stdout) == (0, True), acknowledged.stderr
            assert again.result() == {"status": "completed"}
            assert len(again.processed()) == 1
            assert "restore" not in system.http.get("/readyz").json()["checks"]
            assert len(told(system, "U0OPERATOR")) == 1
            assert len(list(folder.glob("lost-*/checkpoint-*.json"))) >= 1
            assert "Nothing is held" in doctor("--after-restore", "--yes").stdout
