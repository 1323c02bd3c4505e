"""Whether decisions reach their workflows, as /readyz and the metrics say it."""

import asyncio
import contextlib

import structlog

from bot.decisions.raises import ALONE_S, SLOW_RAISE_S, Raises
from bot.engine.client import EngineRefusedError, EngineUnavailableError


class Watched:
    """Raises under a clock of the test's own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.raises = Raises(lambda: self.now)

    def fail(self, instance_id: str, error: Exception) -> None:
        with contextlib.suppress(type(error)), self.raises.slot(instance_id):
            raise error

    def arrive(self, instance_id: str) -> None:
        with self.raises.slot(instance_id):
            pass


AWAY = EngineUnavailableError("away")


async def test_a_raise_that_takes_long_shows_before_it_has_failed() -> None:
    watched = Watched()
    with watched.raises.slot("a"):
        watched.now += SLOW_RAISE_S + 1
        assert watched.raises.trouble_s == SLOW_RAISE_S + 1
        assert watched.raises.everywhere
        assert "4 s" in watched.raises.message
    assert (watched.raises.trouble_s, watched.raises.message) == (0, "ok")


async def test_a_failure_shows_until_one_arrives() -> None:
    watched = Watched()
    watched.fail("a", AWAY)
    watched.now += 4
    watched.fail("a", AWAY)
    assert watched.raises.trouble_s == 4
    assert watched.raises.everywhere
    watched.arrive("b")
    assert watched.raises.trouble_s == 0


async def test_a_failure_is_forgotten_once_its_decision_is_answered() -> None:
    watched = Watched()
    watched.fail("a", AWAY)
    watched.fail("b", AWAY)
    watched.now += 4
    assert watched.raises.failing == {"a", "b"}
    watched.raises.settled({"a"})
    assert watched.raises.trouble_s == 4
    watched.raises.settled({"b"})
    assert watched.raises.message == "ok"


async def test_one_instance_that_is_ill_by_itself_takes_no_readiness_away_for_long() -> None:
    watched = Watched()
    watched.fail("a", AWAY)
    watched.now += ALONE_S + 1
    assert not watched.raises.everywhere
    assert watched.raises.message != "ok"
    watched.fail("b", AWAY)
    assert watched.raises.everywhere


async def test_a_refusal_concerns_its_instance_alone() -> None:
    watched = Watched()
    watched.fail("a", EngineRefusedError("actor is stalled"))
    assert watched.raises.trouble_s == 0


async def test_a_raise_that_hangs_is_logged_once_within_five_seconds_and_again_after_one_has_arrived() -> None:
    watched = Watched()
    with structlog.testing.capture_logs() as logs:
        with watched.raises.slot("a"), watched.raises.slot("b"):
            await asyncio.sleep(SLOW_RAISE_S + 0.1)
            assert [each["event"] for each in logs] == ["decisions do not reach their workflows"]
        watched.fail("a", AWAY)
    assert len(logs) == 2
    assert SLOW_RAISE_S < 5
