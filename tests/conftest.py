"""What all tests share: a part of the system that is missing skips its tests for people, and fails them in CI."""

import gc
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("full", deadline=None)  # a busy machine is no counter-example
settings.register_profile("unit", settings.get_profile("full"), max_examples=10)  # `make unit`: a few examples each
settings.load_profile("full")

PARTS = {
    "deploy_tools": (
        lambda: (Path(sys.executable).parent / "helm").exists() and find_spec("kubernetes_validate") is not None,
        "what checks deploy/ is not installed (`make deploy-tools`)",
    ),
    "promtool": (
        lambda: shutil.which("promtool") is not None,
        "promtool is not installed (Debian's package prometheus)",
    ),
    "systemd": (lambda: shutil.which("systemd-analyze") is not None, "systemd-analyze is not installed"),
    "browser": (lambda: shutil.which("chromium") is not None, "Chromium is not installed (Debian's package chromium)"),
    "postgres": (
        lambda: any(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        "PostgreSQL's server programs are not installed (Debian's package postgresql)",
    ),
}


def pytest_collection_finish() -> None:
    """Keep what is imported out of the collector's way: walking it took a tenth of the suite's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or in CI fail, a test whose part of the system is missing."""
    for marker, (installed, sentence) in PARTS.items():
        if item.get_closest_marker(marker) is not None and not installed():
            if os.environ.get("CI"):
                pytest.fail(sentence, pytrace=False)
            pytest.skip(sentence)
