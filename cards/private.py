"""What one person is told alone: direct messages to the requester, and sentences to whoever clicked. Only builds."""

from cards import parts
from cards.moments import in_utc
from cards.request_card import CardView, end_sentence, rejection_reason
from cards.surface import Block, Message
from cards.text import one_line

UNDECIDED = (
    "Your decision is recorded and safe, but the workflow has not answered for it yet. "
    "You need not click again: the card changes, and you are told, as soon as it has."
)
SORRY = (
    "Something went wrong on our side, and nothing was decided. Please try again in a minute. "
    "If it stays so, give your operator this number: {correlation_id}."
)


def asked(view: CardView, card_link: str | None = None) -> Message:
    """Return the direct message by which a requester learns who was asked, and until when."""
    start = f"Your request {view.what} ({view.amount}) now waits for "
    return _message(
        f"{start}{parts.names_of(view.approvers)}, until {in_utc(view.deadline)}. You will be told how it ends.",
        parts.words(start),
        *parts.people(view.approvers),
        parts.words(", until "),
        parts.moment(view.deadline),
        parts.words(". You will be told how it ends."),
        *parts.link(card_link, "Open the card"),
    )


def ended(view: CardView, card_link: str | None = None) -> Message:
    """Return the direct message by which a requester learns how the request ended, why, and what to do next."""
    start = f"Your request {view.what} ({view.amount}): "
    sentence = f"{end_sentence(view)}{_who(view)}"
    reason = rejection_reason(view) or _ending_reason(view)
    reasons = [parts.words(f"\n{reason}")] if reason else []
    return _message(
        f"{start}{sentence} {reason}",
        parts.words(start),
        parts.words(sentence),
        *reasons,
        *parts.link(card_link, "Open the card"),
    )


def advanced(view: CardView) -> Message:
    """Return the direct message by which a requester learns that a stage is approved and another one follows."""
    text = f"Your request {view.what} ({view.amount}): {view.place} is approved, the next stage is asked now."
    return _message(text, parts.words(text))


def sentence(text: str) -> Message:
    """Return a private sentence, to whoever clicked or typed. It may hold anything: it is shown as it is."""
    shown = one_line(text)
    return Message(text=parts.fallback(shown), blocks=(parts.sentence(shown),))


def recorded() -> Message:
    """Return what a person is told whose decision is durable and not yet answered for by the workflow."""
    return sentence(UNDECIDED)


def went_wrong(correlation_id: str) -> Message:
    """Return the last resort's sentence, with the number by which the log line is found."""
    return sentence(SORRY.format(correlation_id=parts.typed(correlation_id, 80)))


def _who(view: CardView) -> str:
    last = view.outcome.by[-1] if view.outcome and view.outcome.by and view.standing != "timed_out" else None
    name = last.name or last.person.user if last else view.ending.by_name if view.ending else ""
    return f" By {parts.typed(name)}." if name else ""


def _ending_reason(view: CardView) -> str:
    reason = view.ending.reason.strip() if view.ending else ""
    return f"Reason: {parts.typed(reason, 600)}" if reason else ""


def _message(text: str, *elements: Block) -> Message:
    return Message(text=parts.fallback(text), blocks=(parts.rich(*elements),))
