"""A version of the approval workflow after v1, as docs/how-to/change-a-waiting-workflow.md makes one."""

from collections.abc import Generator
from typing import Any

from activities import Activities
from activities.inputs import AskInput, ProcessInput
from workflows.approval import started
from workflows.obtain import DURABLE, SLACK, Progress, begin, call, go_on, outcome_of
from workflows.versions import APPROVALS, Version, Versions


def second(ctx: Any, given: Any) -> Generator[Any, Any, dict[str, str]]:
    """Take one activity more before the wait: histories of v1 do not fit it."""
    progress = yield from begin(ctx, *started(given))
    assert isinstance(progress, Progress)
    yield call(ctx, Activities.request_approval, AskInput(evidence=progress.evidence), SLACK)
    while progress.state.outcome is None:
        progress = yield from go_on(ctx, progress)
    if not outcome_of(progress).approved:
        return {"status": "rejected", "reason": outcome_of(progress).reason}
    yield call(ctx, Activities.process_order, ProcessInput(evidence=progress.evidence), DURABLE)
    return {"status": "completed", "by": "v2"}


FIRST = APPROVALS.each[0]
SECOND = Version("v2", second)
KNOWN = Versions(APPROVALS.workflow, (FIRST, SECOND), latest="v1")
"""The first deployment: every worker learns the new version, and none takes it."""

TAKEN = KNOWN._replace(latest="v2")
"""The second deployment: what starts now takes the new version."""

CHANGED = Versions(APPROVALS.workflow, (Version("v1", second),), latest="v1")
"""The mistake: v1 itself is changed."""
