"""Which callbacks are called: the same rule when a request starts and when its callback is sent."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

import httpx

LONGEST_URL = 2000
LAST_PORT = 65535
PORTS: Final = {"https": 443, "http": 80}


class BadCallbackError(ValueError):
    """A callback that is never called. The message says why and what to do next."""


class Callbacks:
    """The addresses that may be called: `allowed` are HOST or HOST:PORT, and HOST alone means its scheme's port.

    https only. `plain_to_loopback` takes http to this machine too, for development beside a local Slack.
    """

    def __init__(self, allowed: Iterable[str] = (), *, plain_to_loopback: bool = False) -> None:
        self._allowed = frozenset(allowed_host(each) for each in allowed)
        self._plain_to_loopback = plain_to_loopback

    def also(self, hosts: Iterable[str]) -> "Callbacks":
        """Return the rule of one key, which has hosts of its own beside those that are allowed to all."""
        wider = Callbacks(hosts, plain_to_loopback=self._plain_to_loopback)
        wider._allowed |= self._allowed
        return wider

    def demand(self, callback: str | None) -> None:
        """Refuse what may not be called; no callback is fine. Raises: BadCallbackError."""
        if callback is None:
            return
        url = _parsed(callback)
        if url.scheme != "https" and not (url.scheme == "http" and self._plain_to_loopback and _is_loopback(url.host)):
            raise BadCallbackError("The callback must be an https address: what was decided goes there.")
        port = PORTS[url.scheme] if url.port is None else url.port
        named = url.host if port == PORTS[url.scheme] else f"{url.host}:{port}"
        if named not in self._allowed and f"{url.host}:{port}" not in self._allowed:
            raise BadCallbackError(
                f"The callback's address {named} is not allowed: ask an operator to add it to "
                "COUNTERSIGN_CALLBACK_HOSTS, or use another one."
            )


ENTRY: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s/?#@*:\[\]\\]+)(?::([0-9]{1,5}))?")


def allowed_host(entry: str) -> str:
    """Return an entry of the allow-list as it is compared. Raises: ValueError with a message."""
    found = ENTRY.fullmatch(entry.strip())
    port = found and found[2]
    try:
        if found is None or (port and not 0 < int(port) <= LAST_PORT):
            raise ValueError("a part is missing or too much")  # noqa: TRY301 the same message as for what httpx refuses
        host = httpx.URL(f"https://{found[1]}").host
    except (ValueError, httpx.InvalidURL) as error:
        raise ValueError(f"write each like orders.example or orders.example:8443, not {entry[:100]!r}") from error
    return f"{host}:{int(port)}" if port else host


def _parsed(callback: str) -> httpx.URL:
    """Return an address that says where and no more. Raises: BadCallbackError."""
    if len(callback) > LONGEST_URL:
        raise BadCallbackError(f"The callback has {len(callback)} characters; {LONGEST_URL} at most.")
    try:
        url = httpx.URL(callback)
    except httpx.InvalidURL:
        raise BadCallbackError("The callback is no address: write it like https://orders.example/approved.") from None
    if not url.host or not _is_port(url.port) or not callback.isprintable() or " " in callback or "\\" in callback:
        raise BadCallbackError("The callback is no address: write it like https://orders.example/approved.")
    if url.userinfo or url.fragment:
        raise BadCallbackError(
            "The callback must not hold a name, a password or a fragment: people read it in the request. Use a path "
            "or a query that only the receiver knows."
        )
    return url


def _is_port(port: int | None) -> bool:
    return port is None or 0 < port <= LAST_PORT


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
