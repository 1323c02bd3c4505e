"""Histograms of this process: how long people and decisions wait, with the trace as exemplar."""

from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics

from bot.process.tracing import TRACING

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series and say nothing

REGISTRY: Final = CollectorRegistry()

ACKNOWLEDGED: Final = Histogram(
    "countersign_slack_ack_seconds",
    "Seconds until an answer to what Slack sent and signed; outcome failed for a 5xx or none.",
    ("outcome",),
    registry=REGISTRY,
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0),
)
DELIVERED: Final = Histogram(
    "countersign_decision_delivery_seconds",
    "Seconds from a decision's commit until its workflow has the event.",
    registry=REGISTRY,
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
for outcome in ("ok", "failed"):
    ACKNOWLEDGED.labels(outcome)


def acknowledged(seconds: float, *, ok: bool) -> None:
    """Note an answer to Slack."""
    ACKNOWLEDGED.labels("ok" if ok else "failed").observe(seconds, _exemplar())


def delivered(seconds: float) -> None:
    """Note that a decision has reached its workflow."""
    DELIVERED.observe(max(0.0, seconds), _exemplar())


def _exemplar() -> dict[str, str] | None:
    trace_id = structlog.contextvars.get_contextvars().get("correlation_id") if TRACING.on else None
    return {"trace_id": str(trace_id)} if trace_id else None
