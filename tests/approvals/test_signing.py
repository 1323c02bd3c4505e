"""Keys: parsing them, what they sign, and that they never show."""

import traceback
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from approvals.decision import SignedDecision
from approvals.signing import KeyRing, Purpose, SecretKeyError, parse_key_ring
from tests.approvals.story import Story

OLD, NEW = "o" * 32, "canary-" + "n" * 32


@pytest.fixture
def decision(story: Story) -> Any:
    return story.decision(story.waiting(), reason="fine", correlation_id="c1")


def test_a_plain_secret_is_one_key_named_k1() -> None:
    assert parse_key_ring(f"  {NEW}\n").ids == ("k1",)


def test_the_first_key_signs_and_all_verify(decision: Any) -> None:
    rotated = parse_key_ring(f"new:{NEW}, old:{OLD}")
    assert (rotated.current, rotated.ids) == ("new", ("new", "old"))
    signed = parse_key_ring(f"old:{OLD}").sign(decision)
    assert signed.key_id == "old"
    assert rotated.verify(signed)
    assert rotated.sign(decision).key_id == "new"
    assert not parse_key_ring(f"new:{NEW}").verify(signed)


def test_a_signature_survives_the_way_through_json(decision: Any) -> None:
    keys = parse_key_ring(NEW)
    assert keys.verify(SignedDecision.model_validate_json(keys.sign(decision).model_dump_json()))


CHANGES = [
    ("the answer", {"approved": False}),
    ("the reason", {"reason": "other"}),
    ("the id", {"id": "d-2"}),
    ("the transport", {"through": "rest"}),
]


@pytest.mark.parametrize(("description", "change"), CHANGES, ids=[row[0] for row in CHANGES])
def test_a_changed_decision_is_not_what_was_signed(decision: Any, description: str, change: Any) -> None:
    keys = parse_key_ring(NEW)
    signed = keys.sign(decision)
    changed = signed.model_copy(update={"decision": decision.model_copy(update=change)})
    assert not keys.verify(changed), description


@pytest.mark.parametrize("mac", ["", "0" * 64, "é" * 64, "\ud800", "F" * 10_000])
def test_a_wrong_mac_is_false_whatever_it_is(decision: Any, mac: Any) -> None:
    keys = parse_key_ring(NEW)
    assert not keys.matches(Purpose.DECISION, b"data", "k1", mac)


def test_each_purpose_and_each_key_has_its_own_sub_key() -> None:
    keys = parse_key_ring(f"new:{NEW},old:{OLD}")
    assert len({keys.subkey(purpose, key_id) for purpose in Purpose for key_id in keys.ids}) == 2 * len(Purpose)
    assert keys.mac(Purpose.API_KEY, b"x") != keys.mac(Purpose.SESSION, b"x")
    with pytest.raises(KeyError):
        keys.subkey(Purpose.SESSION, "gone")


UNUSABLE = [
    ("blank", "  ", "is empty"),
    ("too short", "canary-short", "12 characters; at least 32"),
    ("a short one among several", f"a:{NEW},b:canary-short", "key 2 .* 12 characters"),
    ("a part without an id", f"a:{NEW},canary-{OLD}", "has no id"),
    ("an id with a blank", f"can ary:{NEW}", "id of key 1"),
    ("a plain secret with a colon", f"{NEW}:canary", "id of key 1"),
    ("the same id twice", f"a:{NEW},a:{OLD}", "one key id twice"),
]


@pytest.mark.parametrize(("description", "text", "sentence"), UNUSABLE, ids=[row[0] for row in UNUSABLE])
def test_unusable_keys_are_refused_with_a_sentence_that_shows_nothing_of_them(
    description: str, text: Any, sentence: Any
) -> None:
    with pytest.raises(SecretKeyError, match=sentence) as raised:
        parse_key_ring(text)
    shown = "".join(traceback.format_exception_only(raised.value)) + repr(raised.value)
    assert "canary" not in shown, description
    assert "COUNTERSIGN_SECRET_KEY" in shown


def test_a_key_ring_never_shows_its_secrets() -> None:
    keys = parse_key_ring(f"new:{NEW}")
    assert "canary" not in f"{keys} {keys!r} {vars(KeyRing)}"
    assert repr(keys) == "KeyRing(current='new', keys=1)"


def test_the_seeds_of_checkpoints_are_hkdfs_one_for_each_key() -> None:
    ring = parse_key_ring(f"new:{'n' * 40},old:{'o' * 40}")
    expected = tuple(
        HKDF(algorithm=SHA256(), length=32, salt=None, info=b"countersign/v1/audit-checkpoint").derive(each.encode())
        for each in ("n" * 40, "o" * 40)
    )
    assert ring.checkpoint_seeds() == expected
