"""The clients: they make the calls of `calls`, blocking or not. Both ask the same way and raise the same errors."""

import asyncio
import math
import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx

from countersign import calls
from countersign.calls import Call, Pause, Steps, T, Talk
from countersign.errors import Misconfigured
from countersign.values import Duration, Request, Seconds, body_of, seconds_of

TIMEOUT_S: Final = calls.HELD_S + 10.0
"""How long a call may take: longer than the app holds it."""


class Transports:
    """What stands in for the network, in a test. Nothing else sets it."""

    fake: httpx.MockTransport | None = None


class _Settings:
    """Where the app is, and whose key is sent: as given, or from the environment."""

    def __init__(self, url: str | None, api_key: str | None, auth: httpx.Auth | None) -> None:
        if Transports.fake is not None:
            url, api_key = url or "http://countersign.fake", api_key or "cs_fake"
        found = (url or os.environ.get("COUNTERSIGN_URL", "")).strip().rstrip("/")
        key = (api_key or os.environ.get("COUNTERSIGN_API_KEY", "")).strip()
        if not found or not (key or auth):
            missing = "COUNTERSIGN_URL" if not found else "COUNTERSIGN_API_KEY"
            raise Misconfigured(f"{missing} is not set. Set it, or give it to Client(url=…, api_key=…).")
        if urlsplit(found).scheme not in {"http", "https"} or not urlsplit(found).hostname:
            raise Misconfigured("COUNTERSIGN_URL is no address: write it like https://approvals.example.com.")
        if not key.isascii() or not key.isprintable():
            raise Misconfigured(
                "COUNTERSIGN_API_KEY is no key: copy it again, as `countersign keys create` printed it."
            )
        whose = {} if auth else {"Authorization": f"Bearer {key}"}
        self.http: dict[str, Any] = {
            "base_url": found,
            "auth": auth,
            "headers": whose | {"User-Agent": "countersign-client"},
            "timeout": TIMEOUT_S,
        }


def _until(wait: Duration | None) -> Seconds:
    return math.inf if wait is None else time.monotonic() + seconds_of(wait)


def _asked(body: Mapping[str, Any], key: str, wait: Duration | None) -> Steps:
    """Ask and wait for the end."""
    until = _until(wait)
    request = yield from calls.starting(body, _known(key), max(until, time.monotonic() + calls.HELD_S), time.monotonic)
    return (yield from calls.awaiting(request, until, time.monotonic))


def _known(key: str) -> str:
    if not 1 <= len(key) <= 200 or not key.isprintable() or not key.isascii():  # noqa: PLR2004 what the app takes
        raise ValueError("the key must have 1 to 200 printable ASCII characters, such as refund:4711")
    return key


def _made(call: Call) -> dict[str, Any]:
    return {"json": call.body, "params": call.query, "headers": dict(call.headers)}


