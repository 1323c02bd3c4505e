"""One sidecar and one worker for the whole session, or a real runtime if COUNTERSIGN_TEST_SIDECAR names one.

Workflow names carry a mark of this run and instance ids are made fresh, so that a shared and already used runtime does.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from local.sidecar import Sidecar
from local.sidecar.wire import stubs
from tests.local.sidecar.cast import House, staffed, until

REAL = os.environ.get("COUNTERSIGN_TEST_SIDECAR", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if REAL and here in item.path.parents and item.get_closest_marker("local_only"):
            item.add_marker(pytest.mark.skip(reason="needs a sidecar, a file or a worker of its own"))


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if REAL:
        with staffed(REAL) as house:
            yield house
        return
    database = tmp_path_factory.mktemp("sidecar") / "workflows.db"
    with Sidecar(database) as sidecar, staffed(sidecar.address) as house:
        yield house


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Any]:
    """Give a sidecar of one's own, without a worker."""
    with Sidecar(tmp_path / "workflows.db") as sidecar, grpc.insecure_channel(sidecar.address) as channel:
        stub = stubs.TaskHubSidecarServiceStub(channel)
        yield SimpleNamespace(sidecar=sidecar, stub=stub, path=tmp_path / "workflows.db")


@pytest.fixture
def poll() -> Callable[..., Any]:
    return until
