"""The durable bulk operation: batch after batch until nothing is pending. Its progress is its custom status."""

from collections.abc import Generator
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext

from activities.bulk import BatchInput, BatchResult, BulkActivities
from workflows.obtain import DURABLE, call

BATCHES = 25
"""Batches in one history. Then the workflow starts over with a short one: it keeps no state of its own."""


def bulk_workflow(ctx: DaprWorkflowContext, what: BatchInput) -> Generator[Any, Any, dict[str, Any] | None]:
    """Work an operation off. Returns how many are done, failed and skipped."""
    for _ in range(BATCHES):
        result = BatchResult.model_validate((yield call(ctx, BulkActivities.bulk_batch, what, DURABLE)))
        ctx.set_custom_status(summary(result))
        if result.pending == 0:
            return {"status": "completed", **result.model_dump(exclude={"pending"})}
    ctx.continue_as_new(what.model_dump(mode="json"))
    return None


def summary(result: BatchResult) -> str:
    """Return the custom status."""
    ready = result.done + result.failed + result.skipped
    return f"{ready} of {ready + result.pending}: {result.done} done, {result.failed} failed, {result.skipped} skipped"
