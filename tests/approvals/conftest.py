"""Shared by the domain's tests."""

import pytest

from tests.approvals.exploration import Seen, explore, routes
from tests.approvals.story import Story


@pytest.fixture(scope="session")
def story() -> Story:
    return Story()


@pytest.fixture(scope="session")
def explored(story: Story) -> dict[str, list[Seen]]:
    return {name: explore(story, story.new(route)) for name, route in routes(story).items()}
