"""The registered workflow of this program: obtain an approval, then run the request's effect."""

from collections.abc import Generator
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext

from activities import Activities
from activities.inputs import ProcessInput
from approvals.decision import Outcome
from approvals.evidence import SEALED, SealedStart
from approvals.output import OutputStatus, output_of
from approvals.request import ApprovalRequest
from workflows.obtain import DURABLE, Progress, RefusedStart, begin, call, go_on, outcome_of


def approval_workflow(ctx: DaprWorkflowContext, given: Any) -> Generator[Any, Any, dict[str, Any] | None]:
    """Wait for a human yes, then run the effect of the request's kind once.

    `given` is the request, or the progress of the run that this one continues.
    Returns an `OrderOutput`: {"status": "completed", "outcome": "approved", "approvers": […], …} or {"status":
    "rejected", "reason": …, …}; nobody answering gives the reason "approval_timeout", a withdrawal "withdrawn".
    """
    if isinstance(given, dict) and "evidence" in given:
        progress: Progress | RefusedStart = Progress.model_validate(given)
    else:
        progress = yield from begin(ctx, *started(given))
    while isinstance(progress, Progress) and progress.state.outcome is None:
        if progress.full:
            # The events that are left go with it; the history of those that were dropped does not.
            ctx.continue_as_new(progress.afresh().model_dump(mode="json"), save_events=True)
            return None
        progress = yield from go_on(ctx, progress)
    outcome = outcome_of(progress)
    if not isinstance(progress, Progress) or not outcome.approved:
        return _output("withdrawn" if outcome.end == "withdrawn" else "rejected", outcome)
    if progress.state.origin != "door":
        return _output("approved", outcome)  # no effect of ours: nobody whom we know has asked for it
    effect = Activities.call_back if progress.state.request.callback else Activities.process_order
    yield call(ctx, effect, ProcessInput(evidence=progress.evidence), DURABLE)
    return _output("completed", outcome)


def _output(status: OutputStatus, outcome: Outcome) -> dict[str, Any]:
    return output_of(status, outcome).model_dump(mode="json", exclude_none=True)


def started(given: Any) -> tuple[ApprovalRequest, SealedStart | None]:
    """Return the request of a workflow's input, and the door's seal if it bears one. Raises: ValidationError."""
    if not isinstance(given, dict) or SEALED not in given:
        return ApprovalRequest.model_validate(given), None
    request = ApprovalRequest.model_validate({name: value for name, value in given.items() if name != SEALED})
    return request, SealedStart.model_validate(given[SEALED])
