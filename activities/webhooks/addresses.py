"""Which addresses a webhook may reach: public ones, and the networks that an operator allows.

A name is resolved once for each attempt, and the connection goes to the address that was judged: a name that answers
another address the next time (DNS rebinding) gains nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[tuple[str, ...]]]

TRANSLATED: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""NAT64: the last 32 bits are an IPv4 address that is reached in the end (RFC 6052, RFC 8215)."""

LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


class UnreachableError(Exception):
    """There is no address that may be reached. The message says why."""


async def resolve(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of a host, as the system's resolver gives them. Raises: UnreachableError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnreachableError(f"The name {host[:100]} has no address: {error}.") from error
    return tuple(dict.fromkeys(str(address[0]) for _, _, _, _, address in found))


def judged(host: str, addresses: Iterable[str], allowed: Iterable[Network]) -> str:
    """Return the address to connect to. Raises: UnreachableError if any of them may not be reached.

    One private address among public ones is enough to refuse: the connection could go to it.
    """
    networks, found = tuple(allowed), tuple(addresses)
    for each in found:
        if not may_reach(each, networks):
            raise UnreachableError(
                f"The name {host[:100]} leads to {each}, which is no public address. An operator can allow its network "
                "with COUNTERSIGN_CALLBACK_NETWORKS."
            )
    if not found:
        raise UnreachableError(f"The name {host[:100]} has no address.")
    return found[0]


def may_reach(written: str, allowed: tuple[Network, ...] = ()) -> bool:
    """Return whether an address is public, also what is embedded in it, or in an allowed network."""
    try:
        address = ipaddress.ip_address(written.partition("%")[0])
    except ValueError:
        return False
    if "%" in written:  # a scope: link-local
        return False
    real = embedded(address)
    if any(real.version == network.version and real in network for network in allowed):
        return True
    return _is_public(real) and (real is address or _is_public_form(address))


def embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in TRANSLATED) or int(address) >> 32 == 0:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if int(address) > 1 else address
    return address


def _is_public(address: Address) -> bool:
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    site = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not special and not site


def _is_public_form(address: Address) -> bool:
    """Return whether an embedding is one of the public internet: a mapped or translated address only."""
    return isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped is not None or any(address in network for network in TRANSLATED)
    )
