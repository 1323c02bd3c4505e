"""Private messages: to the requester, and to the person who clicked. Only builds them."""

from cards import parts
from cards.card_view import CardView
from cards.surface import Message, View
from cards.text import one_line
from cards.thread import end_elements

UNDECIDED = (
    "Your decision is recorded and safe, but the workflow has not answered for it yet. "
    "You need not click again: the card changes, and you are told, as soon as it has."
)
SORRY = (
    "Something went wrong on our side, so this may not have been recorded. Please try again in a minute: a decision "
    "counts once, however often it is sent. If it stays so, give your operator this number: {correlation_id}."
)


def asked(view: CardView, card_link: str | None = None) -> Message:
    """Return the direct message by which a requester learns who was asked, and until when."""
    return parts.paragraph(
        parts.words(f"Your request {view.what_and_amount} now waits for "),
        *parts.people(view.approvers),
        parts.words(", until "),
        parts.moment(view.deadline),
        parts.words(". You will be told how it ends."),
        *parts.link(card_link, "Open the card"),
    )


def ended(view: CardView, card_link: str | None = None) -> Message:
    """Return the direct message by which a requester learns how it ended, by whom, why, and what to do next."""
    return parts.paragraph(parts.words("Your request "), *end_elements(view), *parts.link(card_link, "Open the card"))


def advanced(view: CardView) -> Message:
    """Return the direct message by which a requester learns that a stage is approved and another one follows."""
    text = f"Your request {view.what_and_amount}: {view.place} is approved, the next stage is asked now."
    return parts.paragraph(parts.words(text))


def sentence(text: str) -> Message:
    """Return a private message to the person who acted. Markup in it is shown as typed."""
    shown = one_line(text)
    return Message(text=parts.fallback(shown), blocks=(parts.sentence(shown),))


def not_counted(text: str) -> View:
    """Return the modal that says why a click does not count: it opens where the person looks, unlike a message."""
    return View(title="Not counted", close="Close", blocks=(parts.sentence(one_line(text)),))


def not_withdrawn(text: str) -> View:
    """Return the modal that says why a withdrawal does not count."""
    return View(title="Not withdrawn", close="Close", blocks=(parts.sentence(one_line(text)),))


def recorded(name: str) -> Message:
    """Return what a person is told whose decision is durable and not yet answered for by the workflow."""
    return sentence(f"{name}{UNDECIDED}")


def kept_while_paused(name: str) -> Message:
    """Return the message to a person whose decision counts when the paused request is resumed."""
    return sentence(
        f"{name}Your decision is recorded and safe. An operator has paused this request: the decision counts as soon "
        "as it is resumed, and you need not click again."
    )


def went_wrong(correlation_id: str) -> Message:
    """Return the last resort's message, with the number by which the log line is found."""
    return sentence(SORRY.format(correlation_id=parts.typed(correlation_id, 80)))
