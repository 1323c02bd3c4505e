"""A release is deployed once the people whom policy.yml names have agreed."""

from collections.abc import Generator
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext

from approvals.request import ApprovalRequest
from workflows.obtain import obtain_approval


def deploy_workflow(ctx: DaprWorkflowContext, release: ApprovalRequest) -> Generator[Any, Any, dict[str, Any]]:
    """Ask, then deploy. It is replayed at every turn, so what touches the world is an activity."""
    outcome = yield from obtain_approval(ctx, release)
    if not outcome.approved:
        return {"status": "rejected", "reason": outcome.reason}
    deployed = yield ctx.call_activity(deploy, input=release.subject)
    return {"status": "deployed", "release": deployed}


def deploy(ctx: WorkflowActivityContext, release: str) -> str:
    """Deploy a release. It may run more than once, so it has to be harmless the second time."""
    return f"{release} is live"
