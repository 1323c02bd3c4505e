"""The health check of a container: by the exit code alone, against a real listener."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from bot.cli.health import _own
from tests.bot.cli.calling import run


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        server.server_close()


def test_an_app_that_answers_at_livez_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200) as (port, asked):
        monkeypatch.setenv("COUNTERSIGN_HOST", "0.0.0.0")  # noqa: S104 what an image is set to
        monkeypatch.setenv("COUNTERSIGN_PORT", str(port))
        assert run("health").code == 0
    assert asked == ["/livez"]


def test_an_app_that_answers_anything_else_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(500) as (port, _):
        monkeypatch.setenv("COUNTERSIGN_PORT", str(port))
        found = run("health")
    assert found.code == 1
    assert "answers 500" in found.err


def test_an_app_that_is_not_there_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_PORT", "1")
    found = run("health")
    assert found.code == 1
    assert "does not answer at 127.0.0.1:1" in found.err


def test_a_port_that_is_none_is_said_and_counts_as_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_PORT", "http")
    found = run("health")
    assert found.code == 1
    assert "COUNTERSIGN_PORT" in found.err


@pytest.mark.parametrize(
    ("host", "asked"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.7", "10.0.0.7"), ("[::1]", "::1"), ("localhost", "localhost")],  # noqa: S104
)
def test_the_app_is_asked_where_it_listens(host: str, asked: str) -> None:
    assert _own(host) == asked
