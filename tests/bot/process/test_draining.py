"""The end of the web server: not ready first, served on for a moment, then closed."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

APP = """
import asyncio
import logging
from fastapi import FastAPI
from bot.cli.serving import Leaving, serve

logging.disable()
app = FastAPI()
ready = [True]

@app.get("/ready")
async def readiness() -> bool:
    return ready[0]

serve(app, "127.0.0.1", 0, Leaving(begin=lambda: ready.__setitem__(0, False), drain_s=2.5))
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[tuple["subprocess.Popen[str]", str]]:
    with subprocess.Popen([sys.executable, "-c", APP], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        yield process, found[0]
        process.kill()


def test_readiness_goes_first_and_requests_are_served_until_the_address_closes(
    server: tuple["subprocess.Popen[str]", str],
) -> None:
    process, url = server
    assert httpx.get(f"{url}/ready").json() is True
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    served = []
    while time.monotonic() - began < 2:
        answer = httpx.get(f"{url}/ready")
        served.append((answer.status_code, answer.json(), answer.headers.get("connection")))
        time.sleep(0.05)
    assert served[0][0] == 200
    assert served[-1] == (200, False, "close")
    assert process.wait(10) == 0
    assert 2.4 < time.monotonic() - began < 6


@pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM)])
def test_a_person_who_ends_it_need_not_wait(
    server: tuple["subprocess.Popen[str]", str], signals: tuple[signal.Signals, ...]
) -> None:
    process, _ = server
    began = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.1)
    assert process.wait(10) == 0
    assert time.monotonic() - began < 2
