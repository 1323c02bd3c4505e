"""What an operator is woken by, and what an auditor keeps: /metrics and the signed checkpoints."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from approvals.signing import parse_key_ring
from bot.control.reconciling.checkpoints import Checkpointing, signers_of
from bot.control.reconciling.restoring import Restoration
from bot.process.settings import Settings
from records import audit, checkpoints
from records.database import Database
from tests.end_to_end.system import System, eventually


def figures(system: System) -> dict[str, float]:
    text = system.http.get("/metrics").text
    return {
        f"{sample.name}{''.join(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_metrics_tell_what_waits_and_hold_nothing_that_a_user_typed(system: System) -> None:
    order = system.order("metrics-canary", description="a-typed-canary")
    order.card()
    found = eventually(lambda: (now := figures(system))["countersign_requests_waiting"] >= 1 and now)
    assert (found["countersign_worker_ready"], found["countersign_database_up"]) == (1, 1)
    assert (found["countersign_undelivered_decisions"], found["countersign_undelivered_alarm"]) == (0, 0)
    assert "countersign_decisions_refused_totalown_request" in found
    assert "canary" not in system.http.get("/metrics").text


def _same(signer: checkpoints.Signer) -> checkpoints.Signer:
    return signer


async def test_checkpoints_are_files_that_any_key_of_the_ring_proves_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, secret_key=f"new:{'n' * 40},old:{'o' * 40}")
    new, old = signers_of(settings.keys)
    database = Database.open(f"sqlite:///{tmp_path / 'a.db'}")
    await database.migrate()
    moments = iter([_at(hour) for hour in range(9)])
    entry = audit.Entry(at=_at(0), actor="system", action="test")
    try:
        for signer in (old, new):
            async with database.write() as connection:
                await audit.append(connection, entry)
            nothing = Restoration(database, None, (), moments.__next__)
            taking = Checkpointing(
                database, partial(_same, signer), tmp_path / "kept", moments.__next__, 60, restoration=nothing
            )
            assert await taking.take()
            await taking.take()  # nothing new: the same file
        found = checkpoints.read_folder(tmp_path / "kept", [new.public_key, old.public_key])
        assert [(each.seq, each.key_id) for each in found] == [(1, old.key_id), (2, new.key_id)]
        assert (await audit.verify(database, found)).ok
        with pytest.raises(checkpoints.BadCheckpointError):
            checkpoints.read_folder(tmp_path / "kept", [signers_of(parse_key_ring("z" * 40))[0].public_key])
    finally:
        await database.close()


def _at(hour: int) -> datetime:
    return datetime(2026, 1, 1, hour, tzinfo=UTC)
