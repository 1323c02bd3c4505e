"""Whether a row is behind its workflow, by what the workflow's custom status says."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.control.reconciling.rebuilding import is_behind


def row(stage: int, votes: int) -> Any:
    approvals = [SimpleNamespace(stage=stage, approved=True)] * votes
    state = SimpleNamespace(stage=stage, approvals=approvals)
    return cast("Any", SimpleNamespace(phase="waiting", stage=stage, state=state))


@pytest.mark.parametrize(
    ("stage", "votes", "status", "behind"),
    [
        (0, 0, "waiting for stage 1 of 2, rule r", False),
        (0, 0, "waiting for stage 2 of 2, rule r", True),
        (0, 0, "waiting for stage 1 of 1, 1 of 2 said yes, rule r", True),
        (0, 1, "waiting for stage 1 of 1, 1 of 2 said yes, rule r", False),
        (0, 2, "waiting for stage 1 of 1, 1 of 3 said yes, rule r", False),
        (1, 0, "waiting for stage 2 of 2, 1 of 2 said yes, rule r", True),
        (0, 0, "approved", False),
    ],
)
def test_a_row_that_lacks_a_stage_or_a_vote_is_behind(stage: int, votes: int, status: str, behind: Any) -> None:
    assert is_behind(row(stage, votes), status) is behind
