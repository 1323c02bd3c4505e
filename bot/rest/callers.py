"""The caller, as a FastAPI dependency: reads the headers and hands plain values to Access. No rule here."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Header, Request
from pydantic import BaseModel

from approvals.authority import Action, Resource
from approvals.orders import name_of
from bot.access.authenticating import Access, Caller
from bot.access.refusals import Kind, Refused
from bot.web.answers import source_of

Dependency = Callable[..., Awaitable[Caller]]


def caller_of(access: Access) -> Dependency:
    """Return a dependency: whom the API key or the bearer token belongs to.

    Raises: Refused NOT_SIGNED_IN, BAD_CREDENTIALS, RATE_LIMITED, and INVALID for a query that says one thing twice or
    has what the address does not take.
    """

    async def dependency(
        request: Request,
        authorization: Annotated[str | None, Header()] = None,
        x_api_key: Annotated[str | None, Header()] = None,
    ) -> Caller:
        caller = await access.identify(x_api_key or _bearer(authorization), source_of(request))
        _demand_one_meaning(request)
        _demand_known(request)
        return caller

    return dependency


def may(access: Access, action: Action, resource: Resource | None = None) -> Dependency:
    """Return a dependency: the caller, if they may do this to such a resource. Raises: as `caller_of`, NOT_ALLOWED."""
    identified = caller_of(access)

    async def dependency(
        request: Request,
        authorization: Annotated[str | None, Header()] = None,
        x_api_key: Annotated[str | None, Header()] = None,
    ) -> Caller:
        caller = await identified(request, authorization, x_api_key)
        await access.demand(caller, action, resource, about=_about(request))
        return caller

    return dependency


def _about(request: Request) -> str:
    """Return the name of what the address is of, such as `order 42`."""
    order = request.path_params.get("order_id")
    return f"order {order[:100]}" if order else name_of(str(request.path_params.get("request_id") or ""))[:100]


def _demand_one_meaning(request: Request) -> None:
    """Refuse a parameter that stands twice: a reader of the first and a reader of the last would disagree."""
    counted = Counter(name for name, _ in request.query_params.multi_items())
    twice = next((name for name, count in counted.items() if count > 1), None)
    if twice is not None:
        raise Refused(
            Kind.INVALID, f"The query has '{twice[:60]}' more than once, and only one can be meant. Send it once."
        )


def _demand_known(request: Request) -> None:
    """Refuse a parameter that the route does not have: a misspelt filter that is ignored shows everything."""
    dependant = getattr(request.scope.get("route"), "dependant", None)
    if dependant is None:
        return
    fields = dependant.query_params
    if any(
        isinstance(field.field_info.annotation, type) and _is_model(field.field_info.annotation) for field in fields
    ):
        return  # a model of the query refuses by itself
    known = {field.alias for field in fields}
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is not None:
        takes = f"It takes {', '.join(sorted(known))}." if known else "It takes none."
        raise Refused(Kind.INVALID, f"The query has '{unknown[:60]}', which this address does not take. {takes}")


def _is_model(annotation: type) -> bool:
    return issubclass(annotation, BaseModel)


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
