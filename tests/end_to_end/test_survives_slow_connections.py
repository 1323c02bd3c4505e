"""Strangers who open many connections and send slowly: they are closed, and a manager's click is answered meanwhile."""

import contextlib
import resource
import select
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.end_to_end.processes import AppProcess, running_apps
from tests.end_to_end.system import System

MANY = 500
DESCRIPTORS = 300
LATE_S = 13
"""Ten seconds and some to close five hundred."""

NOW = str(int(time.time()))
HEAD = b"POST /slack/events HTTP/1.1\r\nhost: here\r\ncontent-length: 1000\r\n"
SIGNED = f"x-slack-request-timestamp: {NOW}\r\nx-slack-signature: v0={'0' * 64}\r\n\r\n".encode()
HALVES = {
    "nothing": b"",
    "half a head": HEAD,
    "half a body": HEAD + SIGNED + b"half",
    "half a second head": b"GET /livez HTTP/1.1\r\nhost: here\r\n\r\nGET /livez HTT",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, AppProcess]]:
    """Give an app of its own process that may have 300 descriptors."""
    with running_apps(tmp_path_factory.mktemp("slow"), descriptors=DESCRIPTORS) as (system, apps):
        system.http.close()
        system.http = httpx.Client(base_url=system.url, timeout=20, headers={"connection": "close"})
        yield system, apps[0]


@contextlib.contextmanager
def slow(url: str, count: int, half: bytes) -> Iterator[list[socket.socket]]:
    port = httpx.URL(url).port or 0
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            with contextlib.suppress(ConnectionError):
                connection.sendall(half)
            opened.append(connection)
        yield opened


def closed(connections: list[socket.socket]) -> int:
    """Count those that the server has closed."""
    over = 0
    for connection in connections:
        connection.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            try:
                while connection.recv(65_536):
                    pass
                over += 1
            except ConnectionError:
                over += 1
    return over


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_slow_connections_are_closed_and_a_click_is_answered_meanwhile(
    app: tuple[System, AppProcess], half: bytes
) -> None:
    system, process = app
    order = system.order(f"slow{len(half)}")
    order.card()
    assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[0] == DESCRIPTORS
    began = time.monotonic()
    with slow(system.url, MANY, half) as connections:
        outcome = order.click("U0MANAGER")
        assert outcome.ok
        assert outcome.elapsed < 3
        assert order.result() == {"status": "completed"}
        while (left := MANY - closed(connections)) and time.monotonic() - began < LATE_S + 5:
            select.select([], [], [], 0.2)
    assert not left
    assert time.monotonic() - began < LATE_S + 5
    assert "Too many open files" not in process.written


def test_a_drip_of_bytes_is_no_way_to_stay(app: tuple[System, AppProcess]) -> None:
    system, _ = app
    began = time.monotonic()
    with slow(system.url, 1, HEAD) as (connection,):
        connection.settimeout(0.5)
        answer = b""
        while time.monotonic() - began < LATE_S and not answer:
            with contextlib.suppress(TimeoutError, ConnectionError):
                connection.sendall(b"x: y\r\n")
                answer = connection.recv(1_000)
    assert b" 408 " in answer
    assert 9 < time.monotonic() - began < LATE_S
