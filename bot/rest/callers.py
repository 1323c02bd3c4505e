"""Who calls: the dependency for routes whose service asks by itself what the caller may. No rule here."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Header, Request

from bot.access.authenticating import Access, Caller


def caller_of(access: Access) -> Callable[..., Awaitable[Caller]]:
    """Return a FastAPI dependency: whoever the key or the session belongs to. Errors: Problem 401, 429."""

    async def dependency(
        request: Request,
        authorization: Annotated[str | None, Header()] = None,
        x_api_key: Annotated[str | None, Header()] = None,
    ) -> Caller:
        return await access.identify(request, authorization, x_api_key)

    return dependency
