"""The key that signs the audit's checkpoints: Ed25519, derived from COUNTERSIGN_SECRET_KEY for this one purpose.

The public key checks every checkpoint and signs none.
"""

from bot.cli import output
from bot.cli.database_session import key_ring_or_exit
from bot.control.reconciling.checkpoints import signers_of
from bot.process.settings import Settings
from records.checkpoints import Signer

PUBLIC_KEY_HEX = 64


def signer(settings: Settings) -> Signer:
    """Return the signer of the current key. Ends with a message if COUNTERSIGN_SECRET_KEY is unusable."""
    return _signers(settings)[0]


def trusted(settings: Settings) -> list[bytes]:
    """Return the raw public keys of the current key and of those that it replaced, the current one first."""
    return [each.public_key for each in _signers(settings)]


def public_key(text: str) -> bytes:
    """Return a raw public key from the hex digits that `audit public-key` prints. Ends with a message."""
    digits = text.strip()
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raw = b""
    if len(digits) != PUBLIC_KEY_HEX or not raw:
        output.fail("A public key has 64 hex digits: give the one that `countersign audit public-key` prints.", 2)
    return raw


def _signers(settings: Settings) -> list[Signer]:
    if not settings.secret_key.get_secret_value().strip():
        output.fail(
            "COUNTERSIGN_SECRET_KEY is not set. It is not needed to check signatures: give the public key with "
            "--public-key (64 hex digits, from `countersign audit public-key` where the app runs).",
            output.MISUSED,
        )
    key_ring_or_exit(settings)
    return signers_of(settings.keys)
