"""`countersign-ask`: the exit code is the answer, and a CI job needs no key."""

import json
import runpy
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from countersign import __main__ as command
from countersign.asking import Client, Transports
from countersign.errors import Misconfigured
from countersign.job_token import FRESH_S, JobToken
from countersign.testing import Fake

ASK = ("release 7.1", "--kind", "deploy", "--wait", "1s")


@pytest.fixture(autouse=True)
def _no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*command.IN_CI, "COUNTERSIGN_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "COUNTERSIGN_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("status", "code"),
    [("approved", 0), ("rejected", 10), ("timed_out", 11), ("withdrawn", 12), ("terminated", 14), ("expired", 16)],
)
def test_the_exit_code_is_the_answer(
    countersign_fake: Fake, capsys: pytest.CaptureFixture[str], status: str, code: int
) -> None:
    countersign_fake.ends(status)
    assert command.main([*ASK, "--field", "env=prod", "--amount", "9.50"]) == code
    assert capsys.readouterr().out == f"release 7.1: {status}\n"
    assert countersign_fake.asked[0].body["fields"] == {"env": "prod"}
    assert countersign_fake.asked[0].body["amount"] == "9.50"


def test_who_rejected_and_why_is_said(countersign_fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    countersign_fake.rejects("not on a Friday")
    assert command.main([*ASK, "--output", "json"]) == 10
    said = capsys.readouterr()
    assert (json.loads(said.out)["status"], "Fake Approver: not on a Friday" in said.err) == ("rejected", True)


def test_a_time_that_is_over_is_an_answer_of_its_own(countersign_fake: Fake) -> None:
    countersign_fake.waits()
    assert command.main(["release", "--kind", "deploy", "--wait", "0s"]) == command.STILL_WAITING


def test_it_says_whom_it_waits_for_and_where_the_card_is(capsys: pytest.CaptureFixture[str]) -> None:
    looks = iter(
        [{}, {"waiting_on": ["@managers"], "deadline": "2026-01-01T12:00:00Z", "card_link": "https://slack/1"}]
    )
    shown = {"id": "deploy-1", "kind": "deploy", "subject": "web", "status": "waiting"}

    def serve(call: httpx.Request) -> httpx.Response:
        more = {} if call.method == "POST" else next(looks, {"status": "approved"})
        return httpx.Response(200, json=shown | more)

    with faked(serve):
        assert command.main(["web", "--kind", "deploy"]) == 0
    said = capsys.readouterr().err
    assert said == "Asked: deploy-1\nWaits for @managers, until 2026-01-01 12:00 UTC.\nhttps://slack/1\n"


def test_a_job_that_runs_again_asks_by_the_same_key(countersign_fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    countersign_fake.approves()
    for name in command.IN_CI:
        monkeypatch.setenv(name, name[-3:])
    for more in ((), (), ("--fresh",), ("--key", "own")):
        command.main([*ASK, *more])
    keys = [each.key for each in countersign_fake.asked]
    assert (len(keys), keys[0], keys[2]) == (3, "ORY/LOW/JOB/SHA", "own")


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--field", "env"), "write NAME=VALUE"), (("--wait", "soon"), "no duration"), (("--key", "ü"), "ASCII")],
)
def test_what_cannot_be_meant_asks_nobody(
    countersign_fake: Fake, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert command.main([*ASK, *words]) == command.MISUSED
    assert said in capsys.readouterr().err
    assert countersign_fake.asked == []


def test_a_refusal_and_missing_settings_have_codes_of_their_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with faked(lambda _: httpx.Response(403, json={"detail": "You may not ask for deploy."})):
        assert command.main(ASK) == command.REFUSED
    assert "You may not ask" in capsys.readouterr().err
    with faked(lambda _: httpx.Response(200, json={})):
        assert command.main(ASK) == command.REFUSED, "what answers is no Countersign"
    monkeypatch.delenv("COUNTERSIGN_URL", raising=False)
    assert command.main(ASK) == command.MISUSED


def test_an_app_that_never_answers_is_told_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock: dict[str, Any] = {"now": 0.0}
    monkeypatch.setattr("countersign.asking.time.monotonic", lambda: clock["now"])
    monkeypatch.setattr("countersign.asking.time.sleep", lambda s: clock.update(now=clock["now"] + s))

    def away(call: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=call)

    with faked(away):
        assert command.main(ASK) == command.UNREACHABLE
    assert "does not answer" in capsys.readouterr().err


def test_it_is_a_program(countersign_fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    countersign_fake.approves()
    monkeypatch.setattr(sys, "argv", ["countersign", *ASK])
    monkeypatch.delitem(sys.modules, "countersign.__main__")
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("countersign", run_name="__main__")
    assert ended.value.code == 0


class faked:  # noqa: N801 used as `with faked(…)`
    """Answer calls by a function."""

    def __init__(self, serve: Callable[[httpx.Request], httpx.Response]) -> None:
        self._serve = serve

    def __enter__(self) -> None:
        Transports.fake = httpx.MockTransport(self._serve)

    def __exit__(self, *_: object) -> None:
        Transports.fake = None


@pytest.fixture
def calls() -> Iterator[list[httpx.Request]]:
    """Record the calls; GitHub's address gives tokens."""
    seen: list[httpx.Request] = []

    def serve(call: httpx.Request) -> httpx.Response:
        seen.append(call)
        if call.url.host != "runner":
            return httpx.Response(200, json={"id": "x", "kind": "deploy", "subject": "web", "status": "approved"})
        good = call.headers["Authorization"] == "bearer good"
        return httpx.Response(200 if good else 403, json={"value": f"token-{len(seen)}"})

    with faked(serve):
        yield seen


def job(monkeypatch: pytest.MonkeyPatch, bearer: str) -> None:
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "http://runner/token?v=2")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", bearer)


def test_a_job_of_github_sends_its_own_token_and_a_new_one_in_time(
    calls: list[httpx.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    job(monkeypatch, "good")
    clock: dict[str, Any] = {"now": 1000.0}
    monkeypatch.setattr("countersign.job_token.time.monotonic", lambda: clock["now"])
    auth = JobToken.of_this_job()
    with Client(auth=auth) as client:
        for later in (0.0, 1.0, FRESH_S + 1):
            clock["now"] = 1000.0 + later
            client.get("x")
    hosts = [call.url.host for call in calls]
    assert hosts == ["runner", "countersign.fake", "countersign.fake", "runner", "countersign.fake"]
    assert calls[0].url.params["audience"] == "countersign"
    sent = [call.headers["Authorization"] for call in calls if call.url.host != "runner"]
    assert sent == ["Bearer token-1", "Bearer token-1", "Bearer token-4"]


def test_a_job_without_the_permission_is_told_what_to_add(
    calls: list[httpx.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    job(monkeypatch, "bad")
    with Client(auth=JobToken.of_this_job()) as client, pytest.raises(Misconfigured, match="id-token: write"):
        client.get("x")
    assert len(calls) == 1


def test_a_job_of_gitlab_has_its_token_in_a_variable(
    calls: list[httpx.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERSIGN_ID_TOKEN", " given ")
    assert command.main(ASK) == 0
    assert calls[0].headers["Authorization"] == "Bearer given"
