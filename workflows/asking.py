"""The registered child workflow by which any app-id, in any language, asks for a human yes."""

from collections.abc import Generator
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext
from pydantic import ValidationError

from approvals.contract import ContractRequest, answer_of
from approvals.request import ApprovalRequest
from workflows.obtain import Progress, RefusedStart, begin, go_on, outcome_of


def request_approval_workflow(ctx: DaprWorkflowContext, given: Any) -> Generator[Any, Any, dict[str, Any] | None]:
    """Ask the people whom the policy names, wait for them, and return an `approvals.contract.Answer`.

    `given` is an `approvals.contract.Asked`, or the progress of the run that this one continues. No effect of ours
    follows: the caller does what was approved. Raises: ValueError, with a message, for what is no request.
    """
    if isinstance(given, dict) and "evidence" in given:
        progress: Progress | RefusedStart = Progress.model_validate(given)
    else:
        progress = yield from begin(ctx, request_of(given))
    while isinstance(progress, Progress) and progress.state.outcome is None:
        if progress.full:
            ctx.continue_as_new(progress.afresh().model_dump(mode="json"), save_events=True)
            return None
        progress = yield from go_on(ctx, progress)
    return answer_of(ctx.instance_id, outcome_of(progress)).model_dump(mode="json")


def request_of(given: Any) -> ApprovalRequest:
    """Return the request of a caller's input. Raises: ValueError with a message that repeats nothing of the input."""
    try:
        return ContractRequest.model_validate(given).request()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part)[:100] for part in first["loc"]) or "input"
        what = str(first["msg"]).removeprefix("Value error, ")
        raise ValueError(f"The input of request_approval_workflow is no request: {where}: {what}.") from None
