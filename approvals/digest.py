"""Digests of canonical JSON: a decision is bound to them.

No keys here: a digest is no proof of who made it.
"""

import hashlib
from datetime import datetime
from typing import Any

from approvals.canonical import canonical_json
from approvals.request import ApprovalRequest, Binding, Route, content_fields, semantic_fields
from approvals.values import in_utc

NONCE_DIGITS = 32


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_of(request: ApprovalRequest, route: Route, instance_id: str) -> str:
    """Return the digest of a request under its route and instance: 64 hex digits."""
    return _sha256(semantic_fields(request, route, instance_id))


def content_digest(request: ApprovalRequest) -> str:
    """Return the digest of the request alone: the same id started again with another content is another order."""
    return _sha256(content_fields(request))


def version_of(content: Any) -> str:
    """Return the version of a policy's canonical content: 12 hex digits."""
    return _sha256(content)[:12]


def bind(instance_id: str, run: datetime, stage: int, round_: int, digest: str) -> Binding:
    """Return the binding of a card of this stage and round.

    The nonce is derived, not random: an activity that is retried posts the same card.
    """
    nonce = _sha256(["card", instance_id, in_utc(run), stage, round_, digest])[:NONCE_DIGITS]
    return Binding(instance_id=instance_id, run=run, stage=stage, round=round_, digest=digest, nonce=nonce)
