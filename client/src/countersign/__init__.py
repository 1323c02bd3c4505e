"""Ask people for a yes, and go on when they have answered.

    approval = countersign.ask("Refund order 4711", kind="refund", amount=250, currency="EUR", key="refund:4711")

`ask` returns when the request is approved, and raises for every other end: code after it runs with a yes alone. The
`key` makes it safe to call again after a crash: the same key goes on waiting for the same request.
"""

from countersign.asking import AsyncClient, Client, aask, ask
from countersign.decorator import requires_approval
from countersign.errors import (
    CountersignError,
    Expired,
    Failed,
    Misconfigured,
    NotApproved,
    NotVerified,
    Refused,
    Rejected,
    StillWaiting,
    Terminated,
    TimedOut,
    Unreachable,
    Withdrawn,
)
from countersign.receipts import Receipt, verify_receipt
from countersign.values import Decision, Request
from countersign.webhooks import Webhook, verify_webhook

__all__ = [
    "AsyncClient",
    "Client",
    "CountersignError",
    "Decision",
    "Expired",
    "Failed",
    "Misconfigured",
    "NotApproved",
    "NotVerified",
    "Receipt",
    "Refused",
    "Rejected",
    "Request",
    "StillWaiting",
    "Terminated",
    "TimedOut",
    "Unreachable",
    "Webhook",
    "Withdrawn",
    "aask",
    "ask",
    "requires_approval",
    "verify_receipt",
    "verify_webhook",
]
