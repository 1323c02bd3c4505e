"""From what is known of instances to the lines that Slack shows."""

from decimal import Decimal

from approvals.people import EmailAddress, Principal, SlackUser, UserGroup
from bot.control.reading.lines import Workflow
from bot.control.reading.overview import TimeLineEvent
from cards.values import HistoryLine, InstanceLine, Statistics
from records import statistics


def of_workflow(found: Workflow) -> InstanceLine:
    """Return one instance's line."""
    return InstanceLine(
        instance_id=found.id,
        status=found.status,
        name=found.name,
        what=f"{found.kind} {found.subject}".strip(),
        amount=None if found.amount is None else Decimal(found.amount),
        currency=found.currency or "",
        requester=found.requester,
        custom_status=found.custom_status,
        stage=str(found.stage or ""),
        waiting_on=tuple(map(principal, found.waiting_on)),
        since=found.since,
        deadline=found.deadline,
        card_link=found.card_link,
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
    name, slash, user = event.actor.partition("/")
    what = event.type.partition(".")[2].replace("_", " ")
    return HistoryLine(at=event.at, what=what, text=event.text, by=user or None, by_name="" if slash else name)


def of_statistics(found: statistics.Statistics) -> Statistics:
    """Return the figures as Slack shows them."""
    return Statistics(
        since=found.since,
        waiting=found.waiting,
        waiting_by_rule=tuple((each.what or "no rule", each.count) for each in found.by_rule),
        waiting_by_approver=tuple((each.what, each.count) for each in found.by_approver),
        decided_per_day=tuple((each.day.isoformat(), sum(each.outcomes.values())) for each in found.per_day),
        median=found.duration.median,
        p90=found.duration.p90,
        outcomes=tuple(found.outcomes.items()),
        timeouts=found.timeouts,
        refusals=sum(found.refusals.values()),
    )
