"""Parses form fields and the filters of addresses. Pure; the session checks the CSRF token."""

from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import Request

LONGEST_FORM_REASON = 1000
LONGEST_FIELD = 200
MOST_DIGITS = 18
"""A number with more digits is none of ours."""


def typed(value: object) -> str:
    """Return a field's text: a browser counts a new line as one character and sends it as two."""
    return str(value).replace("\r\n", "\n").strip()


def asked(request: Request, *names: str) -> dict[str, str]:
    """Return these fields of an address; an absent one is empty."""
    return {name: request.query_params.get(name, "").strip()[:LONGEST_FIELD] for name in names}


def number(text: str) -> int | None:
    """Return a number of an address, None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS else None


def address(path: str, query: Mapping[str, str], **more: str) -> str:
    """Return the address of a page with these fields; empty ones are left out."""
    given = {name: value for name, value in {**query, **more}.items() if value}
    return f"{path}?{urlencode(given)}" if given else path
