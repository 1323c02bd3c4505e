"""One Web API call as its handler sees it: the world, the arguments, who calls. No HTTP."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from local.slack.sign_in import SignIn
from local.slack.values import Json
from local.slack.world import World

TokenKind = Literal["bot", "app", "user", "none"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever a token stands for."""

    kind: TokenKind
    scopes: tuple[str, ...] = ()
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one call with everything a handler may touch."""

    world: World
    arguments: Json
    caller: Caller
    base_url: str
    new_socket_url: Callable[[], str]
    sign_in: SignIn
    warnings: list[str] = field(default_factory=list)


Handler = Callable[[Call], Json]


@dataclass(frozen=True, slots=True)
class Method:
    """A Web API method: what it does, which scope and kind of token it needs, how often a minute it may be called."""

    handler: Handler
    scope: str | None = None
    tokens: tuple[TokenKind, ...] = ("bot", "user")
    per_minute: int = 100
