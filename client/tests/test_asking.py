"""Asking, blocking and not: a yes returns, every other end raises, and a key asks once."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import countersign
import httpx
import pytest
from countersign.asking import Transports
from countersign.testing import Fake

REFUND: dict[str, Any] = {"kind": "refund", "key": "refund:4711", "amount": 250, "currency": "EUR"}


def blocking(subject: str, **more: Any) -> countersign.Request:
    return countersign.ask(subject, **more)


def not_blocking(subject: str, **more: Any) -> countersign.Request:
    return asyncio.run(countersign.aask(subject, **more))


BOTH = pytest.mark.parametrize("ask", [blocking, not_blocking])
Ask = Callable[..., countersign.Request]


@BOTH
def test_a_yes_returns_the_request(countersign_fake: Fake, ask: Ask) -> None:
    countersign_fake.approves()
    found = ask("Refund order 4711", **REFUND, fields={"reason": "lost"})
    assert (found.approved, found.over, found.amount) == (True, True, Decimal(250))
    assert found.decided_by[0].name == "Fake Approver"
    (asked,) = countersign_fake.asked
    assert (asked.key, asked.subject, asked.kind) == ("refund:4711", "Refund order 4711", "refund")
    assert asked.body == {
        "kind": "refund",
        "subject": "Refund order 4711",
        "amount": "250",
        "currency": "EUR",
        "fields": {"reason": "lost"},
    }


@BOTH
@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("rejected", countersign.Rejected),
        ("timed_out", countersign.TimedOut),
        ("withdrawn", countersign.Withdrawn),
        ("terminated", countersign.Terminated),
        ("failed", countersign.Failed),
        ("expired", countersign.Expired),
    ],
)
def test_every_other_end_raises_its_own_error(
    countersign_fake: Fake, ask: Ask, status: str, error: type[countersign.NotApproved]
) -> None:
    countersign_fake.ends(status)
    with pytest.raises(error) as caught:
        ask("x", **REFUND)
    assert caught.value.request.status == status


def test_a_rejection_says_who_and_why(countersign_fake: Fake) -> None:
    countersign_fake.rejects("the parcel did arrive")
    with pytest.raises(countersign.Rejected, match=r"was rejected by Fake Approver: the parcel did arrive\."):
        countersign.ask("Refund order 4711", **REFUND)


def test_nobody_answering_ends_the_wait_and_not_the_request(countersign_fake: Fake) -> None:
    countersign_fake.times_out()
    with pytest.raises(countersign.TimedOut, match="was not answered in time"):
        countersign.ask("x", **REFUND)
    countersign_fake.waits()
    with pytest.raises(countersign.StillWaiting, match="call again with the same key"):
        countersign.ask("x", **REFUND, wait=0)
    countersign_fake.approves()
    assert countersign.ask("x", **REFUND, wait=timedelta(seconds=5)).approved
    assert len(countersign_fake.asked) == 1, "the same key is the same request"


def test_an_override_is_a_yes(countersign_fake: Fake) -> None:
    countersign_fake.ends("overridden")
    assert countersign.ask("x", **REFUND).approved


def test_the_same_key_with_other_content_is_refused(countersign_fake: Fake) -> None:
    countersign_fake.approves()
    countersign.ask("x", **REFUND)
    with pytest.raises(countersign.Refused, match="used before for other content") as caught:
        countersign.ask("y", **REFUND)
    assert caught.value.status == 409


def test_a_client_starts_looks_and_waits(countersign_fake: Fake) -> None:
    with countersign.Client() as client:
        started = client.start("x", **REFUND)
        assert (started.status, client.get(started.id).status, started.reason) == ("waiting", "waiting", "")
        countersign_fake.approves()
        assert client.wait(started, "1s").approved
        with pytest.raises(countersign.Refused) as caught:
            client.get("fake-77")
        assert caught.value.status == 404


async def _all_of_it(fake: Fake) -> None:
    async with countersign.AsyncClient() as client:
        started = await client.start("x", **REFUND)
        assert (await client.get(started.id)).status == "waiting"
        fake.approves()
        assert (await client.wait(started, "1s")).approved


def test_an_async_client_starts_looks_and_waits(countersign_fake: Fake) -> None:
    asyncio.run(_all_of_it(countersign_fake))


@BOTH
def test_an_app_that_is_away_for_a_moment_is_waited_for(countersign_fake: Fake, ask: Ask) -> None:
    countersign_fake.approves()
    served = Transports.fake
    calls: list[str] = []

    def handle(call: httpx.Request) -> httpx.Response:
        calls.append(call.method)
        if len(calls) == 1:
            raise httpx.ConnectError("refused")
        if len(calls) == 2:
            return httpx.Response(503, headers={"Retry-After": "0"})
        assert served is not None
        return served.handle_request(call)

    Transports.fake = httpx.MockTransport(handle)  # the fixture puts back what was there before
    assert ask("x", **REFUND).approved
    assert calls == ["POST", "POST", "POST"]


@pytest.mark.parametrize("key", ["", "k" * 201, "schlüssel", "a\nb"])
def test_a_key_that_no_header_can_carry_is_refused_before_anything_is_sent(countersign_fake: Fake, key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        countersign.ask("x", kind="refund", key=key)
    assert countersign_fake.asked == []


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("", "cs_key", "COUNTERSIGN_URL is not set"),
        ("http://127.0.0.1:1", "", "COUNTERSIGN_API_KEY is not set"),
        ("approvals.example.com", "cs_key", "no address"),
        ("http://127.0.0.1:1", "cs_schlüssel", "no key"),
    ],
)
def test_settings_that_cannot_be_used_are_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str, key: str, said: str
) -> None:
    monkeypatch.setenv("COUNTERSIGN_URL", url)
    monkeypatch.setenv("COUNTERSIGN_API_KEY", key)
    with pytest.raises(countersign.Misconfigured, match=said) as caught:
        countersign.Client()
    assert "cs_" not in str(caught.value)


def test_the_key_is_sent_as_a_bearer_token_and_the_amount_as_it_was_written(countersign_fake: Fake) -> None:
    seen: list[httpx.Request] = []
    served = Transports.fake
    assert served is not None

    def handle(call: httpx.Request) -> httpx.Response:
        seen.append(call)
        return served.handle_request(call)

    Transports.fake = httpx.MockTransport(handle)
    with countersign.Client("https://approvals.example.com/", "cs_mine") as client:
        client.start("x", kind="refund", key="k", amount=Decimal("0.10"))
    assert seen[0].headers["Authorization"] == "Bearer cs_mine"
    assert str(seen[0].url) == "https://approvals.example.com/requests"
    assert json.loads(seen[0].content)["amount"] == "0.10"


def test_an_approval_is_used_once(countersign_fake: Fake) -> None:
    with countersign.Client() as client:
        asked = client.start("x", **REFUND)
        with pytest.raises(countersign.Refused, match="Only what is approved"):
            client.consume(asked.id, "pay:4711")
        countersign_fake.approves()
        used = client.consume(asked.id, "pay:4711")
        assert client.consume(asked.id, "pay:4711") == used
        with pytest.raises(countersign.Refused, match="only once"):
            client.consume(asked.id, "another")
        with pytest.raises(countersign.Refused):
            client.receipt("fake-77")


async def _used(fake: Fake) -> None:
    async with countersign.AsyncClient() as client:
        asked = await client.start("x", **REFUND)
        fake.approves()
        await client.consume(asked.id, "pay:4711")
        with pytest.raises(countersign.Refused):
            await client.receipt("fake-77")


def test_an_async_client_uses_an_approval(countersign_fake: Fake) -> None:
    asyncio.run(_used(countersign_fake))
