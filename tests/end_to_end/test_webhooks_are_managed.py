"""Deliveries seen, sent again and tried: by an operator in a browser, and by commands."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import standardwebhooks
from playwright.sync_api import Browser, Page, expect

from tests.bot.cli.calling import Ran, run
from tests.end_to_end.browsing import accessible, fits, picture, tab
from tests.end_to_end.receiving import Receiver
from tests.end_to_end.system import MANAGER, REQUESTER, Order, System, eventually

POLICY = """
version: 1
channel: approvals
groups: {managers: managers}
rules:
  - {name: all, when: {kind: any, currency: any}, approve: {group: managers}}
"""
ASK = "requests:ask"
OPERATOR = "operator@example.com"


@pytest.fixture(scope="module")
def settings(receiver: Receiver) -> dict[str, Any]:
    return {"policy": POLICY, "callback_hosts": receiver.host}


def given_up(system: System, receiver: Receiver) -> tuple[str, str]:
    """Let a receiver want no more of an approval; return the request's id and the delivery's."""
    receiver.answers = [410]
    body = {"kind": "deploy", "subject": system.order_id("web"), "callback": receiver.url}
    asked = system.post("/requests", body, by=REQUESTER, roles=(ASK,)).json()["id"]
    request = Order(system, asked, asked)
    request.click("U0MANAGER")
    eventually(lambda: "given_up" in command(system, REQUESTER, ASK, "list", "--request", request.id).out)
    listed = command(system, REQUESTER, ASK, "list", "--request", request.id, "-o", "json").json
    return request.id, listed[0]["id"]


def command(system: System, person: str, role: str, *words: str) -> Ran:
    """Run `countersign webhooks …` with a key of a person."""
    shell = {"COUNTERSIGN_URL": system.url, "COUNTERSIGN_API_KEY": system.token(person, role)}
    return run("webhooks", *words, **shell)


def test_a_delivery_is_listed_and_sent_again_by_a_command(system: System, receiver: Receiver) -> None:
    request_id, delivery = given_up(system, receiver)
    listed = command(system, REQUESTER, ASK, "list", "--state", "given_up")
    assert (listed.code, request_id in listed.out, "410" in listed.out) == (0, True, True)
    assert request_id not in command(system, MANAGER, ASK, "list").out, "another's key sees its own alone"
    refused = command(system, MANAGER, ASK, "redrive", delivery)
    assert (refused.code, f"There is no delivery {delivery}" in refused.err) == (3, True), "another's is as unknown"
    again = command(system, REQUESTER, ASK, "redrive", delivery)
    assert (again.code, again.out) == (0, f"{delivery} is due again: request.approved to {receiver.url}.\n")
    eventually(lambda: len(receiver.of(request_id)) == 2)
    assert {headers["webhook-id"] for headers, _ in receiver.of(request_id)} == {delivery}
    unknown = command(system, REQUESTER, ASK, "redrive", "msg_none")
    assert (unknown.code, "There is no delivery msg_none" in unknown.err) == (3, True)


def test_a_command_tries_a_receiver_and_says_what_it_answered(system: System, receiver: Receiver) -> None:
    taken = command(system, REQUESTER, ASK, "test", receiver.url)
    assert (taken.code, taken.out) == (0, "Taken: the receiver answered 204.\n")
    receiver.answers = [503]
    not_taken = command(system, REQUESTER, ASK, "test", receiver.url)
    assert (not_taken.code, not_taken.err) == (1, "The receiver answered 503.\n")
    elsewhere = command(system, REQUESTER, ASK, "test", "https://evil.example/")
    assert (elsewhere.code != 0, "not allowed" in elsewhere.err) == (True, True)


def test_a_command_prints_the_secret_that_verifies_and_rotates_it(system: System, receiver: Receiver) -> None:
    (secret,) = command(system, REQUESTER, ASK, "secret").out.splitlines()
    new, old = command(system, REQUESTER, ASK, "secret", "--rotate").out.splitlines()
    assert (old, new != old) == (secret, True)
    command(system, REQUESTER, ASK, "test", receiver.url)
    headers, raw = receiver.got[-1]
    assert standardwebhooks.Webhook(new).verify(raw, headers)["type"] == "test"
    assert command(system, REQUESTER, ASK, "secret", "--kind", "deploy", "--rotate").code == 2


def test_an_operator_tries_a_receiver_as_another_key_and_nobody_else_does(system: System, receiver: Receiver) -> None:
    key_id = system.token(REQUESTER, ASK).split("_")[1]
    body = {"url": receiver.url, "key": key_id}
    assert system.post("/webhooks/test", body, by=OPERATOR, roles=("operator",)).json()["taken"] is True
    assert system.post("/webhooks/test", body, by=MANAGER, roles=(ASK,)).status_code == 403
    unknown = system.post("/webhooks/test", body | {"key": "0" * 12}, by=OPERATOR, roles=("operator",))
    assert (unknown.status_code, "no key" in unknown.json()["detail"]) == (404, True)


@pytest.fixture
def operator(browser: Browser, system: System) -> Iterator[Page]:
    with tab(browser) as page:
        page.goto(f"{system.url}/webhooks")
        page.get_by_label("API key").fill(system.token(OPERATOR, "operator"))
        page.get_by_role("button", name="Sign in with the key").click()
        yield page


@pytest.mark.browser
def test_an_operator_sees_deliveries_and_sends_one_again_in_the_dashboard(
    operator: Page, system: System, receiver: Receiver
) -> None:
    request_id, delivery = given_up(system, receiver)
    operator.get_by_role("link", name="Webhooks").click()
    operator.get_by_label("State").select_option("given_up")
    operator.get_by_role("button", name="Search").click()
    row = operator.get_by_role("row").filter(has_text=request_id)
    expect(row).to_contain_text("410")
    accessible(operator)
    fits(operator)
    picture(operator, "webhooks")
    row.get_by_role("button", name=re.compile("Send request.approved")).click()
    expect(operator.get_by_role("status").filter(has_text=f"{request_id} is sent again")).to_be_visible()
    eventually(lambda: len(receiver.of(request_id)) == 2)
    assert {headers["webhook-id"] for headers, _ in receiver.of(request_id)} == {delivery}
    operator.goto(f"{system.url}/webhooks?request=nothing")
    expect(operator.get_by_text("No delivery fits.")).to_be_visible()


@pytest.mark.browser
def test_an_operator_tries_a_receiver_in_the_dashboard(operator: Page, system: System, receiver: Receiver) -> None:
    key_id = system.token(REQUESTER, ASK).split("_")[1]
    for url, key, said in (
        (receiver.url, key_id, "answered 204"),
        ("https://evil.example/", key_id, "is not allowed"),
        (receiver.url, "0" * 12, "There is no key"),
    ):
        operator.goto(f"{system.url}/webhooks")
        operator.get_by_label("Test message to").fill(url)
        operator.get_by_label("Signed as key").fill(key)
        operator.get_by_role("button", name="Send a test", exact=True).click()
        expect(operator.get_by_role("status").filter(has_text=said)).to_be_visible()
