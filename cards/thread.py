"""What is said in a card's thread: reminders, counted approvals, escalations and the end. Only builds, never posts."""

from approvals.people import Principal
from approvals.values import Moment
from cards import parts
from cards.moments import in_utc
from cards.request_card import CardView, end_sentence, rejection_reason
from cards.surface import Block, Message


def reminder(view: CardView, number: int) -> Message:
    """Return reminder `number` (from 1) for those who may decide. It mentions them, so Slack notifies them again."""
    start = f"Reminder {number}: {view.what} ({view.amount}) still waits for "
    text = f"{start}{parts.names_of(view.approvers)}, until {in_utc(view.deadline)}. Use the buttons on the card above."
    return _message(
        text,
        parts.words(start),
        *parts.people(view.approvers),
        parts.words(", until "),
        parts.moment(view.deadline),
        parts.words(". Use the buttons on the card above."),
    )


def counted(view: CardView) -> Message:
    """Return what is said when an approval counts and more are needed."""
    last = view.counted[-1] if view.counted else None
    missing = max(0, view.needed - len(view.counted))
    rest = f" approved: {len(view.counted)} of {view.needed}, {missing} more needed."
    who = last.name or last.person.user if last else "Somebody"
    mention = parts.person(last.person.user, last.name) if last else parts.words(who)
    return _message(f"{parts.typed(who)}{rest}", mention, parts.words(rest), *_comment(last.reason if last else ""))


def advanced(view: CardView) -> Message:
    """Return what is said when a stage is approved and the next one is asked."""
    last = view.counted[-1] if view.counted else None
    text = f"{view.place.capitalize()} is approved. {view.what} ({view.amount}) now waits for the next stage."
    return _message(text, parts.words(text), *_comment(last.reason if last else ""))


def escalated(view: CardView, to: tuple[Principal, ...], deadline: Moment) -> Message:
    """Return what is said when nobody decided in time and more people may decide. It mentions them."""
    start = f"Nobody has decided on {view.what} ({view.amount}) yet, so now "
    return _message(
        f"{start}{parts.names_of(to)} may decide as well, until {in_utc(deadline)}.",
        parts.words(start),
        *parts.people(to),
        parts.words(" may decide as well, until "),
        parts.moment(deadline),
        parts.words("."),
    )


def ended(view: CardView) -> Message:
    """Return what is said when the request is over, however it ended."""
    reason = rejection_reason(view)
    actor = _actor(view)
    sentence = end_sentence(view)
    text = f"{view.what} ({view.amount}): {sentence} {reason}"
    return _message(text, parts.words(f"{view.what} ({view.amount}): {sentence}"), *actor, *_quoted(reason))


def _actor(view: CardView) -> list[Block]:
    if view.ending:
        known = view.ending.by or view.ending.by_name
        by = parts.person(view.ending.by, view.ending.by_name)
        return [parts.words(" By "), by, *_comment(view.ending.reason)] if known else []
    last = view.outcome.by[-1] if view.outcome and view.outcome.by and view.standing != "timed_out" else None
    return [parts.words(" By "), parts.person(last.person.user, last.name)] if last else []


def _comment(reason: str) -> list[Block]:
    return _quoted(f"Reason: {parts.typed(reason, 1000)}") if reason.strip() else []


def _quoted(text: str) -> list[Block]:
    return [parts.words(f"\n{text}")] if text else []


def _message(text: str, *elements: Block) -> Message:
    return Message(text=parts.fallback(text), blocks=(parts.rich(*elements),))
