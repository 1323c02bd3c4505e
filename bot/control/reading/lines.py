"""One line of a list as everybody shows it: the read model's row, its card's link, whom it waits for. No rendering."""

import json

from approvals.request import CardRef
from approvals.statuses import Status
from approvals.values import Moment, Value
from records import instances, listing


class Workflow(Value):
    """One instance as lists show it. `stage` counts from 1 and is None where nobody is asked.

    `since` is when it began to wait, or ended; `card_link` is the https address of its newest card in Slack.
    """

    id: str
    name: str
    status: Status
    custom_status: str
    phase: instances.Phase
    kind: str
    subject: str
    amount: str | None
    currency: str | None
    description: str
    requester: str
    rule: str | None
    stage: int | None
    waiting_on: tuple[str, ...]
    since: Moment
    deadline: Moment | None
    card_link: str | None
    created_at: Moment
    updated_at: Moment
    decided_at: Moment | None
    finished_at: Moment | None


def workflow(line: listing.Line, slack_url: str | None) -> Workflow:
    """Return a list's line. `slack_url` is the workspace's address, None where it is not known now."""
    waits = line.phase == "waiting"
    return Workflow(
        id=line.instance_id,
        name=line.name,
        status=line.engine_status,
        custom_status=line.custom_status,
        phase=line.phase,
        kind=line.kind,
        subject=line.subject,
        amount=line.amount,
        currency=line.currency,
        description=line.description,
        requester=line.requester,
        rule=line.rule,
        stage=line.stage + 1 if waits else None,
        waiting_on=line.waiting_on,
        since=line.finished_at or (line.asked_at if waits else None) or line.created_at,
        deadline=line.deadline if waits else None,
        card_link=card_link(line.cards, slack_url),
        created_at=line.created_at,
        updated_at=line.updated_at,
        decided_at=line.decided_at,
        finished_at=line.finished_at,
    )


def line_of(row: instances.Instance) -> listing.Line:
    """Return a whole row as a list's line."""
    shown = row.model_dump(include=set(listing.Line.model_fields) - {"amount", "cards"})
    return listing.Line(amount=None if row.amount is None else str(row.amount), cards=row.cards, **shown)


def card_link(cards: tuple[CardRef, ...], slack_url: str | None) -> str | None:
    """Return the address under which Slack opens the newest card: the workspace's, then archives/CHANNEL/pTS."""
    posted = [card for card in cards if card.ts]
    if not posted or not slack_url:
        return None
    return f"{slack_url.rstrip('/')}/archives/{posted[-1].channel}/p{posted[-1].ts.replace('.', '')}"


def plain_status(text: str) -> str:
    """Return a custom status as people read it: the SDK stores it as JSON."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, str) else text
