"""A database that cannot be used at the start: one sentence, an exit code, no traceback."""

from pathlib import Path

import pytest

from tests.end_to_end.processes import AppProcess
from tests.end_to_end.system import settings_for, workspace


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite:////nowhere/countersign.db", "its folder does not exist. Create the folder"),
        ("postgresql://me:hunter2@127.0.0.1:1/orders", "cannot be reached"),
    ],
)
def test_a_database_that_is_away_is_one_sentence_and_an_exit_code(tmp_path: Path, url: str, sentence: str) -> None:
    with workspace() as slack:
        settings = settings_for(tmp_path, slack, "127.0.0.1:1", database_url=url, database_patience_seconds=1.0)
        app = AppProcess(settings, tmp_path / "app.log")
        with pytest.raises(AssertionError):
            app.ready()
        assert app.exit_code() == 1
    said = [line for line in app.written.splitlines() if "Countersign does not start. The database" in line]
    assert len(said) == 1
    assert sentence in said[0]
    assert "Traceback" not in app.written
    assert "hunter2" not in app.written
