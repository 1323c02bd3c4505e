"""Receipts: what the key has signed is believed, and no other byte. Signatures are checked against RFC 8032's own."""

import base64
import json
import random
from datetime import UTC, datetime
from typing import Any

import countersign
import pytest
from countersign.ed25519 import ORDER, verifies
from countersign.receipts import TYPE
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
SAID = {"id": "r-1", "status": "approved", "digest": "d" * 64, "valid_until": "2026-06-01T12:00:00Z", "later": 1}
BEFORE = datetime(2026, 6, 1, 11, tzinfo=UTC)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def receipt(said: Any = SAID, header: Any = None) -> str:
    body = f"{part(header or {'alg': 'EdDSA', 'typ': TYPE})}.{part(said)}"
    return f"{body}.{base64.urlsafe_b64encode(KEY.sign(body.encode())).rstrip(b'=').decode()}"


def verify(text: str, **more: Any) -> countersign.Receipt:
    return countersign.verify_receipt(text, PUBLIC, clock=lambda: BEFORE, **more)


def test_a_receipt_says_what_was_approved() -> None:
    found = verify(receipt(), request_id="r-1", digest="d" * 64)
    assert (found.id, found.status, found.model_extra) == ("r-1", "approved", {"later": 1})


def test_the_key_may_be_written_in_each_usual_way() -> None:
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    written = base64.urlsafe_b64encode(PUBLIC).rstrip(b"=").decode()
    for key in (PUBLIC, PUBLIC.hex(), written, pem, pem.decode()):
        assert countersign.verify_receipt(receipt(), key, clock=lambda: BEFORE).id == "r-1"
    for key in ("", "ab", PUBLIC[:31]):
        with pytest.raises(ValueError, match="public key"):
            countersign.verify_receipt(receipt(), key)


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        (receipt(SAID | {"status": "rejected"}), {}, "ended as rejected"),
        (receipt(), {"request_id": "r-2"}, "another request"),
        (receipt(), {"digest": "e" * 64}, "another content"),
        (receipt(SAID | {"valid_until": "2026-06-01T11:00:00Z"}), {}, "used before 2026-06-01 11:00"),
        (receipt({"id": "r-1"}), {}, "no id, status and digest"),
        (receipt(SAID | {"format": 2}), {}, "format 2, which this package does not know"),
        (receipt(header={"alg": "none", "typ": TYPE}), {}, "another way"),
        (receipt(header={"alg": "EdDSA", "typ": "countersign-checkpoint"}), {}, "another way"),
        (receipt(header={"alg": "EdDSA", "typ": TYPE, "crit": ["x"]}), {}, "another way"),
        (receipt(header=["EdDSA"]), {}, "another way"),
        ("a.b", {}, "no receipt"),
        ("x" * 70_000, {}, "no receipt"),
        ("%.%.%", {}, "another way"),
        (receipt() + "=", {}, "not signed by this key"),
        (receipt()[:-4], {}, "not signed by this key"),
    ],
)
def test_what_is_no_permission_is_refused(text: str, more: dict[str, str], said: str) -> None:
    with pytest.raises(countersign.NotVerified, match=said):
        verify(text, **more)


def test_without_a_moment_it_is_valid_for_ever_and_now_is_the_usual_clock() -> None:
    assert (
        countersign.verify_receipt(receipt({k: v for k, v in SAID.items() if k != "valid_until"}), PUBLIC).id == "r-1"
    )


def test_changed_characters_are_refused() -> None:
    dice, good = random.Random(7), receipt()
    for _ in range(150):
        place = dice.randrange(len(good))
        changed = good[:place] + dice.choice("ABCxyz019-_") + good[place + 1 :]
        if changed != good:
            with pytest.raises(countersign.NotVerified):
                verify(changed)


def test_signatures_of_random_messages_verify_and_no_others() -> None:
    dice = random.Random(11)
    for _ in range(20):
        message, key = dice.randbytes(dice.randrange(80)), Ed25519PrivateKey.from_private_bytes(dice.randbytes(32))
        public, signature = key.public_key().public_bytes_raw(), key.sign(message)
        assert verifies(public, message, signature)
        assert not verifies(public, message + b"x", signature)
        assert not verifies(public, message, signature[:32] + bytes([signature[32] ^ 1]) + signature[33:])


def test_the_vector_of_rfc_8032() -> None:
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert verifies(public, bytes.fromhex("72"), signature)


@pytest.mark.parametrize(
    ("public", "signature"),
    [
        (b"", b"0" * 64),
        (PUBLIC, b""),
        (PUBLIC, KEY.sign(b"m")[:32] + (int.from_bytes(KEY.sign(b"m")[32:], "little") + ORDER).to_bytes(32, "little")),
        ((2**255 - 19).to_bytes(32, "little"), KEY.sign(b"m")),
        ((2).to_bytes(32, "little"), KEY.sign(b"m")),
        ((1 | 1 << 255).to_bytes(32, "little"), KEY.sign(b"m")),
    ],
    ids=["no key", "no signature", "second form of s", "y over p", "no point", "minus zero"],
)
def test_bytes_that_are_no_key_or_no_signature_verify_nothing(public: bytes, signature: bytes) -> None:
    assert not verifies(public, b"m", signature)
