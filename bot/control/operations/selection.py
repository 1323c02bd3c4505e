"""The instances of a bulk operation: the filter as people and programs write it, the ids that match now. Reads only."""

import re
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.durations import LONGEST_TEXT, duration_text, parse_duration
from approvals.statuses import Status
from approvals.values import Value
from approvals.verbs import IN_BULK, VERBS
from bot.access.refusals import Kind, Refused
from bot.control.reading.list_query import Word, principal_of
from records import listing


def _in_bulk(name: str) -> str:
    if name not in IN_BULK:
        raise ValueError(f"choose one of {', '.join(IN_BULK)}")
    return name


BulkAction = Annotated[str, AfterValidator(_in_bulk), WithJsonSchema({"type": "string", "enum": list(IN_BULK)})]
"""A verb that may be done to many at once."""


def _duration(given: object) -> object:
    if isinstance(given, timedelta):
        return given
    if not isinstance(given, str):
        raise ValueError("write it like '2h'")  # noqa: TRY004 pydantic tells ValueErrors
    return parse_duration(given)


Age = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "maxLength": LONGEST_TEXT, "examples": ["2h"]}),
]
"""A duration as people and programs write it."""

STUCK = timedelta(hours=2)
MOST_SELECTED = 50_000
SELECTED_PER_PAGE = 1_000
OURS = re.compile("bulk-[0-9a-f]{32}")
"""The workflows of bulk operations."""


class BulkFilter(Value):
    """A filter of workflows; all that are given must match. An empty filter is refused unless `everything` is true."""

    status: Status | None = None
    name: Word | None = None
    waiting_on: Annotated[Word, AfterValidator(principal_of)] | None = None
    q: Word | None = None
    older_than: Age | None = Field(
        None,
        description="a duration: since the last progress with `stuck`, since the end for a purge, else since creation",
    )
    stuck: bool = Field(
        default=False, description="no progress for longer than `older_than` (2h), or past its deadline"
    )
    completed: bool = Field(default=False, description="the same as the status COMPLETED")
    everything: bool = Field(default=False, description="say so to mean all that the action fits")

    def words(self, action: BulkAction) -> str:
        """Return the selection in words."""
        since = "no progress" if self.stuck else "ended" if action == "purge" else "created"
        found = [f"{name} {value}" for name, value in self._named() if value]
        if self.stuck:
            found.append(f"no progress for {duration_text(self.older_than or STUCK)} or past its deadline")
        elif self.older_than is not None:
            found.append(f"{since} more than {duration_text(self.older_than)} ago")
        return ", ".join(found) or f"everything that can be {VERBS[action].past}"

    def _named(self) -> tuple[tuple[str, str | None], ...]:
        status = "COMPLETED" if self.completed else self.status
        return ("status", status), ("name", self.name), ("waiting on", self.waiting_on), ("words", self.q)

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return self == BulkFilter(everything=self.everything)


async def select(connection: AsyncConnection, action: BulkAction, wanted: BulkFilter, now: datetime) -> tuple[str, ...]:
    """Return the ids that are meant, sorted. Raises: Refused INVALID."""
    check(action, wanted)
    found: set[str] = set()
    for each in filters(action, wanted, now):
        after = ""
        while True:
            page = await listing.ids(connection, each, after=after, limit=SELECTED_PER_PAGE)
            found.update(page)
            if len(found) > MOST_SELECTED:
                raise Refused(
                    Kind.INVALID,
                    f"These are more than {MOST_SELECTED:,} workflows, too many at once. "
                    "Say older_than, name or status.",
                )
            if len(page) < SELECTED_PER_PAGE:
                break
            after = page[-1]
    # An operation must not end itself or another one in the middle; one that has ended is purged like anything else.
    return tuple(sorted(found if action == "purge" else {each for each in found if not OURS.fullmatch(each)}))


def check(action: BulkAction, wanted: BulkFilter) -> None:
    """Refuse what makes no sense. Raises: Refused INVALID."""
    if wanted.empty and not wanted.everything:
        raise Refused(
            Kind.INVALID,
            "The filter is empty, which would mean all. Say which: status, name, waiting_on, q, older_than, stuck or "
            "completed; or everything: true.",
        )
    status = "COMPLETED" if wanted.completed else wanted.status
    if wanted.completed and wanted.status not in {None, "COMPLETED"}:
        raise Refused(Kind.INVALID, f"completed means the status COMPLETED, and the filter says {wanted.status} too.")
    if status is not None and status not in VERBS[action].statuses:
        fitting = ", ".join(sorted(VERBS[action].statuses))
        raise Refused(Kind.INVALID, f"What is {status} cannot be {VERBS[action].past}: the status must be {fitting}.")
    if wanted.stuck and action == "purge":
        raise Refused(Kind.INVALID, "What is stuck is not over and cannot be purged: terminate it first.")


def filters(action: BulkAction, wanted: BulkFilter, now: datetime) -> tuple[listing.Filter, ...]:
    """Return the read model's filters: one for each status that fits, and for stuck one for each way to be stuck."""
    base = listing.Filter(name=wanted.name, waiting_on=wanted.waiting_on, q=wanted.q)
    before = now - (wanted.older_than or timedelta(0))
    if action == "purge":
        base = base.model_copy(update={"finished_before": before})
    elif not wanted.stuck and wanted.older_than is not None:
        base = base.model_copy(update={"older_than": before})
    given = "COMPLETED" if wanted.completed else wanted.status
    statuses = [given] if given is not None else sorted(VERBS[action].statuses)
    chosen = [base.model_copy(update={"status": status}) for status in statuses]
    if wanted.stuck:
        still = {"progress_before": now - (wanted.older_than or STUCK)}
        late = {"overdue_at": now}
        chosen = [each.model_copy(update=way) for each in chosen for way in (still, late)]
    return tuple(chosen)
