"""Kinds that a policy declares: what their fields take, and what routing, the card and a digest make of them."""

from datetime import date, timedelta
from typing import Any

import pytest

from approvals.digest import content_digest
from approvals.policy.kinds import FieldsError, KindRule
from approvals.policy.lint import lint
from approvals.policy.routing import NoRoute, Policy, PolicyError, parse_policy, route
from approvals.request import ApprovalRequest, Route

KINDS = """
version: 1
kinds:
  access:
    title: Access to a system
    who: {group: staff}
    documents: docs.example.com
    fields:
      - {name: system, label: System, type: choice, options: [prod-db, billing]}
      - {name: hours, type: number, at_least: 1, at_most: 8}
      - {name: until, label: Until, type: date, within: 30 days}
      - {name: urgent, type: yes_no, required: false}
      - {name: ticket, type: link, required: false}
      - {name: why, label: Why, longest: 20, required: false}
rules:
  - {name: prod, when: {kind: access, field: {system: prod-db}}, approve: {group: security}, valid_for: 1 day}
  - {name: urgent, when: {kind: access, field: {urgent: yes}}, approve: {group: vps}}
  - {name: others, when: {kind: access}, approve: {group: managers}}
"""
TODAY = date(2026, 8, 1)
GOOD: dict[str, Any] = {"system": "prod-db", "hours": 2.50, "until": "2026-08-14"}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse_policy(KINDS)


@pytest.fixture
def access(policy: Policy) -> KindRule:
    return policy.kinds["access"]


def asked(**fields: str) -> ApprovalRequest:
    return ApprovalRequest(kind="access", subject="db", requester="ann@example.com", fields=fields)


def test_fields_are_kept_as_texts_in_the_kinds_order(access: KindRule) -> None:
    given = {"urgent": True, "until": "2026-08-14", "hours": "2.50", "system": "billing", "why": " to mend it "}
    assert list(access.checked(given, TODAY).items()) == [
        ("system", "billing"),
        ("hours", "2.5"),
        ("until", "2026-08-14"),
        ("urgent", "yes"),
        ("why", "to mend it"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("system", "other", "must be one of: prod-db, billing"),
        ("hours", 9, "must be at most 8"),
        ("hours", 0, "must be at least 1"),
        ("hours", True, "must be a number"),
        ("hours", "٣", "must be a number"),
        ("hours", "NaN", "must be a number"),
        ("until", "2026-09-14", "within 30 days of today"),
        ("until", "soon", "must be a date"),
        ("until", None, "The field until (Until) is missing."),
        ("urgent", "perhaps", "must be true or false"),
        ("ticket", "http://docs.example.com/1", "must be an https link"),
        ("ticket", "https://docs.example.com@evil.example/1", "must be an https link"),
        ("ticket", "https://evil.example/docs.example.com", "must lead to docs.example.com"),
        ("ticket", "https://docs.example.com\\@evil.example/", "must be an https link"),
        ("why", "x" * 21, "has 21 characters; 20 at most"),
        ("color", "red", "There is no field 'color'"),
    ],
)
def test_a_field_that_does_not_fit_is_named_with_the_reason(
    access: KindRule, name: str, value: object, message: str
) -> None:
    with pytest.raises(FieldsError) as refused:
        access.checked(GOOD | {name: value}, TODAY)
    assert list(refused.value.problems) == [name]
    assert message in str(refused.value)


def test_all_fields_that_are_wrong_are_named_at_once(access: KindRule) -> None:
    with pytest.raises(FieldsError) as refused:
        access.checked({"hours": 99, "color": "red"}, TODAY)
    assert set(refused.value.problems) == {"system", "hours", "until", "color"}


def test_the_schema_says_what_the_fields_are(access: KindRule) -> None:
    schema = access.json_schema()
    assert schema["required"] == ["system", "hours", "until"]
    assert schema["properties"]["system"] == {"title": "System", "type": "string", "enum": ["prod-db", "billing"]}
    assert schema["properties"]["hours"] == {"title": "hours", "type": "number", "minimum": 1.0, "maximum": 8.0}
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"system": "prod-db"}, "prod"),
        ({"system": "billing"}, "others"),
        ({"system": "billing", "urgent": "yes"}, "urgent"),
    ],
)
def test_a_rule_may_be_for_the_value_of_a_field(policy: Policy, fields: dict[str, str], rule: str) -> None:
    found = route(policy, asked(hours="2", until="2026-08-14", **fields))
    assert isinstance(found, Route)
    assert (found.rule, found.title) == (rule, "Access to a system")
    assert found.labels == {"system": "System", "until": "Until"}
    assert found.valid_for == (timedelta(days=1) if rule == "prod" else None)


def test_a_request_with_other_fields_than_its_kinds_has_no_route(policy: Policy) -> None:
    """A workflow can be started beside our doors: what they check must hold for it as well."""
    found = route(policy, asked(system="prod-db", approved="by security"), from_a_door=False)
    assert isinstance(found, NoRoute)
    assert "There is no field 'approved'" in found.sentence


def test_a_request_without_fields_has_the_digest_that_it_had_before_there_were_any() -> None:
    plain = ApprovalRequest(kind="deploy", subject="web", requester="ann@example.com")
    assert "fields" not in plain.model_dump()
    assert content_digest(plain) != content_digest(plain.model_copy(update={"fields": {"env": "prod"}}))


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ("{Deploy: {}}", "is no kind"),
        ("{deploy: {fields: [{name: amount}]}}", "every request has 'amount' already"),
        ("{deploy: {fields: [{name: env}, {name: env}]}}", "two fields are called 'env'"),
        ("{deploy: {fields: [{name: env}, {name: other, label: env}]}}", "two fields are called 'env'"),
        ("{deploy: {fields: [{name: env, type: choice}]}}", "give it 1 to 100 `options`"),
        ("{deploy: {fields: [{name: env, options: [a]}]}}", "only a field of the type choice has `options`"),
        ("{deploy: {fields: [{name: size, type: number, at_least: 2, at_most: 1}]}}", "takes no number"),
        ("{deploy: {fields: [{name: env, type: enum}]}}", "a field's type is one of"),
        ("{deploy: {fields: [{name: doc, type: link}]}}", "needs `documents`"),
        ("{deploy: {effect: {webhook: 'http://iam.internal/'}}}", "must be an https URL"),
        ("{deploy: {effect: {webhook: 'https://a:b@iam.internal/'}}}", "must be an https URL"),
        ("{deploy: {effect: {mail: x}}}", "effect has one key"),
        ("{deploy: {feilds: []}}", "did you mean 'fields'?"),
    ],
)
def test_a_kind_that_cannot_be_is_a_problem_with_its_line(kinds: str, message: str) -> None:
    with pytest.raises(PolicyError, match=r"policy.yml:2: ") as refused:
        parse_policy(f"version: 1\nkinds: {kinds}\nrules: [{{approve: {{group: managers}}, when: {{kind: deploy}}}}]")
    assert message in str(refused.value)


def test_a_rule_for_a_field_that_its_kind_does_not_have_is_a_problem() -> None:
    text = KINDS.replace("field: {urgent: yes}", "field: {urgently: yes}")
    with pytest.raises(PolicyError, match="is for the field 'urgently', which its kinds do not have"):
        parse_policy(text)


def test_rules_for_different_values_of_a_field_are_no_overlap_and_hide_none_of_the_rules_after_them() -> None:
    text = KINDS.replace("rules:\n", "groups: {staff: S1, security: S2, vps: S3, managers: S4}\nrules:\n")
    found = [each.sentence for each in lint(parse_policy(text)) if each.rule]
    assert found == []
