"""From the machine's effects to rows of notifications. Pure; sends nothing.

The same effect of the same state always gives the same ids, so that a step which runs twice tells nobody twice.
"""

from typing import Literal

from activities.recording import phase_of, shown_of
from approvals.decision import Reason, Withdrawal
from approvals.machine import Announce, Answer, Remind, State
from approvals.request import CardRef
from approvals.values import Moment, Value
from records.notifications import Kind, Notification

What = Literal[
    "counted",
    "advanced",
    "escalated",
    "approved",
    "rejected",
    "timed_out",
    "withdrawn",
    "terminated",
    "vanished",
    "failed",
    "stopped",
    "reminder",
    "answer",
    "paused",
    "resumed",
]
Stopped = Literal["terminated", "vanished", "failed", "stopped"]
ENDS = frozenset({"approved", "rejected", "timed_out", "withdrawn"})
STOPPED: frozenset[Stopped] = frozenset({"terminated", "vanished", "failed", "stopped"})
QUIET = frozenset({Reason.ALLOWED, Reason.DUPLICATE})
"""No private reply for these: the card, or the first reply, already shows the result."""


class Telling(Value):
    """A notification's content and its moment: the request may have gone on when it is sent."""

    what: What
    run: Moment
    stage: int = 0
    round: int = 0
    approvals: int = 0
    asked_at: Moment | None = None
    user: str = ""
    reason: Reason | None = None
    decision_id: str = ""
    withdrawal: bool = False
    number: int = 0

    def as_of(self, state: State) -> State:
        """Return the request as it stood then."""
        over = self.what in ENDS
        return state.model_copy(
            update={
                "stage": self.stage,
                "round": self.round,
                "approvals": state.approvals[: self.approvals],
                "asked_at": self.asked_at,
                "outcome": state.outcome if over else None,
            }
        )


def notifications_of(state: State, effect: Announce | Remind | Answer) -> tuple[Notification, ...]:
    """Return whom the effect tells what. A thread reply needs a card to stand under."""
    if isinstance(effect, Answer):
        return _answer(state, effect)
    if isinstance(effect, Remind):
        telling = _telling(state, "reminder").model_copy(update={"number": effect.number})
        place = f"{state.stage}/{effect.number}"
        return (_row(state, "reminder", place, telling),) if card_of(state.cards, state.stage) else ()
    if effect.what == "taken_back":
        return (card_row(state),) if state.cards else ()
    telling = _telling(state, effect.what)
    if effect.what == "advanced":  # that is said under the card of the stage before
        telling = telling.model_copy(update={"stage": state.stage - 1, "round": 0})
    place = f"{effect.what}/{telling.stage}/{state.round}/{len(state.approvals)}"
    rows = [card_row(state)] if state.cards else []
    if card_of(state.cards, telling.stage):
        rows.append(_row(state, "thread", place, telling))
    if effect.what in ENDS and state.requester is not None:
        rows.append(_row(state, "requester", place, _to(telling, state.requester.user)))
    return tuple(rows)


def stopped_of(state: State, what: Stopped) -> tuple[Notification, ...]:
    """Return whom an end tells what that the workflow cannot tell itself: it was terminated, or it vanished."""
    if not state.cards:
        return ()
    telling = _telling(state, what)
    rows = [card_row(state, what), _row(state, "thread", what, telling)]
    if state.requester is not None:
        rows.append(_row(state, "requester", what, _to(telling, state.requester.user)))
    return tuple(rows)


PAUSED = "/paused"


def wanted_while(wanted: str, *, paused: bool) -> str:
    """Return what the card has to show: the same as before, with or without the pause."""
    plain = wanted.removesuffix(PAUSED)
    return f"{plain}{PAUSED}" if paused and plain else plain


def pause_of(state: State, what: Literal["paused", "resumed"], at: Moment) -> tuple[Notification, ...]:
    """Return whom a pause or its end tells what. Each pause is told: `at` tells one from the next."""
    if card_of(state.cards, state.stage) is None:
        return ()
    place = f"{what}/{at.isoformat()}"
    return card_row(state, place), _row(state, "thread", place, _telling(state, what))


def owed_by(state: State, wanted: str) -> tuple[Notification, ...]:
    """Return the notifications that an end needs, however it was noted. `wanted` is the code the card must show."""
    stopped = next((each for each in STOPPED if each == wanted), None)
    if stopped is not None:
        return stopped_of(state, stopped)
    if state.outcome is not None and phase_of(state) in ENDS:
        return notifications_of(state, Announce.model_validate({"what": phase_of(state)}))
    return ()


def card_row(state: State, shown: str = "") -> Notification:
    """Return the notification that rewrites the request's cards."""
    return Notification(id=_id(state, f"{shown or shown_of(state)}/card"), instance_id=state.instance_id, kind="card")


def card_of(cards: tuple[CardRef, ...], stage: int) -> CardRef | None:
    """Return where a stage's card stands, None while Slack has not taken it."""
    card = cards[stage] if len(cards) > stage else None
    return card if card is not None and card.ts else None


def _answer(state: State, told: Answer) -> tuple[Notification, ...]:
    decision, reason = told.decision, told.verdict.reason
    if reason in QUIET or decision.through != "slack":
        return ()
    telling = _to(_telling(state, "answer"), decision.person.user)
    told_as = {"reason": reason, "decision_id": decision.id, "withdrawal": isinstance(decision, Withdrawal)}
    telling = telling.model_copy(update=told_as)
    return (_row(state, "answer", decision.id, telling),)


def _telling(state: State, what: What) -> Telling:
    return Telling(
        what=what,
        run=state.run,
        stage=state.stage,
        round=state.round,
        approvals=len(state.approvals),
        asked_at=state.asked_at,
    )


def _to(telling: Telling, user: str) -> Telling:
    return telling.model_copy(update={"user": user})


def _row(state: State, kind: Kind, place: str, telling: Telling) -> Notification:
    content = telling.model_dump(mode="json", exclude_defaults=True)
    return Notification(id=_id(state, f"{place}/{kind}"), instance_id=state.instance_id, kind=kind, content=content)


def _id(state: State, place: str) -> str:
    return f"{state.instance_id}/{state.run.isoformat()}/{place}"
