"""The registered workflow of this program: obtain an approval, then run the request's effect."""

from collections.abc import Generator
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext

from activities import Activities
from activities.inputs import ProcessInput
from approvals.request import ApprovalRequest
from workflows.obtain import DURABLE, Progress, begin, call, go_on


def approval_workflow(ctx: DaprWorkflowContext, given: Any) -> Generator[Any, Any, dict[str, str] | None]:
    """Wait for a human yes, then run the effect of the request's kind once.

    `given` is the request, or the progress of the run that this one continues.
    Returns {"status": "completed"} or {"status": "rejected",
    "reason": …}; nobody answering gives "approval_timeout".
    """
    if isinstance(given, dict) and "state" in given:
        progress = Progress.model_validate(given)
    else:
        progress = yield from begin(ctx, ApprovalRequest.model_validate(given))
    while progress.state.outcome is None:
        if progress.full:
            # The events that are left go with it; the history of those that were dropped does not.
            ctx.continue_as_new(progress.afresh().model_dump(mode="json"), save_events=True)
            return None
        progress = yield from go_on(ctx, progress)
    outcome, request = progress.state.outcome, progress.state.request
    if not outcome.approved:
        return {"status": "rejected", "reason": outcome.reason}
    approved = ProcessInput(instance_id=ctx.instance_id, request=request, outcome=outcome)
    effect = Activities.call_back if request.callback else Activities.process_order
    yield call(ctx, effect, approved, DURABLE)
    return {"status": "completed"}
