"""The registered workflow of this program: obtain an approval, then do what was asked for."""

from collections.abc import Generator
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext

from activities import Activities
from activities.inputs import ProcessInput
from approvals.request import ApprovalRequest
from workflows.obtain import DURABLE, call, obtain_approval


def approval_workflow(ctx: DaprWorkflowContext, request: ApprovalRequest) -> Generator[Any, Any, dict[str, str]]:
    """Wait for a human yes, then run the effect of the request's kind once.

    Returns {"status": "completed"} or {"status": "rejected", "reason": …}; nobody answering gives "approval_timeout".
    """
    outcome = yield from obtain_approval(ctx, request)
    if not outcome.approved:
        return {"status": "rejected", "reason": outcome.reason}
    approved = ProcessInput(instance_id=ctx.instance_id, request=request, outcome=outcome)
    effect = Activities.call_back if request.callback else Activities.process_order
    yield call(ctx, effect, approved, DURABLE)
    return {"status": "completed"}
