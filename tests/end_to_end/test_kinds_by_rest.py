"""A policy with kinds: what a service can learn of them, what it may ask, and what approvers read on the card."""

from typing import Any

import httpx
import pytest

from tests.end_to_end.system import REQUESTER, Order, System

POLICY = """
version: 1
channel: approvals
groups: {managers: managers, vps: vps}
kinds:
  access:
    title: Access to a system
    documents: docs.example.com
    fields:
      - {name: system, label: System, type: choice, options: [prod-db, billing]}
      - {name: hours, label: For hours, type: number, at_most: 8}
      - {name: ticket, label: Ticket, type: link, required: false}
  secret:
    who: {email: ceo@example.com}
rules:
  - {name: production, when: {kind: access, field: {system: prod-db}}, approve: {group: vps}, valid_for: 1 day}
  - {name: others, when: {kind: [access, secret, deploy]}, approve: {group: managers}}
"""
SETTINGS = {"policy": POLICY}
ASK = ("requests:ask",)


def ask(system: System, subject: str, **body: Any) -> httpx.Response:
    return system.post("/requests", {"kind": "access", "subject": subject, **body}, by=REQUESTER, roles=ASK)


def test_a_service_learns_the_kinds_with_their_schemas_and_which_it_may_ask_for(system: System) -> None:
    headers = {"Authorization": f"Bearer {system.token(REQUESTER, *ASK)}"}
    kinds = {each["kind"]: each for each in system.http.get("/kinds", headers=headers).json()["kinds"]}
    assert {name: (each["declared"], each["may_ask"]) for name, each in kinds.items()} == {
        "access": (True, True),
        "deploy": (False, True),
        "secret": (True, False),
    }
    assert kinds["access"]["title"] == "Access to a system"
    assert kinds["access"]["schema"]["required"] == ["system", "hours"]
    assert kinds["access"]["schema"]["properties"]["system"]["enum"] == ["prod-db", "billing"]


def test_the_card_shows_the_fields_by_their_labels_and_the_answer_by_their_names(system: System) -> None:
    asked = ask(system, system.order_id("db"), fields={"system": "prod-db", "hours": 2})
    assert asked.status_code == 201, asked.text
    assert asked.json()["fields"] == {"system": "prod-db", "hours": "2"}
    order = Order(system, asked.json()["id"], asked.json()["id"])
    card = str(order.card())
    for shown in ("Access to a system", "System", "prod-db", "For hours"):
        assert shown in card


def test_the_values_of_fields_choose_the_rule_and_the_preview_says_so(system: System) -> None:
    body = {"kind": "access", "subject": "db", "fields": {"system": "billing", "hours": 2}}
    rules = []
    for name in ("billing", "prod-db"):
        body["fields"] = {"system": name, "hours": 2}
        shown = system.post("/requests/preview", body, by=REQUESTER, roles=ASK).json()
        rules.append((shown["rule"], shown["stages"][0]["approvers"], shown["valid_for"]))
    assert rules == [("others", ["group:managers"], None), ("production", ["group:vps"], "1 day")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "The field system (System) is missing. The field hours (For hours) is missing."),
        ({"fields": {"system": "other", "hours": 1}}, "The field system must be one of: prod-db, billing."),
        ({"fields": {"system": "billing", "hours": 9}}, "The field hours must be at most 8."),
        ({"fields": {"system": "billing", "hours": 1, "color": "red"}}, "There is no field 'color'"),
        (
            {"fields": {"system": "billing", "hours": 1, "ticket": "https://evil.example/"}},
            "must lead to docs.example.com, not to 'evil.example'",
        ),
        ({"fields": {"system": "billing", "hours": 1}, "details": {"System": "prod-db"}}, "has no details"),
    ],
)
def test_fields_that_are_not_the_kinds_are_refused_with_a_message_for_each(
    system: System, body: dict[str, Any], message: str
) -> None:
    refused = ask(system, "x", **body)
    assert (refused.status_code, message in refused.json()["detail"]) == (422, True), refused.text


def test_who_may_not_ask_for_a_kind_asks_nobody(system: System) -> None:
    refused = ask(system, "x", kind="secret")
    assert (refused.status_code, "the policy says who may" in refused.json()["detail"]) == (403, True)
