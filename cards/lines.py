"""One workflow instance in words: its status as a sentence, and the blocks that lists, status and App Home share."""

from approvals.statuses import STATUSES
from cards import parts
from cards.moments import in_utc
from cards.surface import Block
from cards.values import InstanceLine


def line(one: InstanceLine) -> Block:
    """Return an instance as one paragraph: id, status, what, whom it waits for, until when, and a link to its card."""
    elements = [parts.words(parts.typed(one.instance_id, 150), code=True), parts.words(f"  {one.status}", bold=True)]
    about = ", ".join(parts.typed(text, 120) for text in (one.what, one.money) if text)
    stage = f", stage {parts.typed(one.stage, 20)}" if one.stage else ""
    elements += [parts.words(f"  {about}{stage}")] if about or stage else []
    if one.requester:
        elements.append(parts.words(f", asked by {parts.typed(one.requester)}"))
    return parts.rich(*elements, *_waiting(one), *parts.link(one.card_link, "Open the card"))


def _waiting(one: InstanceLine) -> list[Block]:
    elements: list[Block] = []
    if one.waiting_on:
        elements += [parts.words("\nwaits for "), *parts.people(one.waiting_on, 5)]
    if one.deadline:
        elements += [parts.words(" until " if elements else "\nuntil "), parts.moment(one.deadline)]
    elif one.since:
        elements += [parts.words(" since " if elements else "\nsince "), parts.moment(one.since)]
    return elements


def in_words(one: InstanceLine) -> list[str | Block]:
    """Return an instance as sentences, for fallback texts."""
    waits: list[str | Block] = [" It waits for ", *parts.people(one.waiting_on, 5), "."] if one.waiting_on else []
    until = [f" Deadline: {in_utc(one.deadline)}."] if one.deadline else []
    return [f"{parts.typed(one.instance_id, 150)} is {one.status}. {STATUSES[one.status]}", *waits, *until]
