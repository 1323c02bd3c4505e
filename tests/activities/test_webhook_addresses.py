"""Which addresses a webhook reaches: nothing that is not public, in whatever form it is written or resolved."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator

import pytest

from activities.callbacks import BadCallbackError, Callbacks
from activities.webhooks.addresses import UnreachableError, judged, may_reach, resolve
from activities.webhooks.sending import WebhookSender

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",  # noqa: S104 judged, not bound
    "198.18.0.1", "192.0.0.1", "192.0.2.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1", "fec0::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a00:1", "::127.0.0.1", "::a9fe:a9fe",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:0:0:0:0:80ff:fffe", "not an address", "",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]

NAMES = [
    "127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "0", "localhost",
    "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]",
]  # fmt: skip
"""Ways to write this machine."""


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_not_reached(address: str) -> None:
    assert not may_reach(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_reached(address: str) -> None:
    assert may_reach(address)


def test_a_network_that_an_operator_allows_is_reached_and_no_other() -> None:
    allowed = (ipaddress.ip_network("10.1.0.0/16"),)
    assert may_reach("10.1.2.3", allowed)
    assert may_reach("::ffff:10.1.2.3", allowed)
    assert not may_reach("10.2.2.3", allowed)


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(UnreachableError, match=r"leads to 10\.0\.0\.1"):
        judged("rebind.example", ["8.8.8.8", "10.0.0.1"], ())
    assert judged("good.example", ["8.8.8.8", "1.1.1.1"], ()) == "8.8.8.8"


class Receiver:
    """A listener on this machine that counts who reaches it, and answers with a redirect to itself."""

    def __init__(self) -> None:
        self.reached = 0
        self.port = 0
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reached += 1
        await reader.read(65536)
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    async with await asyncio.start_server(found.serve, "127.0.0.1", 0) as server:
        found.port = server.sockets[0].getsockname()[1]
        async with await asyncio.start_server(found.serve, "::1", found.port):
            yield found


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", NAMES)
async def test_this_machine_is_reached_under_none_of_its_names(receiver: Receiver, scheme: str, name: str) -> None:
    sender = WebhookSender()
    for userinfo in ("", "hooks.example@", "hooks.example:443@"):
        answer = await sender.post(f"{scheme}://{userinfo}{name}:{receiver.port}/", {}, "{}")
        assert answer.status is None, answer
        assert answer.problem
    assert receiver.reached == 0
    await sender.close()


async def test_a_name_that_answers_another_address_the_next_time_gains_nothing(receiver: Receiver) -> None:
    """The connection goes to the address that was judged; the name is not asked again."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> tuple[str, ...]:
        asked.append(host)
        return ("192.0.2.1",) if len(asked) == 1 else ("127.0.0.1",)

    sender = WebhookSender((ipaddress.ip_network("192.0.2.0/24"),), rebinding)
    answer = await sender.post(f"http://rebind.example:{receiver.port}/", {}, "{}")
    second = await sender.post(f"http://rebind.example:{receiver.port}/", {}, "{}")
    assert (answer.status, asked, receiver.reached) == (None, ["rebind.example"] * 2, 0)
    assert "leads to 127.0.0.1" in second.problem
    await sender.close()


@pytest.mark.parametrize("target", ["http://127.0.0.1:{}/inside", "http://169.254.169.254/latest/meta-data/"])
async def test_a_redirect_is_not_followed(receiver: Receiver, target: str) -> None:
    location = target.format(receiver.port)
    receiver.answer = f"HTTP/1.1 307 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
    sender = WebhookSender((ipaddress.ip_network("127.0.0.0/8"),))
    answer = await sender.post(f"http://127.0.0.1:{receiver.port}/", {}, "{}")
    assert (answer.status, answer.taken, receiver.reached) == (307, False, 1)
    assert "redirects are not followed" in answer.problem
    await sender.close()


async def test_an_answer_without_an_end_is_not_waited_for(receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nnever\r\n"
    sender = WebhookSender((ipaddress.ip_network("127.0.0.0/8"),))
    answer = await sender.post(f"http://127.0.0.1:{receiver.port}/", {}, "{}")
    assert answer.taken
    await sender.close()


async def test_a_name_without_an_address_is_a_problem_and_no_fault() -> None:
    with pytest.raises(UnreachableError, match="has no address"):
        await resolve("no-such-host.invalid", 443)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/", "https://hooks.example@evil.example/", "https://evil.example/?hooks.example",
        "https://hooks.example.evil.example/", "https://hooks.example:8443/", "ftp://hooks.example/",
        "https://hooks.example#@evil.example/", "https://2130706433/", "https://[::1]/", "https://127.0.0.1/",
        "https://hooks.example\\@evil.example/", "https:///hooks.example",
    ],
)  # fmt: skip
def test_a_callback_is_https_to_an_allowed_host_and_nothing_else(url: str) -> None:
    with pytest.raises(BadCallbackError):
        Callbacks().also(["hooks.example"]).demand(url)
    Callbacks().also(["hooks.example"]).demand("https://hooks.example/done?order=1")
