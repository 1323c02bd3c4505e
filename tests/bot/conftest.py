"""The app's parts in one loop, for what a test would else need a whole system for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.in_process import Program, in_process


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    async with in_process(tmp_path) as found:
        yield found
