"""A database that another process holds: who decides hears in time that it is not confirmed, and it counts once."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bot.decisions.submissions import NOT_CONFIRMED
from tests.end_to_end.system import MANAGER, System


@contextlib.contextmanager
def held(system: System, seconds: float) -> Iterator[None]:
    """Hold the write lock for so long beside the block."""

    def hold() -> None:
        path = system.settings.database_url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        time.sleep(0.2)
        yield
        holding.result()


def test_a_click_on_a_slow_database_is_answered_in_time_and_counts_once(system: System) -> None:
    order = system.order("slow-db")
    order.card()
    with held(system, 4), system.hears("U0MANAGER", "not confirmed yet"):
        outcome = order.click("U0MANAGER")
        assert outcome.ok
        assert outcome.elapsed < 3
    assert order.result() == {"status": "completed"}
    assert (len(order.decisions()), len(order.processed())) == (1, 1)


def test_a_click_that_is_never_written_is_told_so(system: System) -> None:
    order = system.order("lost-db")
    order.card()
    # Another write may wait its five seconds first, and then the click its own: together ten.
    with held(system, 12), system.hears("U0MANAGER", "nothing was decided"):
        assert order.click("U0MANAGER").ok
    assert not order.decisions()
    assert order.click("U0MANAGER").ok
    assert order.result() == {"status": "completed"}


def test_a_rejection_keeps_its_form_and_rest_says_503_with_the_same_message(system: System) -> None:
    order = system.order("slow-rest")
    order.card()
    order.open_rejection("U0MANAGER")
    with held(system, 3.5):
        outcome = order.system.act(
            system.slack.act_as("U0MANAGER").submit(values={"reason": "too expensive for this year"})
        )
        assert NOT_CONFIRMED in str(outcome.errors)
    assert order.output()["status"] == "rejected"
    other = system.order("slow-rest-2")
    other.card()
    system.token(MANAGER)  # made before the database is held
    with held(system, 3.5):
        answer = other.approve_by_rest(by=MANAGER)
        assert (answer.status_code, answer.json()["detail"]) == (503, f"order {other.id}: {NOT_CONFIRMED}")
    assert other.result() == {"status": "completed"}
