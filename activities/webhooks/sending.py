"""One attempt to deliver a webhook: to the judged address, without redirects and proxies, and with a short answer."""

import asyncio
import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import Final

import httpx

from activities.callbacks import PORTS
from activities.webhooks.addresses import Network, Resolve, UnreachableError, judged, resolve
from approvals.values import Value

WITHIN_S: Final = 10.0
"""Seconds for one attempt in all, from the name's look-up to the answer's status."""

TAKEN: Final = range(200, 300)
GONE: Final = 410
"""The receiver wants no more of this (Standard Webhooks)."""


class Attempt(Value):
    """The result of an attempt: an HTTP status, or why there was none."""

    status: int | None = None
    problem: str = ""

    @property
    def taken(self) -> bool:
        """Whether the receiver took it."""
        return self.status in TAKEN

    @property
    def final(self) -> bool:
        """Whether the receiver says that it never will."""
        return self.status == GONE


class WebhookSender:
    """Sends webhooks. `allowed` are networks that may be reached beside public addresses."""

    def __init__(self, allowed: tuple[Network, ...] = (), resolver: Resolve = resolve) -> None:
        self._allowed = allowed
        self._resolve = resolver

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        # trust_env=False: a proxy would resolve the name again. No connection is kept: the next attempt judges anew.
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.AsyncClient(
            timeout=WITHIN_S,
            follow_redirects=False,
            trust_env=False,
            limits=limits,
            verify=ssl.create_default_context(),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: str) -> Attempt:
        """Send once. What went wrong is in the answer; nothing is raised for it."""
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._post(httpx.URL(url), headers, body)
        except TimeoutError:
            return Attempt(problem=f"There was no answer within {WITHIN_S:.0f} s.")
        except UnreachableError as error:
            return Attempt(problem=str(error))
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            return Attempt(problem=f"It could not be sent: {error or type(error).__name__}."[:300])

    async def _post(self, url: httpx.URL, headers: Mapping[str, str], body: str) -> Attempt:
        port = url.port or PORTS[url.scheme]
        address = judged(url.host, await self._resolve(url.host, port), self._allowed)
        own = {"Host": url.netloc.decode("ascii"), "Content-Type": "application/json", "User-Agent": "Countersign"}
        request = self._http.build_request(
            "POST",
            url.copy_with(host=address),
            headers={**headers, **own},
            content=body.encode(),
            extensions={"sni_hostname": url.host},
        )
        answer = await self._http.send(request, stream=True)  # its body is not read: it may have no end
        await answer.aclose()
        redirect = (
            "It answered with a redirect, and redirects are not followed." if answer.has_redirect_location else ""
        )
        return Attempt(status=answer.status_code, problem=redirect)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
