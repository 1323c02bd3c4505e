"""Verifying Ed25519 signatures (RFC 8032, section 5.1.7), so that this package needs no compiled one. It signs nothing.

Nothing secret is handled here, so it need not take the same time for every input. A verification takes some 10 ms.
"""

from hashlib import sha512
from typing import Final

P: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE: Final = pow(2, (P - 1) // 4, P)
SIZE: Final = 32

Point = tuple[int, int, int, int]
"""Extended coordinates: x = X/Z, y = Y/Z, XY = ZT."""

ZERO: Final[Point] = (0, 1, 1, 0)


def verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the key has signed this message. It never raises, whatever the bytes are."""
    key, commitment = _point(public_key), _point(signature[:SIZE])
    scalar = int.from_bytes(signature[SIZE:], "little")
    if key is None or commitment is None or len(signature) != 2 * SIZE or scalar >= ORDER:
        return False
    challenge = int.from_bytes(sha512(signature[:SIZE] + public_key + message).digest(), "little") % ORDER
    return _same(_times(scalar, BASE), _sum(commitment, _times(challenge, key)))


def _point(text: bytes) -> Point | None:
    """Decode a point; None for bytes that are none, or written in a second way."""
    if len(text) != SIZE:
        return None
    number = int.from_bytes(text, "little")
    y, odd = number & ((1 << 255) - 1), number >> 255
    if y >= P:
        return None
    x = _root((y * y - 1) * pow(D * y * y + 1, -1, P) % P)
    if x is None or (x == 0 and odd):
        return None
    x = P - x if x % 2 != odd else x
    return x, y, 1, x * y % P


def _root(square: int) -> int | None:
    found = pow(square, (P + 3) // 8, P)
    for candidate in (found, found * ROOT_OF_MINUS_ONE % P):
        if candidate * candidate % P == square:
            return candidate
    return None


def _sum(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    found = ZERO
    while scalar:
        if scalar & 1:
            found = _sum(found, point)
        point = _sum(point, point)
        scalar >>= 1
    return found


def _same(one: Point, other: Point) -> bool:
    return (one[0] * other[2] - other[0] * one[2]) % P == 0 and (one[1] * other[2] - other[1] * one[2]) % P == 0


def _base() -> Point:
    """Return the base point, y = 4/5 with an even x."""
    found = _point((4 * pow(5, -1, P) % P).to_bytes(SIZE, "little"))
    assert found is not None  # noqa: S101 a constant of the curve
    return found


BASE: Final = _base()
