"""An instance whose history its engine has torn: its person is told that it broke off, and no other waits with it.

Seen on Dapr 1.18.3: an app froze in a reminder's turn, a click came, and the app was killed.
"""

import time
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc

from bot.engine.client import Engine, _failure
from bot.engine.torn import TORN_FOR_GOOD_S, Torn
from bot.services import Services
from tests.end_to_end.system import buttons_of, eventually, running

SAID = (
    "workflow 'x': inbox key 'inbox-000000' declared in metadata (inboxLength=2) but missing from state store "
    "(transient store read failure or partial save?)"
)
FASTER = 20
"""The clock by which an instance is torn for good."""


class Tearing(Engine):
    """An engine that cannot read some of its instances any more."""

    torn: set[str] = set()  # noqa: RUF012 the test's own

    def __init__(self, address: str, token: str, timeout: float) -> None:
        super().__init__(address, token, timeout)
        self._torn = Torn(lambda: time.monotonic() * FASTER)

    async def _unary(self, method: Any, request: Any) -> Any:
        self._read(getattr(request, "instanceId", ""))
        return await super()._unary(method, request)

    async def raise_event(self, instance_id: str, name: str, payload: dict[str, Any]) -> None:
        """Raise, unless it is torn."""
        self._read(instance_id)
        await super().raise_event(instance_id, name, payload)

    def _read(self, instance_id: str) -> None:
        if instance_id in self.torn:
            raise _failure(grpc.StatusCode.UNKNOWN, SAID)


class Parts(Services):
    """The app's parts on such an engine."""

    @cached_property
    def engine(self) -> Tearing:
        """The engine that tears."""
        return Tearing(self.settings.sidecar_address, "", self.settings.dapr_api_timeout_seconds)


def test_a_torn_instance_is_told_as_broken_off_and_no_other_waits_with_it(tmp_path: Path) -> None:
    with running(tmp_path, parts=Parts, reconcile_every_seconds=0.2) as system:
        torn, other = system.order("torn"), system.order("other")
        torn.card()
        other.card()
        Tearing.torn.add(torn.instance_id)
        with system.hears("U0MANAGER", "has broken off with an error before it was decided"):
            assert torn.click("U0MANAGER").ok
        eventually(lambda: not buttons_of(torn.card()))
        assert torn.actions().count("workflow.found_failed") == 1
        assert torn.processed() == ()
        other.click("U0MANAGER")
        assert other.result() == {"status": "completed"}


def test_an_instance_is_torn_for_good_when_no_read_has_worked_for_long() -> None:
    now = [0.0]
    torn = Torn(lambda: now[0])
    assert not torn.for_good("a")
    now[0] = TORN_FOR_GOOD_S - 1
    torn.read("a")
    assert not torn.for_good("a")
    now[0] += TORN_FOR_GOOD_S
    assert torn.for_good("a")
    assert not torn.for_good("b")
