"""Systems for the end-to-end tests. Starting one takes a second, so those with the same settings are shared."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.end_to_end.browsing import chromium
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


class Systems:
    """The systems that run now, by name. On a real runtime only one runs at a time: all of them are one app there."""

    def __init__(self, folder: Callable[[str], Path]) -> None:
        self._folder = folder
        self._running: dict[str, tuple[System, ExitStack]] = {}

    def get(self, name: str, **settings: object) -> System:
        """Return the system of this name, starting it with these settings where it does not run."""
        if name not in self._running:
            stack = ExitStack()
            self._running[name] = (stack.enter_context(running(self._folder(name), **settings)), stack)
        return self._running[name][0]

    def stop(self) -> None:
        """End all of them."""
        while self._running:
            self._running.popitem()[1][1].close()


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


@pytest.fixture(scope="session")
def story_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policy") / "policy.yml"
    path.write_text(STORY)
    return path


@pytest.fixture(scope="session", params=["http", "socket"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def system(systems: Systems, transport: str) -> System:
    """Give the app with the policy of the repository, once over HTTP and once over Socket Mode."""
    return systems.get(transport, socket_mode=transport == "socket")


@pytest.fixture
def http_system(systems: Systems) -> System:
    """Give the app with the repository's policy over HTTP, where the transport makes no difference."""
    return systems.get("http")


@pytest.fixture
def story(systems: Systems, story_policy: Path) -> System:
    """Give the app with a policy of every kind of rule, chosen by currency."""
    return systems.get("story", policy=story_policy)


@pytest.fixture
def alone(systems: Systems, tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Start a system of the test's own, for tests that break a part."""
    with ExitStack() as stack:

        def start(**settings: object) -> System:
            return stack.enter_context(running(tmp_path, **settings))

        yield start
