"""The database full or broken: no acknowledgement without a durable record, and it goes on when it is back."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.system import Order, System, eventually

FULL = "CREATE TRIGGER full BEFORE INSERT ON intake BEGIN SELECT RAISE(ABORT, 'no room'); END"


def database_of(system: System) -> Path:
    return Path(system.settings.database_url.removeprefix("sqlite:///"))


def test_a_click_that_cannot_be_stored_is_not_acknowledged_and_counts_when_there_is_room(
    alone: Callable[..., System],
) -> None:
    system = alone()
    order = system.order("full")
    order.card()
    with sqlite3.connect(database_of(system), isolation_level=None, timeout=10) as other:
        other.execute(FULL)
        assert not order.click("U0MANAGER").ok
        assert order.decisions() == ()
        other.execute("DROP TRIGGER full")
    _decided_once(order)


def _decided_once(order: Order) -> None:
    """Click until it is taken; the first click may have been written after all, and still counts once."""
    eventually(lambda: order.click("U0MANAGER").ok or order.status() != "RUNNING", 30)
    assert order.result() == {"status": "completed"}
    assert (order.actions().count("request.accepted"), len(order.processed())) == (1, 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the server ends its thread
@pytest.mark.parametrize("content", [b"this is no database " * 300, b"SQLite format 3\x00" + b"\xff" * 5_000])
def test_a_damaged_database_refuses_the_start_and_is_left_as_it_is(
    alone: Callable[..., System], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "countersign.db"
    path.write_bytes(content)
    with pytest.raises(AssertionError, match="did not start"):
        alone()
    assert path.read_bytes() == content
