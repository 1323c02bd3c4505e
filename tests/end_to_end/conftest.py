"""Systems for the end-to-end tests. Starting one takes a second, so those with the same settings are shared."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.end_to_end.browsing import chromium
from tests.end_to_end.control_room import Room
from tests.end_to_end.receiving import Receiver
from tests.end_to_end.system import SHARED, System, running

STORY = """
version: 1
channel: approvals
currency: USD
groups: {managers: managers, vps: vps}
rules:
  - name: quick
    when: {currency: EUR}
    approve: [{group: managers}]
    within: 3 s
    remind: [1 s, 2 s]
  - name: two stages
    when: {currency: GBP, amount: {below: 1000}}
    stages:
      - approve: [{group: managers}]
        within: 1 day
      - approve: [{group: vps}, {group: managers}]
        within: 1 day
  - name: one person may be both
    when: {currency: GBP}
    same_person_may_repeat: true
    stages:
      - approve: [{group: managers}]
        within: 1 day
      - approve: [{group: managers}]
        within: 1 day
  - name: two of them
    when: {currency: CHF}
    approve: [{group: managers}]
    needed: 2
    within: 1 day
  - name: two of them soon
    when: {currency: NOK}
    approve: [{group: managers}]
    needed: 2
    within: 6 s
  - name: escalated
    when: {currency: JPY}
    approve: [{group: managers}]
    within: 1 day
    escalate: {after: 1 s, to: [{group: vps}]}
  - name: somebody who is not there
    when: {currency: SEK}
    approve: [{group: nobody-knows}]
    within: 1 day
  - name: money and leadership
    when: {currency: DKK}
    seats:
      - {name: money, approve: {group: managers}}
      - {name: leadership, approve: [{group: vps}, {email: manager2@example.com}]}
    within: 1 day
  - name: deploys
    when: {kind: deploy}
    approve: [{group: managers}]
    within: 1 day
  - name: everything else
    when: {currency: any}
    approve: [{group: managers}]
    within: 1 day
"""


SETTINGS: dict[str, dict[str, Any]] = {
    "http": {},
    "socket": {"socket_mode": True},
    "story": {"policy": STORY},
    "reconciled": {"reconcile_every_seconds": 0.5},
}
"""The settings of the systems that files share, by their names."""

both_transports = pytest.mark.parametrize("system", ["http", "socket"], indirect=True)
"""Runs a test once over HTTP and once over Socket Mode."""


class Systems:
    """The shared systems that run now, by name. On a real runtime only one runs at a time: all are one app there."""

    def __init__(self, folder: Callable[[str], Path]) -> None:
        self._folder = folder
        self._running: dict[str, tuple[System, ExitStack]] = {}

    def get(self, name: str) -> System:
        """Return the system of this name, starting it if it does not run."""
        if name not in self._running:
            stack = ExitStack()
            self._running[name] = (stack.enter_context(running(self._folder(name), **SETTINGS[name])), stack)
        return self._running[name][0]

    def stop(self) -> None:
        """End all of them."""
        while self._running:
            self._running.popitem()[1][1].close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what starts a system of its own last in its file: on a real runtime that ends the file's."""
    order = {path: number for number, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: (order[item.path], "alone" in getattr(item, "fixturenames", ())))


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a browser of the file's own."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    found = Systems(tmp_path_factory.mktemp)
    SHARED.append(found.stop)
    yield found
    found.stop()


@pytest.fixture(scope="module")
def settings(request: pytest.FixtureRequest) -> dict[str, Any] | str:
    """Give the file's SETTINGS: of a system of its own, or the name of a shared one. A file may override this."""
    return getattr(request.module, "SETTINGS", "http")


@pytest.fixture(scope="module")
def system(
    request: pytest.FixtureRequest,
    systems: Systems,
    settings: dict[str, Any] | str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    """Give the app, its sidecar and its Slack as `settings` want them; `both_transports` names two shared ones."""
    wanted = getattr(request, "param", settings)
    if isinstance(wanted, str):
        yield systems.get(wanted)
        return
    with running(tmp_path_factory.mktemp("own"), **wanted) as found:
        yield found


@pytest.fixture
def room(system: System) -> Room:
    return Room.of(system)


@pytest.fixture
def alone(settings: dict[str, Any] | str, tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Start a system of the test's own with the file's settings, for tests that break a part."""
    own = {} if isinstance(settings, str) else settings
    with ExitStack() as stack:

        def start(**changes: Any) -> System:
            return stack.enter_context(running(tmp_path, **{**own, **changes}))

        yield start
