"""A stranger's FastAPI service asks with the client package alone, and survives kills of itself and of the app.

So do raw REST, a child workflow, a shell script and an agent. More: `make strangers` (tests/torture/strangers.py).
"""

from collections.abc import Iterator

import pytest

from tests.end_to_end.system import REAL_SIDECAR, eventually
from tests.torture.strangers import WAYS, World, torture, world

pytestmark = pytest.mark.skipif(REAL_SIDECAR is not None, reason="it kills and starts apps on a sidecar of its own")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("stranger")) as found:
        yield found


def test_a_refund_waits_for_a_click(strangers: World) -> None:
    strangers.ask("client-901")
    strangers.ask("client-902")
    strangers.request("client-901").click("U0MANAGER")
    strangers.request("client-902").reject("U0MANAGER", "the parcel did arrive")
    eventually(lambda: strangers.read("client-901", "end") == ["refunded"], 30)
    eventually(lambda: strangers.read("client-902", "end") == ["rejected"], 30)
    assert [strangers.read(order, "paid") for order in ("client-901", "client-902")] == [["paid"], []]


def test_kills_of_app_client_and_receiver_lose_no_refund_and_pay_none_twice(strangers: World) -> None:
    figures, wrong = torture(strangers, kills=1, seed=1, at_once=1)
    assert (wrong, figures["kills"], set(figures["refunds"])) == ([], len(strangers.victims), set(WAYS))