class Client:
    """Asks and waits, blocking the thread."""

    def __init__(self, url: str | None = None, api_key: str | None = None, *, auth: httpx.Auth | None = None) -> None:
        """Take the app's address and a key of the role requester, or `COUNTERSIGN_URL` and `COUNTERSIGN_API_KEY`.

        `auth` stands in for a key, such as `JobToken.of_this_job()` in CI. Raises: Misconfigured.
        """
        self._http = httpx.Client(transport=Transports.fake, **_Settings(url, api_key, auth).http)

    def ask(  # noqa: PLR0913 what a request has
        self,
        subject: str,
        *,
        kind: str,
        key: str,
        wait: Duration | None = None,
        amount: Decimal | float | str | None = None,
        currency: str | None = None,
        description: str | None = None,
        fields: Mapping[str, str | bool | float] | None = None,
        requester: str | None = None,
        callback: str | None = None,
        callback_events: Sequence[str] = (),
    ) -> Request:
        """Ask people for a yes, and return the request when they have given it.

        `key` names what is asked for in your own words, such as `refund:4711`: called again with it, after a crash for
        example, this goes on waiting for the same request. `wait` is how long; without it, until the request ends.
        A restart of the app is waited for. `callback` is told the end by a webhook, too,
        and before that the `callback_events`: `counted`, `changed`.

        Raises: Rejected, TimedOut, Withdrawn, Terminated, Failed, Expired for the other ends, StillWaiting when `wait`
        is over, Refused for what cannot be asked, Unreachable if the app never answers.
        """
        body = body_of(
            kind=kind,
            subject=subject,
            amount=amount,
            currency=currency,
            description=description,
            fields=fields,
            requester=requester,
            callback=callback,
            callback_events=list(callback_events) or None,
        )
        return self._run(_asked(body, key, wait))

    def start(self, subject: str, *, kind: str, key: str, **more: Any) -> Request:
        """Ask, and return at once: a webhook, `get` or `wait` brings the answer. `more` is as for `ask`."""
        body = body_of(kind=kind, subject=subject, **more)
        return self._run(calls.starting(body, _known(key), math.inf, time.monotonic))

    def get(self, request_id: str) -> Request:
        """Return where a request stands. Raises: Refused, Unreachable."""
        return self._run(calls.looking(request_id, time.monotonic() + calls.PATIENCE_S, time.monotonic))

    def wait(self, request: Request, wait: Duration | None = None) -> Request:
        """Wait for a request's yes. Raises: as `ask`."""
        return self._run(calls.awaiting(request, _until(wait), time.monotonic))

    def receipt(self, request_id: str) -> str:
        """Return the receipt of an approval, for `verify_receipt`. Raises: Refused, Unreachable."""
        return self._run(calls.proving(request_id, time.monotonic() + calls.PATIENCE_S, time.monotonic))

    def consume(self, request_id: str, key: str) -> datetime:
        """Use an approval, which happens once, and return when. The same key gets its answer again.

        Raises: Refused with status 409 if it was used by another, is no yes, or is valid no more; Unreachable.
        """
        return self._run(calls.using(request_id, _known(key), time.monotonic() + calls.PATIENCE_S, time.monotonic))

    def _run(self, steps: Talk[T]) -> T:
        answer: calls.Answer = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as ended:
                found: T = ended.value
                return found
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                answer = None
                continue
            try:
                answer = self._http.request(step.method, step.path, **_made(step))
            except httpx.TransportError as error:
                answer = error

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """Asks and waits on the running event loop."""

    def __init__(self, url: str | None = None, api_key: str | None = None, *, auth: httpx.Auth | None = None) -> None:
        """Take what `Client` takes."""
        self._http = httpx.AsyncClient(transport=Transports.fake, **_Settings(url, api_key, auth).http)

    async def ask(  # noqa: PLR0913 what a request has
        self,
        subject: str,
        *,
        kind: str,
        key: str,
        wait: Duration | None = None,
        amount: Decimal | float | str | None = None,
        currency: str | None = None,
        description: str | None = None,
        fields: Mapping[str, str | bool | float] | None = None,
        requester: str | None = None,
        callback: str | None = None,
        callback_events: Sequence[str] = (),
    ) -> Request:
        """Ask people for a yes, and return the request when they have given it: as `Client.ask`."""
        body = body_of(
            kind=kind,
            subject=subject,
            amount=amount,
            currency=currency,
            description=description,
            fields=fields,
            requester=requester,
            callback=callback,
            callback_events=list(callback_events) or None,
        )
        return await self._run(_asked(body, key, wait))

    async def start(self, subject: str, *, kind: str, key: str, **more: Any) -> Request:
        """Ask, and return at once: a webhook, `get` or `wait` brings the answer. `more` is as for `ask`."""
        body = body_of(kind=kind, subject=subject, **more)
        return await self._run(calls.starting(body, _known(key), math.inf, time.monotonic))

    async def get(self, request_id: str) -> Request:
        """Return where a request stands. Raises: Refused, Unreachable."""
        return await self._run(calls.looking(request_id, time.monotonic() + calls.PATIENCE_S, time.monotonic))

    async def wait(self, request: Request, wait: Duration | None = None) -> Request:
        """Wait for a request's yes. Raises: as `ask`."""
        return await self._run(calls.awaiting(request, _until(wait), time.monotonic))

    async def receipt(self, request_id: str) -> str:
        """Return the receipt of an approval, for `verify_receipt`. Raises: Refused, Unreachable."""
        return await self._run(calls.proving(request_id, time.monotonic() + calls.PATIENCE_S, time.monotonic))

    async def consume(self, request_id: str, key: str) -> datetime:
        """Use an approval, which happens once: as `Client.consume`."""
        talk = calls.using(request_id, _known(key), time.monotonic() + calls.PATIENCE_S, time.monotonic)
        return await self._run(talk)

    async def _run(self, steps: Talk[T]) -> T:
        answer: calls.Answer = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as ended:
                found: T = ended.value
                return found
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                answer = None
                continue
            try:
                answer = await self._http.request(step.method, step.path, **_made(step))
            except httpx.TransportError as error:
                answer = error

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def ask(subject: str, *, kind: str, key: str, wait: Duration | None = None, **more: Any) -> Request:
    """Ask with the settings of the environment, and wait for the yes. `more` is as for `Client.ask`.

    Raises: as `Client.ask`, and Misconfigured.
    """
    with Client() as client:
        return client.ask(subject, kind=kind, key=key, wait=wait, **more)


async def aask(subject: str, *, kind: str, key: str, wait: Duration | None = None, **more: Any) -> Request:
    """Ask as `ask` does, on the running event loop."""
    async with AsyncClient() as client:
        return await client.ask(subject, kind=kind, key=key, wait=wait, **more)
