"""Building an image takes a minute and root: `make test-image` asks for it, the ordinary suite does not."""

import os

import pytest

from tests.deploy.containers import podman


@pytest.fixture(scope="session")
def image() -> str:
    """Return the image's name, built from this tree."""
    if not os.environ.get("COUNTERSIGN_TEST_IMAGE"):
        pytest.skip("`make test-image` builds the image and runs these tests")
    podman.build()
    return podman.IMAGE
