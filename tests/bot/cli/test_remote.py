"""Calls that are not answered to the end: only what changes something may have taken effect."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bot.cli.calling import run


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the address of a server that hangs up on everybody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("status", "42"), "Nothing was changed: ask again"),
        (("why", "42"), "Nothing was changed: ask again"),
        (("pause", "42", "--reason", "wait"), "whether the call took effect is not known"),
    ],
)
def test_an_app_that_hangs_up_leaves_only_a_change_uncertain(silent: str, words: tuple[str, ...], said: str) -> None:
    ran = run(*words, COUNTERSIGN_URL=silent, COUNTERSIGN_API_KEY="cs_key")
    assert (ran.code, ran.out) == (5, "")
    assert said in ran.err


def test_the_app_is_looked_for_at_the_port_that_env_names(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = silent.rpartition(":")[2]
    (tmp_path / ".env").write_text(f"COUNTERSIGN_PORT={port}\nCOUNTERSIGN_API_KEY=cs_key\n")
    monkeypatch.chdir(tmp_path)
    ran = run("status", "42")
    assert (ran.code, f"127.0.0.1:{port}" in ran.err) == (5, True), ran.err
