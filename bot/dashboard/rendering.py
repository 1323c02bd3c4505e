"""Turns templates into answers: autoescaped, with the headers that a browser needs to keep other people out."""

import functools
import hashlib
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from bot.dashboard import words
from bot.process.visible import visible
from cards.moments import parted, span
from cards.money import money

HERE = Path(__file__).parent
STATIC = HERE / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it a browser sends "Origin: null" with every form, and the origin check refuses that.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cache-Control": "no-store",
    "Vary": "Accept, Cookie",
}


class Assets(StaticFiles):
    """Style and script. Their addresses carry a hash of their content, so they may be kept for long."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file with the headers that stop it being read as anything else."""
        response = await super().get_response(path, scope)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


@functools.cache
def asset(name: str) -> str:
    """Return the address of a static file, with the beginning of its SHA-256."""
    return f"/assets/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def guarded(response: Response) -> Response:
    """Give a response the security headers."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    return response


class Templates:
    """The environment of all pages."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_steady,
        )
        self._environment.globals.update(asset=asset)
        self._environment.filters.update(
            age=age,
            dated=dated,
            money=amount_text,
            utc=utc,
            utc_seconds=utc_seconds,
            iso=iso,
            segment=segment,
            who=words.principal,
            word=words.word,
        )

    def page(self, name: str, status: int = 200, **values: Any) -> Response:
        """Return a page as an answer."""
        text = self._environment.get_template(name).render(**values)
        return guarded(HTMLResponse(text, status))


def _steady(value: Any) -> Any:
    """Return a text that turns no direction and hides nothing, as in a terminal: an id of the engine's may do both."""
    return visible(value.replace("\r", "")) if type(value) is str else value


def dated(text: str) -> Markup:
    """Return a text with its written moments as <time> elements: the page's script shows them on the reader's clock."""
    return Markup("").join(
        Markup('<time datetime="{}" data-seconds>{}</time>').format(iso(part), utc_seconds(part))
        if isinstance(part, datetime)
        else escape(_steady(part))
        for part in parted(text)
    )


def age(moment: datetime, now: datetime) -> str:
    """Return `3 h 5 min ago` or `in 2 days`."""
    between: timedelta = now - moment
    return f"{span(between)} ago" if between >= timedelta(0) else f"in {span(-between)}"


def utc(moment: datetime) -> str:
    """Return `5 Jan 2026, 14:00 UTC`; the page's script writes it in the reader's own zone."""
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def utc_seconds(moment: datetime) -> str:
    """Return `5 Jan 2026, 14:00:07 UTC`, for a time line."""
    return f"{moment.day} {moment:%b %Y, %H:%M:%S} UTC"


def iso(moment: datetime) -> str:
    """Return the moment for a <time> element."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def amount_text(amount: str | Decimal | None, currency: str | None) -> str:
    """Return an amount as people read it, a hyphen if there is none."""
    try:
        return "-" if amount is None else money(Decimal(amount), currency or "")
    except InvalidOperation:
        return f"{currency or ''} {amount}"


def segment(text: str) -> str:
    """Return text as one segment of a path, whatever is in it."""
    return quote(text, safe="")
