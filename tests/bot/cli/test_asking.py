"""The commands that ask the app: what is printed, and with which exit code a program learns that it did not work."""

import asyncio
import json
import os
import pty
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from bot.cli.demo import Demo
from bot.cli.remote import Remote
from tests.bot.cli.calling import Cli, Ran, run
from tests.end_to_end.system import eventually, running

REQUESTER = "requester@example.com"
CAST = {"requester": ("requester",), "manager": ("approver",), "operator": ("operator", "auditor", "admin")}
Start = Callable[..., str]


@pytest.fixture(scope="module")
def parts(quiet: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Give the demo's hands for a system on the sidecar that the tests run on: the demo's own is always the local."""
    with running(tmp_path_factory.mktemp("asked")) as system:
        tokens = {name: system.token(f"{name}@example.com", *roles) for name, roles in CAST.items()}
        found = Demo(system.slack, system.url, system.settings, tokens, {})
        yield found
        found.close()


@pytest.fixture(scope="module")
def mark() -> str:
    """Give what makes an id one of this run alone: a real runtime keeps what earlier runs left."""
    return secrets.token_hex(3)


@pytest.fixture
def start(remote: Cli, parts: Demo, mark: str, request: pytest.FixtureRequest) -> Start:
    """Start an order of the test's own, and wait until its card asks."""

    def begin(amount: str = "2400", name: str = "") -> str:
        order = f"{request.node.name[5:45]}{name}-{mark}".replace("[", "-").replace("]", "").strip("_-. ")
        begun = remote("order", "start", order, "--amount", amount, who="requester")
        assert (begun.code, f"order-{order}-workflow started" in begun.out) == (0, True), begun.err
        parts.until("the list has it under way", lambda: listed(remote, order)["status"] not in {"", "PENDING"})
        return order

    return begin


def shown(remote: Cli, order: str) -> dict[str, Any]:
    found: dict[str, Any] = remote("status", order, "-o", "json").json
    return found


def listed(remote: Cli, order: str) -> dict[str, Any]:
    found = [each for each in remote("list", "-q", order, "-o", "json").json if each["subject"] == order]
    return found[0] if found and found[0]["phase"] != "starting" else {"status": ""}


def phase(remote: Cli, order: str) -> str:
    return str(shown(remote, order)["workflow"]["phase"])


def refused(ran: Ran, code: int, *sentences: str) -> None:
    assert (ran.code, ran.out) == (code, "")
    for sentence in sentences:
        assert sentence in ran.err


# ---- orders -------------------------------------------------------------------------------------------------------


def test_the_same_start_again_finds_the_same_order(remote: Cli, start: Start) -> None:
    order = start()
    again = remote("order", "start", order, "--amount", "2400", "-o", "json", who="requester")
    assert (again.json["instance_id"], again.json["new"]) == (f"order-{order}-workflow", False)
    other = remote("order", "start", order, "--amount", "2500", who="requester")
    refused(other, 1, "started before with other content", "quote the correlation id")


def test_an_order_is_approved_by_the_person_whom_the_key_belongs_to(remote: Cli, start: Start) -> None:
    order = start()
    assert remote("order", "approve", order, who="manager").out.startswith("Approved.")
    ended = remote("watch", order, "--timeout", "20")
    assert ended.code == 0
    assert "COMPLETED" in remote("history", order, "--engine").out.splitlines()[-1]
    assert "  asked" in ended.out
    assert not [part for part in ("request.", "key:", "T0LOCAL/") if part in ended.out], "codes in place of words"
    assert ended.out.splitlines()[-1].endswith(": Approved by manager.")
    written = remote("status", order, "-o", "json").json
    assert (written["output"]["outcome"], written["output"]["approvers"]) == ("approved", ["manager"])


def test_an_order_is_rejected_with_a_reason(remote: Cli, start: Start) -> None:
    order = start()
    assert remote("order", "reject", order, who="manager").code == 2
    assert remote("order", "reject", order, "--reason", "over the budget", who="manager").out.startswith("Rejected.")
    ended = remote("watch", order, "-o", "json").json
    assert ended["output"].items() >= {"reason": "over the budget", "rejected_by": "manager"}.items()


def test_a_decision_that_comes_too_late_is_refused_with_the_code_for_it(remote: Cli, start: Start) -> None:
    order = start()
    assert remote("order", "reject", order, "--reason", "no", who="manager").code == 0
    remote("watch", order, "--timeout", "20")
    refused(remote("order", "approve", order, who="manager"), 4, "over")


def test_a_verb_on_what_is_over_says_how_it_ended_and_no_word_of_the_engine(remote: Cli, start: Start) -> None:
    order = start()
    assert remote("order", "reject", order, "--reason", "no", who="manager").code == 0
    remote("watch", order, "--timeout", "20")
    told = remote("terminate", order, "--reason", "late", "--yes")
    assert (told.code, told.out) == (0, f"order-{order}-workflow: It is over already: Rejected. Nothing was done.\n")
    for verb in ("pause", "resume"):
        refused(remote(verb, order, "why"), 1, f"and order {order} is over: Rejected.")
    event = remote("raise-event", f"{order}/paid", "--input", '{"paid": true}')
    refused(event, 1, f"order {order} is over: Rejected. The event would be dropped.")


def test_an_order_that_is_anothers_and_one_that_is_not_known_get_the_same_answer(remote: Cli, start: Start) -> None:
    order, unknown = start("9000"), "nobody-knows"  # the VPs are asked
    for words in (("status",), ("history",), ("why",), ("order", "approve")):
        ran = {each: remote(*words, each, who="manager") for each in (order, unknown)}
        said = {each: found.err.splitlines()[0].replace(each, "ID") for each, found in ran.items()}
        assert (said[order], ran[order].code, ran[unknown].code) == (said[unknown], 3, 3), words
        assert "No request of yours, and none that asks you" in said[order]


def test_a_decision_can_be_raised_as_the_event_that_it_is(remote: Cli, start: Start) -> None:
    order = start()
    decision = json.dumps({"approved": True, "reason": "fine"})
    where = f"order-{order}-workflow/approval_decision"
    found = remote("raise-event", where, "--input", decision, "-o", "json", who="manager").json
    assert (found["event"], found["sent"], found["outcome"]) == ("approval_decision", True, "accepted")


def test_who_may_not_decide_is_told_so(remote: Cli, start: Start) -> None:
    refused(remote("order", "approve", start()), 4, "your role does not include it")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("order", "start", "x", "--amount=-3"), 2, "must not be negative"),
        (("order", "start", "a/b", "--amount", "3"), 2, "'a/b' is no id"),
        (("status", ".."), 2, "'..' is no id"),
        (("raise-event", "approval_decision", "--input", "{}"), 2, "write ID/EVENT"),
        (("raise-event", "1/paid", "--input", "{}"), 2, "something in it"),
        (("raise-event", "1/paid", "--input", "yes"), 2, "is no JSON"),
        (("raise-event", "1/paid", "--input", '{"paid": NaN}'), 2, "NaN is no number in JSON"),
        (("raise-event", "1/paid", "--input", '{"paid": "\\ud800"}'), 2, "is no JSON"),
        (("raise-event", "1/approval_decision", "--input", '{"aproved": true}'), 2, "no field 'aproved'"),
        (("status", "no such order"), 3, "No workflow is known"),
        (("history", "no such order"), 3, "No workflow is known"),
        (("pause", "no such order"), 2, "Say why with --reason"),
        (("terminate",), 2, "neither an ID nor --stuck"),
        (("terminate", "1", "--stuck"), 2, "both an ID and --stuck"),
        (("terminate", "--stuck"), 2, "Say why with --reason"),
        (("purge",), 2, "neither an ID nor"),
        (("list", "--filter-max-age", "soon"), 2, "neither a duration"),
        (("list", "--filter-status", "RUNNIN"), 2, "is not one of 'pending', 'running'"),
        (("stats", "--since", "soon"), 2, "neither a duration"),
        (("bulk", "status", "0" * 32), 3, "No workflow is known"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_an_exit_code(
    remote: Cli, words: tuple[str, ...], code: int, sentence: str
) -> None:
    refused(remote(*words), code, sentence)


# ---- seeing -------------------------------------------------------------------------------------------------------


def test_a_list_says_where_each_request_stands(remote: Cli, start: Start) -> None:
    order = start()
    lines = remote("list", "-q", order).out.splitlines()
    assert lines[0].split() == ["ID", "STATUS", "AMOUNT", "REQUESTER", "ENGINE", "STATUS", "AGE"]
    waiting = ["Waiting", "2400.00", "USD", "requester@example.com", "RUNNING"]
    assert lines[1].split()[:-1] == [f"order-{order}-workflow", *waiting]
    assert lines[1][-1] in "smh"
    wide = remote("list", "-q", order, "-o", "wide").out.splitlines()
    assert (wide[0].split()[0], "group:managers" in wide[1]) == ("NAME", True)
    remote("order", "reject", order, "--reason", "no", who="manager")
    remote("watch", order, "--timeout", "20")
    assert "Rejected" in remote("list", "-q", order).out, "COMPLETED alone said nothing of the answer"


def test_a_list_shows_an_approver_first_what_waits_for_them(remote: Cli, start: Start) -> None:
    """An approver, who may not see all, was told that there is nothing while orders waited for them."""
    instance = f"order-{start()}-workflow"
    shown_ = remote("list", who="manager")
    assert shown_.out.startswith("Waits for you (")
    assert instance in shown_.out
    assert not {"RUNNING", "ENGINE", "NAME"} & set(shown_.out.split()), "the engine's words are for operators"
    assert not {"RUNNING", "ENGINE", "NAME"} & set(remote("list", "-o", "wide", who="manager").out.split())
    assert instance in {each["id"] for each in remote("list", "-o", "json", who="manager").json}


def test_a_list_is_filtered_and_paged(remote: Cli, start: Start) -> None:
    ids = [f"order-{start(name=name)}-workflow" for name in ("one", "two")]
    found = remote("list", "--filter-status", "running", "--waiting-on", "managers", "-o", "json", "--all").json
    assert set(ids) <= {each["id"] for each in found}
    page = remote("list", "--limit", "1")
    assert (len(page.out.splitlines()), "--all gives every page" in page.err) == (2, True)
    assert remote("list", "--filter-name", "nothing_of_the_kind", "-o", "json").json == []
    none = remote("list", "--filter-name", "nothing_of_the_kind")
    assert "No workflow fits" in none.err


def test_one_sees_what_waits_for_oneself_and_what_one_has_asked_for(remote: Cli, start: Start) -> None:
    instance = f"order-{start()}-workflow"
    mine = remote("list", "--mine", "-o", "json", who="requester").json
    waits = remote("list", "--waiting-on", "me", "-o", "json", who="manager").json
    assert instance in {each["id"] for each in mine}
    assert instance in {each["id"] for each in waits}
    assert remote("list", "--mine", "-o", "json").json == []


def test_a_status_says_in_words_where_it_stands(remote: Cli, start: Start) -> None:
    order = start()
    out, wide = remote("status", order).out, remote("status", order, "-o", "wide").out
    for expected in ("Waiting", "2400.00 USD", "group:managers", "a manager within 3 days"):
        assert expected in out
    assert ("RUNNING: It is running" in out, "RUNNING: It is running" in wide) == (False, True)


def test_a_history_has_the_engines_events_and_the_businesses(remote: Cli, start: Start) -> None:
    order = start()
    told = remote("history", order)
    assert told.out.splitlines()[0].split() == ["AT", "(UTC)", "WHAT", "BY", "DETAILS"]
    assert (" asked" in told.out, "request.asked" in told.out, "TimerCreated" in told.out) == (True, False, False)
    lines = remote("history", order, "--engine").out.splitlines()
    assert lines[0].split() == ["TYPE", "NAME", "EVENTID", "ELAPSED", "STATUS", "DETAILS"]
    words = {line.split()[0] for line in lines[1:]}
    assert {"ExecutionStarted", "TimerCreated", "order.started", "request.asked"} <= words
    assert any("waits for the event approval_decision" in line for line in lines)
    assert len(remote("history", order, "-o", "json").json) == len(lines) - 1


def test_why_gives_a_sentence_its_evidence_and_a_next_step(remote: Cli, start: Start) -> None:
    order = start()
    eventually(lambda: "waits for a decision: 0 of 1 approved" in remote("why", order).out)
    answers = remote("why", order, "-o", "json").json
    printed = remote("why", order).out
    assert answers[0]["sentence"] in printed
    assert "Next step: " in printed


def test_statistics_count_what_waits(remote: Cli, start: Start) -> None:
    start()
    out = remote("stats").out
    assert "WAITING BY APPROVER" in out
    assert "group:managers" in out
    assert remote("stats", "-o", "json").json["waiting"] >= 1
    refused(remote("stats", who="requester"), 4, "your role")


# ---- managing -----------------------------------------------------------------------------------------------------


def test_pausing_twice_is_one_pause_and_suspend_is_another_word_for_it(remote: Cli, start: Start) -> None:
    order = start()
    assert "It is paused." in remote("pause", order, "--reason", "look").out
    assert "paused already" in remote("suspend", order, "--reason", "look").out
    assert shown(remote, order)["workflow"]["status"] == "SUSPENDED"
    assert "It goes on." in remote("resume", order).out
    assert "running already" in remote("resume", order).out


def test_an_event_of_another_name_is_raised(remote: Cli, start: Start) -> None:
    order = start()
    assert "The event paid is raised." in remote("raise-event", f"{order}/paid", "--input", '{"paid": true}').out


def test_a_workflow_is_terminated_purged_and_its_audit_stays(remote: Cli, parts: Demo, start: Start) -> None:
    order = start()
    refused(remote("purge", order, "--yes"), 1, "not over, so it was not purged")
    assert "Nothing was done" in remote("terminate", order, "--reason", "no more", "--dry-run").out
    ended = remote("terminate", order, "--reason", "no more", "--yes", "-o", "json").json
    assert (ended["status"], ended["changed"]) == ("TERMINATED", True)
    watched = remote("watch", order)
    assert (watched.code, "Stopped." in watched.out) == (14, True)
    ends = [
        line for line in remote("history", order, "--engine").out.splitlines() if line.startswith("ExecutionCompleted")
    ]
    assert "TERMINATED" in ends[0]
    assert "history is purged" in remote("purge", order, "--yes").out
    book = {"COUNTERSIGN_DATABASE_URL": parts.settings.database_url}
    kept = run("audit", "show", "--order", order, "-o", "json", **book).json
    assert {"workflow.terminate", "workflow.purge"} <= {each["action"] for each in kept}


def at_a_terminal(parts: Demo, answer: str, *words: str) -> tuple[int, str]:
    """Run a command where somebody sits, who gives one answer."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COUNTERSIGN_URL": parts.url, "COUNTERSIGN_API_KEY": parts.tokens["operator"]}
    os.write(ours, f"{answer}\n".encode())
    ran = subprocess.run(
        [sys.executable, "-m", "bot.cli", *words],
        stdin=theirs, capture_output=True, text=True, env=environment, timeout=60, check=False,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    return ran.returncode, ran.stdout + ran.stderr


def test_somebody_at_a_terminal_is_asked_before_what_cannot_be_undone(remote: Cli, parts: Demo, start: Start) -> None:
    order = start()
    code, said = at_a_terminal(parts, "n", "terminate", order, "--reason", "no more")
    assert (code, "for good?" in said, "Nothing was done." in said) == (1, True, True)
    assert shown(remote, order)["workflow"]["status"] == "RUNNING"
    code, said = at_a_terminal(parts, "y", "terminate", order, "--reason", "no more")
    assert (code, "It is terminated." in said) == (0, True)


def test_a_finished_workflow_is_run_again_from_an_event(remote: Cli, start: Start) -> None:
    order = start("100")
    remote("watch", order, "--timeout", "20")
    again = remote("rerun", order, "--event-id", "1", "--new-event-instance-id", f"again-{order}")
    assert again.code in {0, 1}
    refused(remote("rerun", order, "--event-id", "99"), 1, "quote the correlation id")


def test_watching_gives_up_after_the_time_that_was_given(remote: Cli, start: Start) -> None:
    found = remote("watch", start(), "--timeout", "0.2")
    assert (found.code, "still waits" in found.err) == (13, True)


def test_watching_what_was_rejected_does_not_let_a_script_go_on(remote: Cli, start: Start) -> None:
    """`countersign watch ID && deploy` deployed what was rejected: the exit code was 0 for a no."""
    order = start()
    assert remote("order", "reject", order, "--reason", "over budget", who="manager").code == 0
    watched = remote("watch", order, "--timeout", "20")
    assert (watched.code, "Rejected by manager: over budget." in watched.out) == (10, True)


ASKING = [
    ("terminate", "ID", "--reason", "cron"),
    ("terminate", "--stuck", "--older-than", "1s", "--reason", "cron"),
    ("purge", "ID"),
    ("purge", "--all"),
]


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_without_a_terminal_nothing_that_cannot_be_undone_is_done(
    remote: Cli, start: Start, parts: Demo, words: tuple[str, ...]
) -> None:
    """`echo n | countersign purge --all` purged 130 workflows with exit code 0."""
    over, waiting = start(name="over"), start(name="waits")
    remote("terminate", over, "--reason", "so that there is something to purge", "--yes")
    parts.until("a second has passed", lambda: dry_run(remote, *ASKING[1])["total"])
    named = [over if words[0] == "purge" and word == "ID" else waiting if word == "ID" else word for word in words]
    refused_ = remote(*named, stdin="n\n")
    assert (refused_.code, "--yes" in refused_.err) == (2, True)
    assert (phase(remote, over), phase(remote, waiting)) == ("terminated", "waiting")
    assert remote("history", over).code == 0, "its history is still there"


async def test_the_app_tells_a_watcher_of_news(start: Start, parts: Demo) -> None:
    order = start()
    http = httpx.Client(headers={"Authorization": f"Bearer {parts.tokens['operator']}"})
    told: list[str] = []
    async with asyncio.timeout(20):
        async for line in Remote(http, parts.url).lines("/events"):
            if line.startswith(": following"):
                await asyncio.to_thread(parts.call, "POST", f"/workflows/{order}/pause", {"reason": "news"})
            if f'"order-{order}-workflow"' in line:
                told.append(line)
                break
    assert told


async def test_a_stream_that_cannot_be_had_ends_quietly(parts: Demo) -> None:
    assert [line async for line in Remote(httpx.Client(), "http://127.0.0.1:1").lines("/events")] == []
    assert [line async for line in Remote(httpx.Client(), parts.url).lines("/events")] == []


# ---- many at once -------------------------------------------------------------------------------------------------


def test_a_bulk_purge_shows_what_it_would_hit_and_hits_exactly_that(remote: Cli, start: Start, parts: Demo) -> None:
    order = start("100")
    remote("watch", order, "--timeout", "20")
    instance = f"order-{order}-workflow"
    parts.until("it would be hit", lambda: instance in dry_run(remote, "purge", "--completed")["ids"])
    plan = dry_run(remote, "purge", "--completed")
    assert phase(remote, order) != "purged"
    done = remote("purge", "--completed", "--yes")
    assert (done.code, done.err) == (0, ""), done.err
    assert f"This would purge {plan['total']} workflow" in done.out
    assert f"{instance}: Its history is purged. Its audit entries stay." in done.out
    assert phase(remote, order) == "purged"
    assert remote("purge", "--completed", "--older-than", "720h").err == "Nothing was done.\n"


def test_what_is_stuck_is_terminated_together(remote: Cli, start: Start, parts: Demo) -> None:
    order = start()
    stuck = ("terminate", "--stuck", "--older-than", "1s")
    parts.until("a second has passed", lambda: f"order-{order}-workflow" in dry_run(remote, *stuck)["ids"])
    shown_first = remote(*stuck, "--dry-run")
    assert (shown_first.code, "Nothing was done." in shown_first.err) == (0, True)
    done = remote(*stuck, "--reason", "cleaning up", "--yes", "-o", "json").json
    assert done["state"] == "done"
    assert {"order-" + order + "-workflow"} <= {each["instance_id"] for each in done["results"]}
    assert remote("bulk", "status", done["operation_id"], "-o", "json").json["done"] == done["done"]
    assert phase(remote, order) == "terminated"
    assert "bulk-" not in remote("list").out
    listed = remote("bulk", "list").out
    assert "cleaning up" in next(line for line in listed.splitlines() if done["operation_id"] in line)


def test_one_can_be_left_out_of_what_is_done_to_many(remote: Cli, start: Start, parts: Demo) -> None:
    spared, order = start(name="-a"), start(name="-b")
    stuck = ("terminate", "--stuck", "--older-than", "1s", "--reason", "cleaning up", "--yes")
    parts.until("a second has passed", lambda: f"order-{order}-workflow" in dry_run(remote, *stuck[:4])["ids"])
    other = remote(*stuck, "--without", "none-such")
    assert (other.code, "none-such would not be hit" in other.err) == (2, True)
    done = remote(*stuck, "--without", spared)
    assert (done.code, f"Left out: order-{spared}-workflow." in done.out) == (0, True), done.err
    assert (phase(remote, spared), phase(remote, order)) == ("waiting", "terminated")


def dry_run(remote: Cli, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = remote(*words, "--dry-run", "-o", "json").json
    return found


# ---- the way to the app -------------------------------------------------------------------------------------------


def test_a_key_works_at_once_and_is_worth_nothing_once_revoked(remote: Cli, parts: Demo) -> None:
    book = {
        "COUNTERSIGN_DATABASE_URL": parts.settings.database_url,
        "COUNTERSIGN_SECRET_KEY": parts.settings.secret_key.get_secret_value(),
    }
    made = run(
        "keys", "create", "x", "--person", "operator@example.com", "--role", "operator", "-o", "json", **book
    ).json
    assert remote("list", COUNTERSIGN_API_KEY=made["token"]).code == 0
    run("keys", "revoke", made["id"], **book)
    refused(remote("list", COUNTERSIGN_API_KEY=made["token"]), 4, "unknown, expired or revoked")


def test_without_a_key_one_is_told_how_to_make_one(remote: Cli) -> None:
    refused(remote("list", COUNTERSIGN_API_KEY=""), 2, "countersign keys create")
    refused(remote("list", COUNTERSIGN_API_KEY="cs_é"), 2, "is no key")


@pytest.mark.parametrize(
    ("url", "code", "sentence"),
    [
        ("http://127.0.0.1:1", 5, "Nothing answers at http://127.0.0.1:1. Start the app there"),
        ("127.0.0.1:8000", 2, "is no address"),
        ("http://[", 2, "is no address"),
    ],
)
def test_where_nothing_answers_one_is_told_what_to_do(remote: Cli, url: str, code: int, sentence: str) -> None:
    refused(remote("list", COUNTERSIGN_URL=url), code, sentence)


def test_what_answers_without_being_the_app_is_said(remote: Cli, parts: Demo) -> None:
    assert remote("list", COUNTERSIGN_URL=parts.slack.page_url).code != 0
