"""A bulk operation's filter as people and programs write it: words become a selection, or a message. No I/O."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from approvals.durations import parse_duration
from approvals.statuses import Status as WorkflowStatus
from bot.control.operations.selection import Selection
from bot.control.reading.list_query import Word, principal_of


def _a_duration(text: str) -> str:
    parse_duration(text)
    return text


class BulkFilter(BaseModel):
    """A filter of workflows; all that are given must match. An empty filter is refused unless `everything` is true."""

    model_config = ConfigDict(extra="forbid")

    status: WorkflowStatus | None = None
    name: Word | None = None
    waiting_on: Word | None = None
    q: Word | None = None
    older_than: Annotated[str, Field(max_length=60, examples=["2h"]), AfterValidator(_a_duration)] | None = Field(
        None,
        description="a duration: since the last progress with `stuck`, since the end for a purge, else since creation",
    )
    stuck: bool = Field(
        default=False, description="no progress for longer than `older_than` (2h), or past its deadline"
    )
    completed: bool = Field(default=False, description="the same as the status COMPLETED")
    everything: bool = Field(default=False, description="say so to mean all that the action fits")

    def selection(self) -> Selection:
        """Return the selection."""
        return Selection(
            status=self.status,
            name=self.name,
            waiting_on=principal_of(self.waiting_on) if self.waiting_on else None,
            q=self.q,
            older_than=parse_duration(self.older_than) if self.older_than else None,
            stuck=self.stuck,
            completed=self.completed,
            everything=self.everything,
        )
