"""The conversation with the app, without I/O: generators that yield calls and pauses, and are sent the answers.

A call that gets no answer is repeated: asking has an idempotency key, and looking changes nothing.
"""

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from countersign.errors import Refused, StillWaiting, Unreachable, error_of
from countersign.values import Request, Seconds, Value

HELD_S: Final = 25
"""The longest that the app is asked to hold a call: proxies cut what is silent for longer."""

PATIENCE_S: Final = 60.0
"""How long an app that was never reached is tried, unless the caller waits for less."""

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
PASSING: Final = frozenset({429, 502, 503, 504})
"""Statuses that say: try again."""


@dataclass(frozen=True)
class Call:
    """A call to make."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    query: Mapping[str, int] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pause:
    """Seconds to wait before the next step."""

    seconds: Seconds


Answer = httpx.Response | httpx.TransportError | None
T = TypeVar("T")
Talk = Generator[Call | Pause, Answer, T]
Steps = Talk[Request]
Clock = Callable[[], Seconds]


def starting(body: Mapping[str, Any], key: str, until: Seconds, clock: Clock) -> Steps:
    """Ask, once for each key. Raises: Refused, Unreachable."""
    call = Call("POST", "/requests", body=body, headers={"Idempotency-Key": key})
    return (yield from _sent(call, min(until, clock() + PATIENCE_S), clock, _request))


def looking(request_id: str, until: Seconds, clock: Clock, hold_s: int = 0) -> Steps:
    """Look where a request stands. Raises: Refused, Unreachable."""
    call = Call("GET", _path(request_id), query={"wait": hold_s})
    return (yield from _sent(call, until, clock, _request))


def proving(request_id: str, until: Seconds, clock: Clock) -> Talk[str]:
    """Return the receipt of an approval. Raises: Refused for a request that has none, Unreachable."""
    return (yield from _sent(Call("GET", _path(request_id, "receipt")), until, clock, _receipt))


def using(request_id: str, key: str, until: Seconds, clock: Clock) -> Talk[datetime]:
    """Use an approval, and return when that was. Raises: Refused if it was used before, Unreachable."""
    call = Call("POST", _path(request_id, "consume"), headers={"Idempotency-Key": key})
    return (yield from _sent(call, until, clock, _use))


def awaiting(request: Request, until: Seconds, clock: Clock) -> Steps:
    """Wait for the end. Raises: NotApproved for every end but a yes, StillWaiting when the time is over."""
    while not request.over:
        began, left = clock(), until - clock()
        if left <= 0:
            raise error_of(request)
        try:
            request = yield from looking(request.id, until, clock, math.ceil(min(HELD_S, left)))
        except Unreachable as error:
            raise StillWaiting(f"{error} {request.id} goes on there by itself.", request) from error
        if not request.over and clock() - began < FIRST_PAUSE_S:
            yield Pause(min(1.0, max(0.0, until - clock())))  # an app that does not hold calls is not hammered
    if not request.approved:
        raise error_of(request)
    return request


def _path(request_id: str, *more: str) -> str:
    return "/".join(("/requests", quote(request_id, safe=""), *more))


def _sent(call: Call, until: Seconds, clock: Clock, read: Callable[[bytes], T]) -> Talk[T]:
    """Make a call until it is answered. Raises: Refused, Unreachable."""
    pause = FIRST_PAUSE_S
    while True:
        answer = yield call
        if isinstance(answer, httpx.Response) and answer.status_code not in PASSING:
            return _read(answer, read)
        wait = _asked_for(answer) or pause
        if clock() + wait > until:
            raise Unreachable(_why(answer))
        yield Pause(wait)
        pause = min(2 * pause, LONGEST_PAUSE_S)


def _asked_for(answer: Answer) -> Seconds | None:
    """Return the pause that the app has asked for, at most a minute."""
    text = answer.headers.get("Retry-After", "") if isinstance(answer, httpx.Response) else ""
    return min(float(text), 60.0) if text.isdecimal() and text.isascii() else None


def _why(answer: Answer) -> str:
    if isinstance(answer, httpx.Response):
        return f"Countersign answered {answer.status_code} again and again: {_detail(answer)}"
    return f"Countersign does not answer ({type(answer).__name__}). Look at COUNTERSIGN_URL and at the app."


def _request(body: bytes) -> Request:
    return Request.model_validate_json(body)


def _receipt(body: bytes) -> str:
    return _Receipt.model_validate_json(body).receipt


def _use(body: bytes) -> datetime:
    return _Use.model_validate_json(body).consumed_at


class _Receipt(Value):
    receipt: str


class _Use(Value):
    consumed_at: datetime


def _read(answer: httpx.Response, read: Callable[[bytes], T]) -> T:
    if answer.is_success:
        try:
            return read(answer.content)
        except ValidationError as error:
            raise Refused(
                "What answers is no Countersign, or one that this client does not know. Look at COUNTERSIGN_URL.",
                answer.status_code,
            ) from error
    raise Refused(_detail(answer), answer.status_code, answer.headers.get("X-Correlation-Id", ""))


def _detail(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if isinstance(problem, dict) and isinstance(problem.get("detail"), str):
        return str(problem["detail"])
    return f"The app answered {answer.status_code} without a message."
