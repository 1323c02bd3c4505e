"""A stranger's FastAPI service asks with the client package alone, and survives kills of itself and of the app.

More trials: `make strangers` (tests/torture/strangers.py).
"""

import random
from collections.abc import Iterator

import pytest

from tests.end_to_end.system import REAL_SIDECAR, eventually
from tests.torture.strangers import World, trial, world

pytestmark = pytest.mark.skipif(REAL_SIDECAR is not None, reason="it kills and starts apps on a sidecar of its own")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("stranger")) as found:
        yield found


def test_a_refund_waits_for_a_click(strangers: World) -> None:
    strangers.stranger.ask("yes")
    strangers.stranger.ask("no")
    strangers.request("yes").click("U0MANAGER")
    strangers.request("no").reject("U0MANAGER", "the parcel did arrive")
    eventually(lambda: strangers.stranger.end("yes") == "refunded", 30)
    eventually(lambda: strangers.stranger.end("no") == "rejected", 30)
    assert (strangers.stranger.paid("yes"), strangers.stranger.paid("no")) == (1, 0)


@pytest.mark.parametrize(("order", "seed"), [("killed", 1), ("hooked", 2)])
def test_kills_of_app_service_and_receiver_lose_no_refund_and_pay_none_twice(
    strangers: World, order: str, seed: int
) -> None:
    trial(strangers, f"{order}-{seed}", random.Random(seed))
