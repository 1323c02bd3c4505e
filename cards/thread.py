"""Replies in a card's thread: reminders, counted approvals, escalations and the end. Only builds, never posts."""

from datetime import timedelta

from approvals.people import Principal
from approvals.values import Moment
from cards import outcome, parts
from cards.card_view import CardView, Paused
from cards.moments import span
from cards.surface import Block, Message


def paused(by: Paused) -> Message:
    """Return the reply when an operator pauses the request."""
    return parts.paragraph(*pause_elements(by))


def pause_elements(by: Paused) -> list[Block]:
    """Return who paused the request and why, as rich text: card and thread say the same."""
    reason = f": {parts.typed(by.reason, 500)}" if by.reason.strip() else ""
    kept = " Decisions are kept and count when it is resumed; the deadline goes on."
    return [parts.words("Paused by "), _operator(by), parts.words(f"{reason}.{kept}")]


def resumed(by: Paused) -> Message:
    """Return the reply when an operator resumes the request."""
    return parts.paragraph(
        parts.words("Resumed by "), _operator(by), parts.words(". Decisions that were kept count now.")
    )


def _operator(by: Paused) -> Block:
    if by.by or by.by_name:
        return parts.person(by.by, by.by_name)
    return parts.words("an operator")


def reminder(
    view: CardView, number: int, waits_for: tuple[Principal, ...] = (), left: timedelta | None = None
) -> Message:
    """Return reminder `number` (from 1). It mentions those who have not answered, so Slack notifies them again.

    `waits_for` are these people, all approvers if empty; `left` is the time until the deadline.
    """
    so_far = f" ({view.so_far})" if view.counted else ""
    return parts.paragraph(
        parts.words(f"Reminder {number}: {view.what_and_amount}{so_far} still waits for "),
        *parts.people(waits_for or view.approvers),
        parts.words(f", {span(left)} left, until " if left else ", until "),
        parts.moment(view.deadline),
        parts.words(". Use the buttons on the card above."),
    )


def counted(view: CardView) -> Message:
    """Return the reply when an approval counts and more are needed."""
    last = view.counted[-1] if view.counted else None
    missing = max(0, view.needed - len(view.counted))
    who = parts.person(last.person.user, last.name) if last else parts.words("Somebody")
    open_seats = " and ".join(parts.typed(seat.name, 60) for seat in view.filled if len(seat.by) < seat.needed)
    more = f"{missing} more needed{f', for {open_seats}' if open_seats else ''}."
    rest = parts.words(f" approved: {len(view.counted)} of {view.needed}, {more}")
    return parts.paragraph(who, rest, *_comment(last.reason if last else ""))


def advanced(view: CardView) -> Message:
    """Return the reply when a stage is approved and the next one is asked, with its approvers."""
    text = f"{view.place.capitalize()} is approved. {view.what_and_amount} now waits for the next stage."
    return parts.paragraph(parts.words(text), *outcome.decisions(view, view.counted))


def escalated(view: CardView, to: tuple[Principal, ...], deadline: Moment) -> Message:
    """Return the reply to an escalation. It mentions the people who may decide now."""
    return parts.paragraph(
        parts.words(f"Nobody has decided on {view.what_and_amount} yet, so now "),
        *parts.people(to),
        parts.words(" may decide as well, until "),
        parts.moment(deadline),
        parts.words("."),
    )


def ended(view: CardView) -> Message:
    """Return the reply at a request's end: how, by whom and why."""
    return parts.paragraph(*end_elements(view))


def end_elements(view: CardView) -> list[Block]:
    """Return how a request ended, as rich text: the thread and the requester are told the same."""
    return [parts.words(f"{view.what_and_amount}: "), *outcome.ended(view)]


def _comment(reason: str) -> list[Block]:
    return [parts.words(f"\nReason: {parts.typed(reason, 1000)}")] if reason.strip() else []
