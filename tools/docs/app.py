"""The app's parts for the pages that ask them: made, never started. Nothing is connected, opened or written."""

import asyncio
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr

from bot.app import _mount, create_app
from bot.process.settings import Settings
from bot.services import Services


def _settings() -> Settings:
    secret = SecretStr(secrets.token_urlsafe(48))
    return Settings(
        _env_file=None,
        slack_bot_token=secret,
        slack_signing_secret=secret,
        secret_key=secret,
        database_url=f"sqlite:///{tempfile.gettempdir()}/never-opened.db",
    )


@contextmanager
def services() -> Iterator[Services]:
    """Give the parts. Some of them take the loop that they will run on, so there is one."""
    loop = asyncio.new_event_loop()

    async def made() -> Services:
        parts = Services(_settings())
        _ = parts.metrics
        return parts

    try:
        yield loop.run_until_complete(made())
    finally:
        loop.close()


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document that the running app answers with."""

    async def document() -> dict[str, Any]:
        settings = _settings()
        app: FastAPI = create_app(settings)
        _mount(app, Services(settings))
        return app.openapi()

    return asyncio.run(document())
