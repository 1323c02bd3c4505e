"""`@requires_approval`: a function that runs only after people have said yes."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from countersign.asking import aask, ask
from countersign.values import Duration

P = ParamSpec("P")
R = TypeVar("R")


def requires_approval(
    *, kind: str, subject: str, key: str, wait: Duration | None = None, **more: Any
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator: the function runs when the request is approved, and raises what `ask` raises otherwise.

    `subject`, `key` and every text in `more` may name the function's arguments, as `"deploy:{service}:{version}"` does.
    The key must name what the call is about, so that two calls about different things are two requests. An `async def`
    is awaited for on its loop. Raises: ValueError at once for a text that names no argument.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        texts = {"subject": subject, "key": key} | {name: text for name, text in more.items() if isinstance(text, str)}
        _demand_arguments(texts, signature)

        def asked(*args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            filled = {name: text.format(**bound.arguments) for name, text in texts.items()}
            return more | filled | {"kind": kind, "wait": wait}

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def waits(*args: P.args, **kwargs: P.kwargs) -> Any:
                given = asked(*args, **kwargs)
                await aask(given.pop("subject"), **given)
                return await function(*args, **kwargs)

            return cast("Callable[P, R]", waits)

        @functools.wraps(function)
        def blocks(*args: P.args, **kwargs: P.kwargs) -> R:
            given = asked(*args, **kwargs)
            ask(given.pop("subject"), **given)
            return function(*args, **kwargs)

        return blocks

    return decorate


def _demand_arguments(texts: dict[str, str], signature: inspect.Signature) -> None:
    """Refuse a text that names something else than an argument: it would fail at the first call, not at the import."""
    blank = dict.fromkeys(signature.parameters, "")
    for name, text in texts.items():
        try:
            text.format(**blank)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{name} {text!r} does not fit the function: in braces it may name {', '.join(blank) or 'nothing'}"
            ) from error
