"""From instances of the read model to the lines that Slack shows."""

from decimal import Decimal

from approvals.ends import shown
from approvals.people import EmailAddress, Principal, SlackUser, UserGroup
from bot.control.operations import bulk
from bot.control.reading.lines import Workflow, meaning
from bot.control.reading.overview import Listed, TimeLineEvent
from bot.control.reading.story import StoryEvent
from cards.operations import OperationLine
from cards.parts import name_of
from cards.values import HistoryLine, InstanceLine, LinePage, StatisticsShown
from records import statistics


def of_workflow(found: Workflow, *, operator: bool = False) -> InstanceLine:
    """Return one instance's line; Dapr's status is shown to operators only."""
    several = (found.stages or 1) > 1
    many = (found.needed or 1) > 1
    now = [one for one in found.decided_by if one.approved and one.stage == found.stage] if many else []
    return InstanceLine(
        instance_id=found.id,
        status=found.status,
        standing=found.standing,
        meaning=meaning(found),
        for_operators=operator,
        name=found.name,
        what=f"{found.kind} {found.subject}".strip(),
        description=found.description,
        amount=None if found.amount is None else Decimal(found.amount),
        currency=found.currency or "",
        requester=found.requester,
        custom_status=found.custom_status,
        stage=f"{found.stage} of {found.stages}" if found.stage and several else "",
        approved=f"{found.approved} of {found.needed}" if many else "",
        seats=tuple(f"{each.seat} {each.filled} of {each.needed}" for each in found.seats),
        approved_by=tuple(one.person.rpartition("/")[2] for one in now),
        waiting_on=tuple(map(principal, found.waiting_on)),
        since=found.since,
        ended=found.finished_at,
        deadline=found.deadline,
        card_link=found.card_link,
    )


def of_page(found: Listed, *, operator: bool = False) -> LinePage:
    """Return one page of a list."""
    return LinePage(
        lines=tuple(of_workflow(each, operator=operator) for each in found.lines),
        total=found.total,
        before=found.before,
        place=found.place,
        following=found.cursor,
        previous=found.previous,
    )


def principal(name: str) -> Principal:
    """Return whom the read model names, such as `group:S0MANAGERS`."""
    kind, _, value = name.partition(":")
    if kind == "group":
        return UserGroup(group=value)
    return EmailAddress(email=value) if kind == "email" else SlackUser(user=value)


def of_history(event: TimeLineEvent) -> HistoryLine:
    """Return one event's line: the business's with who did it, the engine's with its name."""
    if event.source == "engine":
        return HistoryLine(at=event.at, what=event.type, text=f"{event.name} {event.text}".strip())
    _, slash, user = event.actor.partition("/")
    by_name = event.actor_name or ("" if slash or event.actor in {"workflow", "system"} else event.actor)
    return HistoryLine(at=event.at, what=event.what, text=event.text, by=user or None, by_name=by_name)


def of_story(event: StoryEvent) -> HistoryLine:
    """Return one event of a request's story."""
    user = event.actor.partition("/")[2]
    return HistoryLine(
        at=event.at,
        what=event.what,
        text=event.text,
        by=user or None,
        by_name=event.name or ("" if user else event.actor),
    )


def of_operation(found: bulk.Status) -> OperationLine:
    """Return one operation on many as Slack shows it."""
    return OperationLine.model_validate(found.model_dump(include=set(OperationLine.model_fields)))


def of_statistics(found: statistics.Statistics) -> StatisticsShown:
    """Return the figures as Slack shows them."""
    return StatisticsShown(
        since=found.since,
        waiting=found.waiting,
        waiting_by_rule=tuple((each.what or "no rule", each.count) for each in found.by_rule),
        waiting_by_approver=tuple((name_of(principal(each.what)), each.count) for each in found.by_approver),
        decided_per_day=tuple((each.day.isoformat(), sum(each.outcomes.values())) for each in found.per_day),
        median=found.duration.median,
        p90=found.duration.p90,
        outcomes=tuple((shown(name).lower(), count) for name, count in found.outcomes.items()),
        timeouts=found.timeouts,
        refusals=sum(found.refusals.values()),
    )
