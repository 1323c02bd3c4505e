"""Canonical JSON and what is bound by it."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.canonical import canonical_json, decimal_text
from approvals.digest import bind, content_digest, digest_of
from tests.approvals.story import Story

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_canonical_json_reads_back_as_the_same_value_and_is_its_own_canonical_form(value: Any) -> None:
    written = canonical_json(value)
    assert json.loads(written) == value
    assert canonical_json(json.loads(written)) == written


@given(st.dictionaries(st.text(), st.integers(), min_size=2, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(value: Any, random: Any) -> None:
    keys = list(value)
    random.shuffle(keys)
    assert canonical_json({key: value[key] for key in keys}) == canonical_json(value)


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(min_value=0, max_value=30))
def test_zeros_at_the_end_of_a_decimal_do_not_matter_and_every_other_digit_does(number: Any, zeros: Any) -> None:
    sign, digits, exponent = number.as_tuple()
    longer = Decimal((sign, digits + (0,) * zeros, exponent - zeros))
    assert decimal_text(longer) == decimal_text(number)
    assert Decimal(decimal_text(number)) == number


FORMS = [
    ("sorted keys without spaces", {"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
    ("2400.00 and 2400 agree", [Decimal("2400.00"), Decimal(2400)], '["2400","2400"]'),
    ("minus zero is zero", Decimal("-0.00"), '"0"'),
    ("a small amount", Decimal("0.10"), '"0.1"'),
    (
        "thirty digits are not rounded",
        Decimal("123456789012345678901234567890.10"),
        '"123456789012345678901234567890.1"',
    ),
    ("an absurd exponent stays short", Decimal("-12E+999999"), '"-12E999999"'),
    ("text stays text", "é≤", '"é≤"'),
    ("a moment is UTC", datetime(2026, 3, 29, 1, tzinfo=timezone(timedelta(hours=2))), '"2026-03-28T23:00:00+00:00"'),
    ("a duration is its seconds", timedelta(minutes=1, microseconds=500000), '"60.5"'),
    ("a set is sorted", frozenset({"b", "a"}), '["a","b"]'),
]


@pytest.mark.parametrize(("description", "value", "written"), FORMS, ids=[row[0] for row in FORMS])
def test_canonical_forms(description: str, value: Any, written: Any) -> None:
    assert canonical_json(value).decode() == written, description


def test_a_lone_surrogate_is_written_as_its_escape() -> None:
    assert canonical_json("\ud800") == b'"\\ud800"'
    assert canonical_json("\\ud800") == b'"\\\\ud800"'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"no form|not JSON compliant|NaN"):
        canonical_json(value)


def test_what_json_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="no form for a object"):
        canonical_json(object())


def test_a_digest_agrees_on_equal_amounts_and_differs_in_every_semantic_field(story: Story) -> None:
    request, route = story.request(), story.route()
    same = story.request(amount="2400.00")
    digests = {
        digest_of(request, route, "a"),
        digest_of(request, route, "b"),
        digest_of(story.request(amount="2400.01"), route, "a"),
        digest_of(story.request(description="x"), route, "a"),
        digest_of(story.request(requester="other@example.com"), route, "a"),
        digest_of(story.request(details={"k": "v"}), route, "a"),
        digest_of(request, story.route(policy_version="1" * 12), "a"),
        digest_of(request, story.route(rule="vp"), "a"),
    }
    assert len(digests) == 8
    assert digest_of(same, route, "a") == digest_of(request, route, "a")
    assert content_digest(same) == content_digest(request) != content_digest(story.request(currency="EUR"))


def test_a_binding_is_the_same_every_time_and_its_nonce_depends_on_each_part(story: Story) -> None:
    base = ["i", story.now, 0, 0, "d"]
    others = [["j", story.now, 0, 0, "d"], ["i", story.now + story.hour, 0, 0, "d"], ["i", story.now, 1, 0, "d"]]
    others += [["i", story.now, 0, 1, "d"], ["i", story.now, 0, 0, "e"]]
    nonces = {bind(*parts).nonce for parts in [base, *others]}
    assert len(nonces) == 6
    assert all(len(nonce) == 32 for nonce in nonces)
    assert bind(*base) == bind("i", story.now.astimezone(timezone(timedelta(hours=5))), 0, 0, "d")
    assert bind("i", story.now.replace(tzinfo=None), 0, 0, "d").run.tzinfo is UTC
