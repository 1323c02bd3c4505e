"""Knows the TCP connections of the server, so that a fault can cut one. Nothing else."""

from asyncio import BaseTransport, Transport
from collections.abc import MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Peer = tuple[str, int]


class Connections:
    """The open connections by the peer's address."""

    def __init__(self) -> None:
        self._open: dict[Peer, Transport] = {}

    def drop(self, scope: MutableMapping[str, Any]) -> None:
        """Cut the connection a request or socket came over, without another byte."""
        transport = self._open.pop(tuple(scope["client"]), None)
        if transport:
            transport.abort()

    def drop_all(self) -> None:
        """Cut every connection."""
        while self._open:
            self._open.popitem()[1].abort()

    def protocol(self) -> type[HttpToolsProtocol]:
        """Make the protocol class that tells this object about its connections."""
        known = self._open

        class Noted(HttpToolsProtocol):
            def connection_made(self, transport: BaseTransport) -> None:
                assert isinstance(transport, Transport)  # noqa: S101 # a TCP server is given nothing else
                known[tuple(transport.get_extra_info("peername")[:2])] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                known.pop(self.client or ("", 0), None)
                super().connection_lost(exc)

        return Noted
