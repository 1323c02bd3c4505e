"""Anything can arrive as an event: it is read as text, and never raises."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.mailbox import DEEPEST_EVENT, LONGEST_EVENT, candidate, plain
from tests.hostile import PAYLOADS


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_a_hostile_payload_is_no_candidate_or_plain_json(payload: str) -> None:
    text = candidate(payload)
    assert text is None or isinstance(plain(text), dict)


@given(st.one_of(st.text(), st.text(alphabet='{}[]"\\,:0aN ', max_size=200)))
def test_reading_any_text_never_raises(text: str) -> None:
    assert candidate(text) in {None, text}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ('{"decision": {}, "key_id": "k", "mac": "m"}', True),
        ('{"approved": true}', True),
        ('{"approved": false, "reason": "x"}', True),
        ('{"approved": 1}', False),
        ('{"decision": {}}', False),
        ('{"decision": [], "key_id": "k", "mac": "m"}', False),
        ('"{\\"approved\\": true}"', False),
        ('{"approved": true, "x": NaN}', False),
        (None, False),
    ],
)
def test_the_form_alone_says_what_may_be_a_decision(payload: Any, *, expected: bool) -> None:
    assert (candidate(payload) is not None) is expected


def test_what_a_worker_without_our_decoding_hands_over_is_read_too() -> None:
    assert plain(str(candidate({"approved": True}))) == {"approved": True}
    assert candidate(object()) is None


def test_brackets_in_a_text_are_no_depth_and_an_open_string_costs_one_pass() -> None:
    assert candidate(json.dumps({"approved": False, "reason": "[{" * 1500})) is not None
    assert candidate('"' + '\\"' * 30_000) is None


def test_the_deepest_nesting_does_not_depend_on_the_stack() -> None:
    deep = "[" * DEEPEST_EVENT + "]" * DEEPEST_EVENT
    assert plain(deep) is not None
    assert plain(f"[{deep}]") is None

    def below(frames: int) -> Any:
        return below(frames - 1) if frames else plain(deep)

    assert below(sys.getrecursionlimit() - 200) is not None


def test_the_size_is_looked_at_before_anything_else() -> None:
    text = json.dumps({"approved": True, "reason": "x" * LONGEST_EVENT})
    assert candidate(text) is None
