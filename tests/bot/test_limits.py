"""The limit of a request's head, at the web server of `countersign run` and on raw sockets."""

import contextlib
import re
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import pytest

from bot.process.connections import MAX_HEAD

APP = """
import logging
from fastapi import FastAPI, Request
from bot.cli.serving import serve
from bot.process.limits import BodyLimit

logging.disable()
app = FastAPI()
app.add_middleware(BodyLimit)

@app.post("/size")
async def size(request: Request) -> int:
    return len(await request.body())

serve(app, "127.0.0.1", 0)
"""
ENDLESS = 4096
"""Pieces of 16 KiB after which a test gives up: 64 MiB, a thousand times the limit."""

PIECE = 16 * 1024
REQUEST = b"POST /size HTTP/1.1\r\nhost: here\r\ncontent-length: 5\r\n"
BODY = b"\r\nhello"
CHUNKED = b"POST /size HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n"


class Program(NamedTuple):
    """The server in a process of its own, whose memory can be looked at."""

    process: subprocess.Popen[str]
    port: int

    def peak_kib(self) -> int:
        """Return the most memory that it ever had, in KiB."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found
        return int(found[1])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with subprocess.Popen([sys.executable, "-c", APP], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert ready
        yield Program(process, int(ready[1]))
        process.terminate()


def answer(connection: socket.socket) -> bytes:
    """Return one answer, or what came before the server closed the connection."""
    found = b""
    while not re.search(rb"\r\n\r\n.+", found, re.DOTALL):
        try:
            piece = connection.recv(65536)
        except ConnectionError:
            break
        if not piece:
            break
        found += piece
    return found


def status(found: bytes) -> int:
    assert found.startswith(b"HTTP/1.1 "), found[:100]
    return int(found[9:12])


def pour(connection: socket.socket, start: bytes, piece: bytes) -> tuple[int, bytes]:
    """Send without end until there is an answer. Returns how many pieces went out, and the answer."""
    connection.sendall(start)
    for sent, each in enumerate(repeat(piece, ENDLESS)):
        readable, _, _ = select.select([connection], [], [], 0)
        if readable:
            return sent, answer(connection)
        try:
            connection.sendall(each)
        except ConnectionError:
            return sent, answer(connection)
    return ENDLESS, b""


def ask(program: Program) -> bytes:
    with program.connect() as connection:
        connection.sendall(REQUEST + BODY)
        return answer(connection)


HEADS = [
    ("an endless header", REQUEST + b"x-long: ", b"a" * PIECE),
    ("endless headers", REQUEST, b"x-many: 1\r\n" * (PIECE // 11)),
    ("an endless address", b"GET /", b"a" * PIECE),
    ("an endless name of a header", REQUEST, b"a" * PIECE),
    ("endless trailers behind a body", CHUNKED + b"5\r\nhello\r\n0\r\n", b"x-many: 1\r\n" * (PIECE // 11)),
    ("an endless trailer", CHUNKED + b"5\r\nhello\r\n0\r\nx-long: ", b"a" * PIECE),
    ("an endless extension of a piece", CHUNKED + b"5;", b"a" * PIECE),
]


@pytest.mark.parametrize(("start", "piece"), [row[1:] for row in HEADS], ids=[row[0] for row in HEADS])
def test_a_head_without_end_is_refused_with_a_status_and_the_connection_closed(
    program: Program, start: bytes, piece: bytes
) -> None:
    with program.connect() as connection:
        sent, found = pour(connection, start, piece)
        assert sent < ENDLESS
        assert status(found) == 431
        assert b"64 KiB" in found
    assert status(ask(program)) == 200


def test_memory_stays_bounded_and_others_are_answered_while_many_send_without_end(program: Program) -> None:
    ask(program)
    before = program.peak_kib()
    with contextlib.ExitStack() as stack:
        half = [stack.enter_context(program.connect()) for _ in range(50)]
        for connection in half:
            connection.sendall(REQUEST + b"x-long: " + b"a" * (MAX_HEAD // 2))
        assert status(ask(program)) == 200
        for connection in half:
            sent, found = pour(connection, b"", b"a" * PIECE)
            assert (sent < ENDLESS, status(found)) == (True, 431)
            assert status(ask(program)) == 200
    # Fifty heads at the limit are 3 MiB; without one, a single connection would have left 64 MiB.
    assert program.peak_kib() - before < 32 * 1024


@pytest.mark.parametrize("pieces", [1, 40])
@pytest.mark.parametrize(("beyond", "wanted"), [(-200, 200), (200, 431)], ids=["just under", "just over"])
def test_the_limit_is_where_it_says_however_the_head_arrives(
    program: Program, pieces: int, beyond: int, wanted: int
) -> None:
    filler = b"x-long: " + b"a" * (MAX_HEAD + beyond - len(REQUEST) - len(b"x-long: \r\n\r\n")) + b"\r\n"
    whole = REQUEST + filler + BODY
    size = -(-len(whole) // pieces)
    with program.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(whole), size):
                connection.sendall(whole[start : start + size])
        assert status(answer(connection)) == wanted


@pytest.mark.parametrize("size", [MAX_HEAD + 1, 200_000, 1024 * 1024])
def test_a_body_is_not_taken_for_a_head_and_the_next_request_follows(program: Program, size: int) -> None:
    head = f"POST /size HTTP/1.1\r\nhost: here\r\ncontent-length: {size}\r\n\r\n".encode()
    with program.connect() as connection:
        for _ in range(3):
            connection.sendall(head + b"b" * size)
            found = answer(connection)
            assert (status(found), found.endswith(str(size).encode())) == (200, True)


def test_many_requests_on_one_connection_do_not_add_up(program: Program) -> None:
    with program.connect() as connection:
        for _ in range(40):
            connection.sendall(REQUEST + b"x-long: " + b"a" * (MAX_HEAD // 4) + b"\r\n" + BODY)
            assert status(answer(connection)) == 200
