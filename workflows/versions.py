"""The versions of the approval workflow. A request keeps the one with which it began, whatever is deployed meanwhile.

A version that requests wait on is never changed: a changed workflow is a new version beside it
(docs/how-to/change-a-waiting-workflow.md).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from workflows.approval import approval_workflow
from workflows.asking import request_approval_workflow
from workflows.obtain import FIRST_VERSION

Code = Callable[[Any, Any], Any]


class Version(NamedTuple):
    """One version of a workflow: its name under Dapr's named versions, and its code."""

    name: str
    code: Code


class Versions(NamedTuple):
    """All versions of one workflow that are deployed. What starts now takes `latest`; the first one is the oldest."""

    workflow: str
    each: tuple[Version, ...]
    latest: str

    def code_of(self, version: Version) -> Code:
        """Return what to register: a run that goes on from one of another version is given to that version.

        The engine gives a run that continues as new the latest version, whatever it was before.
        """

        def run(ctx: Any, given: Any) -> Any:
            return self._carried(given, version).code(ctx, given)

        run.__name__ = self.workflow
        return run

    def _carried(self, given: Any, version: Version) -> Version:
        if not isinstance(given, dict) or "evidence" not in given:
            return version
        name = given.get("version", FIRST_VERSION)
        found = next((each for each in self.each if each.name == name), None)
        if found is None:
            raise UnknownVersionError(f"this run began as {self.workflow} {name}, which is not deployed")
        return found


class UnknownVersionError(Exception):
    """A run goes on that began as a version which this program does not have."""


APPROVALS = Versions("approval_workflow", (Version(FIRST_VERSION, approval_workflow),), latest=FIRST_VERSION)
REQUESTS = Versions(
    "request_approval_workflow", (Version(FIRST_VERSION, request_approval_workflow),), latest=FIRST_VERSION
)
