"""A line of a list, the same on every face: the read model's row, its card's link, whom it waits for. No rendering."""

import json

from pydantic import Field

from approvals import ends
from approvals.decision import Approval
from approvals.request import CardRef
from approvals.seats import SeatStanding
from approvals.statuses import Status
from approvals.values import Moment, Value
from cards.links import card_link
from records import instances, listing


class DecidedBy(Value):
    """One accepted decision. `person` is `T…/U…`; `stage` counts from 1."""

    person: str
    name: str = ""
    stage: int
    approved: bool
    reason: str = ""
    at: Moment
    through: str


class SeatShown(Value):
    """A seat of the stage that is asked now: how many yeses it needs and has, and whose they are."""

    seat: str = Field(examples=["finance"])
    needed: int
    filled: int
    by: tuple[str, ...] = ()


class Workflow(Value):
    """One instance as lists show it. `stage` counts from 1 and is None if nobody is asked.

    `standing` says in a word or two where the request stands; `outcome` is how it ended (a code of approvals.ends),
    None while it goes on and for what is no request; `status` is one of Dapr's six. `approved` of `needed` people have
    said yes in this stage. `since` is when it began to wait, or ended; `card_link` is the https address of its newest
    card in Slack.
    """

    id: str
    name: str
    status: Status
    custom_status: str
    phase: instances.Phase
    outcome: str | None = None
    standing: str = ""
    kind: str
    subject: str
    amount: str | None
    currency: str | None
    description: str
    requester: str
    rule: str | None
    stage: int | None
    stages: int | None = None
    approved: int | None = None
    needed: int | None = None
    seats: tuple[SeatShown, ...] = ()
    decided_by: tuple[DecidedBy, ...] = ()
    waiting_on: tuple[str, ...]
    since: Moment
    deadline: Moment | None
    card_link: str | None
    created_at: Moment
    updated_at: Moment
    decided_at: Moment | None
    finished_at: Moment | None


def standing(phase: str, status: str, ended_as: str | None) -> str:
    """Return where a request stands, in a word or two; empty for a workflow that is no request."""
    if phase == "purged":
        return f"{ends.shown(ended_as)}, purged".removeprefix(", ").capitalize()
    if ended_as is not None:
        return ends.shown(ended_as)
    if status == "SUSPENDED":
        return "Paused"
    return {"waiting": "Waiting", "starting": "Starting"}.get(phase, "")


MEANINGS = {
    "Waiting": "It waits for a decision on its card.",
    "Starting": "It has begun, and asks in a moment.",
    "Paused": "An operator has paused it. Answers are kept and count when it goes on; its deadline runs on.",
}
"""The meaning of each standing that is no end."""


def meaning(found: Workflow) -> str:
    """Return what a request's standing means; empty for a workflow that is no request."""
    end = ends.end_of(found.outcome)
    return end.meaning if end else MEANINGS.get(found.standing, "")


def decided_by(one: Approval) -> DecidedBy:
    """Return an accepted decision as lists and programs get it."""
    return DecidedBy(
        person=one.person.key,
        name=one.name,
        stage=one.stage + 1,
        approved=one.approved,
        reason=one.reason,
        at=one.at,
        through=one.through,
    )


def _seat(one: SeatStanding) -> SeatShown:
    people = tuple(each.name or each.person.key for each in one.by)
    return SeatShown(seat=one.name, needed=one.needed, filled=len(one.by), by=people)


def workflow(line: listing.Line, slack_url: str | None, progress: instances.RequestProgress | None = None) -> Workflow:
    """Return a list's line. `slack_url` is the workspace's address, None if it is not known now."""
    waits = line.phase == "waiting"
    return Workflow(
        id=line.instance_id,
        name=line.name,
        status=line.engine_status,
        custom_status=line.custom_status,
        phase=line.phase,
        outcome=line.ended_as,
        standing=standing(line.phase, line.engine_status, line.ended_as),
        kind=line.kind,
        subject=line.subject,
        amount=line.amount,
        currency=line.currency,
        description=line.description,
        requester=line.requester,
        rule=line.rule,
        stage=line.stage + 1 if waits else None,
        stages=progress.stages if waits and progress else None,
        approved=progress.counted if waits and progress else None,
        needed=progress.needed if waits and progress else None,
        seats=tuple(map(_seat, progress.seats)) if waits and progress else (),
        decided_by=tuple(map(decided_by, progress.approvals)) if progress else (),
        waiting_on=line.waiting_on,
        since=line.finished_at or (line.asked_at if waits else None) or line.created_at,
        deadline=line.deadline if waits else None,
        card_link=newest_card(line.cards, slack_url),
        created_at=line.created_at,
        updated_at=line.updated_at,
        decided_at=line.decided_at,
        finished_at=line.finished_at,
    )


def line_of(row: instances.Instance) -> listing.Line:
    """Return a whole row as a list's line."""
    shown = row.model_dump(include=set(listing.Line.model_fields) - {"amount", "cards"})
    return listing.Line(amount=None if row.amount is None else str(row.amount), cards=row.cards, **shown)


def newest_card(cards: tuple[CardRef, ...], slack_url: str | None) -> str | None:
    """Return the address under which Slack opens the newest card."""
    posted = [card for card in cards if card.ts]
    return card_link(posted[-1], slack_url) or None if posted else None


def plain_status(text: str) -> str:
    """Return a custom status as people read it: the SDK stores it as JSON."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, str) else text
