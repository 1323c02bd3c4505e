"""The conversation without a network: what is repeated, how long, and when it is given up."""

import math
from typing import Any

import httpx
import pytest
from countersign.calls import Call, Pause, awaiting, looking, proving, starting
from countersign.errors import Refused, StillWaiting, TimedOut, Unreachable
from countersign.values import Request, seconds_of

WAITING = {"id": "r-1", "kind": "refund", "subject": "x", "status": "waiting"}
ASKED = Request.model_validate(WAITING)


class Clock:
    """A clock that pauses move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps: list[Call | Pause] = []

    def __call__(self) -> float:
        return self.now

    def play(self, steps: Any, answers: list[Any], takes_s: float = 0.0) -> Any:
        """Give the answers in their order, the last one again and again."""
        answer = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as ended:
                return ended.value
            self.steps.append(step)
            answer = None
            if isinstance(step, Pause):
                self.now += step.seconds
            else:
                self.now += takes_s
                answer = answers.pop(0) if len(answers) > 1 else answers[0]

    @property
    def pauses(self) -> list[float]:
        return [step.seconds for step in self.steps if isinstance(step, Pause)]

    @property
    def calls(self) -> list[Call]:
        return [step for step in self.steps if isinstance(step, Call)]


def answer(code: int = 200, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return httpx.Response(code, json=WAITING | body if code == 200 else body, headers=headers)


AWAY = httpx.ConnectError("refused")


def test_pauses_grow_and_an_app_that_was_never_reached_is_given_up_after_a_minute() -> None:
    clock = Clock()
    with pytest.raises(Unreachable, match="Look at COUNTERSIGN_URL"):
        clock.play(starting({}, "k", math.inf, clock), [AWAY])
    assert clock.pauses[:6] == [0.5, 1, 2, 4, 8, 10]
    assert 50 < clock.now <= 60


def test_a_caller_with_less_time_gives_up_sooner() -> None:
    clock = Clock()
    with pytest.raises(Unreachable):
        clock.play(looking("r-1", 3.0, clock), [AWAY])
    assert clock.now <= 3


def test_an_app_that_says_when_is_asked_then() -> None:
    clock = Clock()
    busy = answer(429, {"Retry-After": "7"}, detail="Too many requests.")
    assert clock.play(looking("r-1", 60, clock), [busy, answer()]).status == "waiting"
    assert clock.pauses == [7]
    with pytest.raises(Unreachable, match="429 again and again: Too many requests"):
        clock.play(looking("r-1", clock.now + 10, clock), [busy])


def test_the_app_holds_the_call_and_is_asked_again_until_the_end() -> None:
    clock = Clock()
    found = clock.play(awaiting(ASKED, 60, clock), [answer(), answer(), answer(status="approved")], takes_s=25)
    assert found.approved
    assert [call.query for call in clock.calls] == [{"wait": 25}, {"wait": 25}, {"wait": 10}]
    assert clock.pauses == []


def test_an_app_that_does_not_hold_calls_is_asked_once_a_second() -> None:
    clock = Clock()
    with pytest.raises(StillWaiting) as caught:
        clock.play(awaiting(ASKED, 5, clock), [answer()])
    assert clock.pauses == [1, 1, 1, 1, 1]
    assert caught.value.request.id == "r-1"


def test_an_app_that_goes_away_while_it_is_waited_for_leaves_the_request_waiting() -> None:
    clock = Clock()
    with pytest.raises(StillWaiting, match="r-1 goes on there by itself"):
        clock.play(awaiting(ASKED, 30, clock), [AWAY])
    assert clock.now <= 30
    assert clock.play(awaiting(ASKED, math.inf, clock), [AWAY, AWAY, answer(status="approved")]).approved


def test_an_end_that_is_known_asks_nothing_more() -> None:
    clock = Clock()
    with pytest.raises(TimedOut):
        clock.play(awaiting(ASKED.model_copy(update={"status": "timed_out"}), 9, clock), [AWAY])
    assert clock.steps == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (answer(403, {"X-Correlation-Id": "abc"}, detail="Your role does not allow this."), "Your role does not"),
        (httpx.Response(500, text="oops"), "answered 500 without a message"),
        (httpx.Response(500, json=["oops"]), "answered 500 without a message"),
        (httpx.Response(200, text="<html>"), "no Countersign"),
    ],
)
def test_a_refusal_is_raised_with_its_message(found: httpx.Response, said: str) -> None:
    clock = Clock()
    with pytest.raises(Refused, match=said) as caught:
        clock.play(looking("r-1", 9, clock), [found])
    assert caught.value.status == found.status_code
    assert caught.value.correlation_id == ("abc" if found.status_code == 403 else "")


def test_an_id_is_one_segment_of_the_path() -> None:
    clock = Clock()
    clock.play(looking("parent:0001/x", 9, clock), [answer()])
    assert clock.calls[0].path == "/requests/parent%3A0001%2Fx"


@pytest.mark.parametrize(("text", "seconds"), [("4h", 14400), ("1h 30m", 5400), ("2d", 172800), (" 5 S", 5), (7, 7)])
def test_durations(text: str | float, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "4", "4x", -1, math.nan, "-4h"])
def test_what_is_no_duration_is_said(text: str | float) -> None:
    with pytest.raises(ValueError, match="is no"):
        seconds_of(text)


def test_a_receipt_is_the_text_in_the_answer() -> None:
    clock = Clock()
    assert clock.play(proving("r-1", 9, clock), [httpx.Response(200, json={"receipt": "a.b.c"})]) == "a.b.c"
    assert clock.calls[0].path == "/requests/r-1/receipt"
