"""Receipts: what a verifier takes, and that no change of one is taken, here and in another language."""

import json
import random
import re
import shutil
import string
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from approvals.receipts import AuditPlace, BadReceiptError, Claims, ReceiptDecision, signed, verified

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
MUTATIONS = 1_000
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "verify-a-receipt.md"


def claims(**other: object) -> Claims:
    known: dict[str, object] = {
        "id": "deploy-1", "kind": "deploy", "subject": "web 7.1", "amount": "12.50", "currency": "EUR",
        "description": "ünïcode", "fields": {"env": "prod"}, "details": {}, "requester": "ann@example.com",
        "digest": "d" * 64, "rule": "managers", "policy_version": "0123456789ab", "ended_at": NOW,
        "decided_by": (ReceiptDecision.model_validate({"person": "T1/U1", "stage": 1, "as": ["group:m"], "at": NOW}),),
        "valid_until": NOW + timedelta(days=1), "audit": AuditPlace(seq=7, hash="a" * 64),
    }  # fmt: skip
    return Claims.model_validate(known | other)


def receipt(**other: object) -> str:
    return signed(claims(**other), "key", KEY.sign)


def test_a_receipt_says_what_was_signed_and_is_the_same_each_time() -> None:
    assert verified(receipt(), PUBLIC, NOW) == claims()
    assert receipt() == receipt()


def mutated(text: str, chance: random.Random) -> str:
    """Return the receipt with one character changed, removed, added or moved."""
    at, alphabet = chance.randrange(len(text)), string.ascii_letters + string.digits + "-_.=+/ "
    match chance.randrange(5):
        case 0:
            return text[:at] + text[at + 1 :]
        case 1:
            return text[:at] + chance.choice(alphabet) + text[at:]
        case 2:
            return text[:at]
        case 3:
            other = chance.randrange(len(text))
            swapped = list(text)
            swapped[at], swapped[other] = swapped[other], swapped[at]
            return "".join(swapped)
        case _:
            return text[:at] + chance.choice(alphabet) + text[at + 1 :]


def test_each_of_a_thousand_changed_receipts_is_refused() -> None:
    chance, true = random.Random(7), receipt()
    tried = 0
    while tried < MUTATIONS:
        wrong = mutated(true, chance)
        if wrong.strip() == true:
            continue
        tried += 1
        with pytest.raises(BadReceiptError):
            verified(wrong, PUBLIC, NOW)


@pytest.mark.parametrize("change", [{"id": "deploy-2"}, {"fields": {"env": "test"}}, {"amount": "12.51"}])
def test_a_receipt_for_something_else_has_another_signature(change: dict[str, object]) -> None:
    header, _, signature = receipt().split(".")
    payload = receipt(**change).split(".")[1]
    with pytest.raises(BadReceiptError, match="not signed by this key"):
        verified(f"{header}.{payload}.{signature}", PUBLIC, NOW)


def test_another_key_a_later_moment_and_another_format_are_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32).public_key().public_bytes_raw()
    with pytest.raises(BadReceiptError, match="not signed by this key"):
        verified(receipt(), other, NOW)
    with pytest.raises(BadReceiptError, match=r"to be used before 2026-08-02 12:00 UTC"):
        verified(receipt(), PUBLIC, NOW + timedelta(days=1))
    later = claims().model_copy(update={"format": 2})
    with pytest.raises(BadReceiptError, match="another format"):
        verified(signed(later, "key", KEY.sign), PUBLIC, NOW)
    no = claims().model_copy(update={"status": "rejected"})
    with pytest.raises(BadReceiptError, match="no approval"):
        verified(signed(no, "key", KEY.sign), PUBLIC, NOW)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    code = re.search(r"```javascript\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert code is not None
    found = tmp_path / "verify.mjs"
    found.write_text(code[1])
    return found


def by_node(script: Path, text: str, key: bytes = PUBLIC) -> "subprocess.CompletedProcess[str]":
    file = script.with_name("receipt.jws")
    file.write_text(text)
    return subprocess.run(
        ["node", str(script), str(file), key.hex()], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.slow
def test_the_documented_verifier_in_another_language_takes_and_refuses_the_same(script: Path) -> None:
    lasting = receipt(valid_until=None)
    taken = by_node(script, lasting)
    assert taken.returncode == 0, taken.stderr
    assert json.loads(taken.stdout) == claims(valid_until=None).model_dump(mode="json", by_alias=True)
    chance = random.Random(8)
    wrong = [text for text in (mutated(lasting, chance) for _ in range(12)) if text.strip() != lasting]
    wrong += [signed(claims().model_copy(update={"status": "rejected"}), "key", KEY.sign), receipt(valid_until=NOW)]
    refused = [by_node(script, text) for text in wrong]
    assert {each.returncode for each in refused} == {4}, [each.stderr for each in refused]
    assert by_node(script, lasting, b"o" * 32).returncode != 0
    assert len(script.read_text().splitlines()) <= 45
