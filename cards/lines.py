"""One workflow instance in words: its status as a sentence, and the blocks that lists, status and App Home share."""

from approvals.statuses import status_message
from cards import parts
from cards.moments import in_utc
from cards.surface import Block
from cards.values import InstanceLine


def line(one: InstanceLine) -> Block:
    """Return an instance as one paragraph: what, how much, where it stands, whom it waits for, until when, a link."""
    elements = [parts.words(parts.typed(one.what or one.instance_id, 150), bold=True)]
    about = ", ".join(parts.typed(text, 120) for text in (one.money, one.description) if text.strip())
    elements += [parts.words(f"  {about}")] if about else []
    elements += [parts.words(f"\n{_stands(one)}")]
    elements += _approved(one)
    if one.requester:
        elements.append(parts.words(f", asked by {parts.typed(one.requester)}"))
    elements += [*_waiting(one), *parts.link(one.card_link, "Open the card")]
    if one.for_operators:
        elements += [parts.words(" "), parts.words(parts.typed(one.instance_id, 150), code=True)]
    return parts.rich(*elements)


def _stands(one: InstanceLine) -> str:
    """Return where it stands: Dapr's status alone for what is no request, beside the word for operators."""
    if not one.standing:
        return one.status.capitalize()
    beside = f" ({one.status.capitalize()} in Dapr)" if one.for_operators else ""
    stage = f", stage {parts.typed(one.stage, 20)}" if one.stage else ""
    approved = f", {parts.typed(one.approved, 20)} approved{_seats(one)}" if one.approved else ""
    return f"{one.standing}{beside}{stage}{approved}"


def _seats(one: InstanceLine) -> str:
    return f" ({', '.join(parts.typed(each, 60) for each in one.seats[:5])})" if one.seats else ""


def _approved(one: InstanceLine) -> list[Block]:
    if not one.approved_by:
        return []
    elements = [parts.words(" (")]
    for index, name in enumerate(one.approved_by[:5]):
        elements += [parts.words(", ")] if index else []
        elements.append(parts.person(name, name))
    return [*elements, parts.words(")")]


def _waiting(one: InstanceLine) -> list[Block]:
    elements: list[Block] = []
    if one.waiting_on:
        elements += [parts.words("; waits for "), *parts.people(one.waiting_on, 5)]
    if one.ended:
        elements += [parts.words(", ended "), parts.moment(one.ended)]
    elif one.deadline:
        elements += [parts.words(" until " if elements else "; until "), parts.moment(one.deadline)]
    elif one.since:
        elements += [parts.words(" since " if elements else "; since "), parts.moment(one.since)]
    return elements


def in_words(one: InstanceLine) -> list[str | Block]:
    """Return an instance as sentences, for fallback texts."""
    waits: list[str | Block] = [" It waits for ", *parts.people(one.waiting_on, 5), "."] if one.waiting_on else []
    until = [f" Deadline: {in_utc(one.deadline)}."] if one.deadline else []
    amount = f" ({one.money})" if one.money else ""
    return [f"{parts.typed(one.what or one.instance_id, 150)}{amount}: {_stands(one)}. {meaning(one)}", *waits, *until]


def meaning(one: InstanceLine) -> str:
    """Return what its standing means: of a request in its own words, of another workflow its status's."""
    return one.meaning or status_message(one.status)
