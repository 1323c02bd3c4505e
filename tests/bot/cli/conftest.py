"""The command line in this process, and one running system for each module that asks it by REST."""

import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from bot.cli import demo
from tests.bot.cli.calling import Cli, Ran, run


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def book(tmp_path: Path) -> dict[str, str]:
    """Give settings with a database and a secret of their own."""
    return {
        "COUNTERSIGN_DATABASE_URL": f"sqlite:///{tmp_path / 'book.db'}",
        "COUNTERSIGN_SECRET_KEY": secrets.token_urlsafe(48),
    }


@pytest.fixture
def local(book: dict[str, str]) -> Cli:
    """Run a command that uses the database."""
    return lambda *words, **more: run(*words, **(book | more))


@pytest.fixture(scope="module")
def quiet() -> Iterator[None]:
    """Keep the app's lines away: its thread shares standard output with the commands under test."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
def parts(quiet: None) -> Iterator[demo.Demo]:
    with demo.running() as found:
        yield found


@pytest.fixture
def remote(parts: demo.Demo) -> Cli:
    """Run a command that asks the app, with the key of the operator or of `who`."""

    def ask(*words: str, who: str = "operator", stdin: str = "", **more: str) -> Ran:
        return run(
            *words, stdin=stdin, **({"COUNTERSIGN_URL": parts.url, "COUNTERSIGN_API_KEY": parts.tokens[who]} | more)
        )

    return ask
