"""Canonical JSON: the one way to write a value, for digests, signatures and sizes."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from approvals.values import in_utc

LONGEST_EXPONENT = 40


def canonical_json(value: Any) -> bytes:
    """Return the one way to write the value: sorted keys, no spaces, UTF-8.

    Decimals become strings without trailing zeros, moments ISO 8601 in UTC, durations their seconds. Keys must be
    strings. Raises ValueError for NaN and infinities, TypeError for what JSON has no form for.
    """
    # A lone surrogate has no UTF-8; its JSON escape is what backslashreplace writes, and no other text gives the same.
    return CANONICAL.encode(value).encode(errors="backslashreplace")


def _plain_form(value: Any) -> Any:
    match value:
        case BaseModel():
            return value.model_dump()
        case Decimal():
            return decimal_text(value)
        case datetime():
            return in_utc(value).isoformat()
        case timedelta():
            return decimal_text(Decimal(value // timedelta(microseconds=1)).scaleb(-6))
        case set() | frozenset():
            return sorted(value)
        case _:
            raise TypeError(f"canonical JSON has no form for a {type(value).__name__}")


CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain_form
)


def decimal_text(value: Decimal) -> str:
    """Return the number without trailing zeros, exactly. Raises ValueError for NaN and infinities.

    `Decimal.normalize()` would round to 28 digits, and `format` would write a billion zeros for 1E+999999999.
    """
    if not value.is_finite():
        raise ValueError("canonical JSON has no form for NaN or an infinity")
    sign, digits, exponent = value.as_tuple()
    written = "".join(map(str, digits)).lstrip("0")
    shortest = written.rstrip("0")
    if not shortest:
        return "0"
    power = int(exponent) + len(written) - len(shortest)
    if abs(power) > LONGEST_EXPONENT:
        return f"{'-' * sign}{shortest}E{power}"
    return f"{Decimal((sign, tuple(map(int, shortest)), power)):f}"
