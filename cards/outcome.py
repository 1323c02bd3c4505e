"""The course of a request in rich text: who decided, in which stage, when and why, and the end.

The card, its thread, the requester's message and the details say the same. Built from a CardView, posted elsewhere.
"""

from collections.abc import Callable

from approvals.decision import Approval
from cards import parts
from cards.card_view import CardView, Standing
from cards.surface import Block

MOST_NAMED = 12
ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth"}
ASK_AGAIN = "If it is still wanted, ask for it again."


def decisions(view: CardView, approvals: tuple[Approval, ...]) -> list[Block]:
    """Return each decision as a line: stage, person, moment and reason. The first one begins with a line's end."""
    elements: list[Block] = []
    for one in approvals[:MOST_NAMED]:
        stage = f"Stage {one.stage + 1}: " if len(view.route.stages) > 1 else ""
        elements += [parts.words(f"\n{stage}"), *decision(one), *_card_of(view, one.stage)]
    more = len(approvals) - MOST_NAMED
    return [*elements, *([parts.words(f"\n{more} more stand in the details.")] if more > 0 else [])]


def decision(one: Approval) -> list[Block]:
    """Return `@Manager approved, 5 January at 14:00: “Good price”`."""
    verb = " approved, " if one.approved else " rejected, "
    reason = [parts.words(f": “{parts.typed(one.reason, 500)}”")] if one.reason.strip() else []
    return [parts.person(one.person.user, one.name), parts.words(verb), parts.moment(one.at), *reason]


def _card_of(view: CardView, stage: int) -> list[Block]:
    known = view.links[stage] if stage < len(view.links) and stage != view.binding.stage else ""
    return parts.link(known, "Open its card")


def earlier(view: CardView) -> list[Block]:
    """Return who approved the stages before this card's, as one block; nothing in a first stage."""
    before = tuple(one for one in view.approvals if one.approved and one.stage < view.binding.stage)
    return [parts.rich(parts.words("Approved so far", bold=True), *decisions(view, before))] if before else []


def ended(view: CardView) -> list[Block]:
    """Return how it ended, by whom and why, as rich text elements; for one that is not over, where it stands."""
    told = _ENDS.get(view.standing)
    if told is not None:
        return told(view)
    if view.standing == "advanced":
        stage = f"{view.place.capitalize()} is approved; the next stage has a card of its own."
        return [parts.words(stage), *decisions(view, view.counted)]
    if view.standing == "escalated":
        return [parts.words("Nobody decided in time, so more people were asked. Please use the newer card.")]
    return [parts.words("It waits for a decision.")]


def _approved(view: CardView) -> list[Block]:
    outcome = view.outcome
    if outcome is None or not outcome.by:
        rule = parts.typed(outcome.rule if outcome else "", 60)
        return [parts.words(f"Approved by rule {rule}: nobody has to be asked.")]
    if len(outcome.by) == 1:
        return [parts.words("Approved. "), *decision(outcome.by[0])]
    return [parts.words(f"Approved by {len(outcome.by)} people."), *decisions(view, outcome.by)]


def _rejected(view: CardView) -> list[Block]:
    outcome = view.outcome
    if outcome is None or not outcome.by:
        why = view.outcome_sentence or f"It could not be asked for ({outcome.reason if outcome else 'unknown'})."
        return [parts.words(f"Rejected by the rules, not by a person. {parts.typed(why, 400)}")]
    last, before = outcome.by[-1], outcome.by[:-1]
    return [parts.words("Rejected. "), *decision(last), *decisions(view, before)]


def _timed_out(view: CardView) -> list[Block]:
    """Tell apart that nobody answered, and that some did and too few: neither is a no."""
    stage, needed = _open_stage(view)
    outcome = view.outcome
    given = tuple(one for one in (outcome.by if outcome else ()) if one.approved)
    here = [one for one in given if one.stage == stage]
    until = parts.moment(outcome.at if outcome else view.deadline)
    place = f" in stage {stage + 1}" if stage else ""
    if here:
        who = _names(here)
        missing = "the others" if needed - len(here) > 1 else f"the {ORDINALS.get(needed, 'last')}"
        told = [
            parts.words(f"{len(here)} of {needed} approved{place} ("),
            *who,
            parts.words(f"); {missing} did not answer by "),
        ]
    else:
        told = [parts.words(f"Nobody answered{place} by ")]
    rest = [parts.words(f". This is not a no. {ASK_AGAIN}")]
    return [*told, until, *rest, *(decisions(view, given) if given else [])]


def _withdrawn(view: CardView) -> list[Block]:
    outcome = view.outcome
    reason = f": “{parts.typed(outcome.reason, 500)}”." if outcome and outcome.reason else "."
    told = [parts.words("Withdrawn by its requester, "), parts.moment(outcome.at if outcome else view.deadline)]
    return [*told, parts.words(f"{reason} {ASK_AGAIN}"), *decisions(view, view.approvals)]


def _names(given: list[Approval]) -> list[Block]:
    elements: list[Block] = []
    for index, one in enumerate(given[:5]):
        elements += [parts.words(", ")] if index else []
        elements.append(parts.person(one.person.user, one.name))
    return elements


def _open_stage(view: CardView) -> tuple[int, int]:
    stages = view.route.stages
    for number, stage in enumerate(stages):
        yeses = sum(one.approved and one.stage == number for one in view.approvals)
        if yeses < stage.needed:
            return number, stage.needed
    return max(0, len(stages) - 1), stages[-1].needed if stages else 1


def _stopped(view: CardView) -> list[Block]:
    ending = view.ending
    if view.standing in _WITHOUT_PERSON:
        return [parts.words(f"{_WITHOUT_PERSON[view.standing]} {ASK_AGAIN}")]
    who = parts.person(ending.by, ending.by_name) if ending and (ending.by or ending.by_name) else None
    by = [who] if who else [parts.words("An operator")]
    reason = f": “{parts.typed(ending.reason, 500)}”." if ending and ending.reason.strip() else "."
    when = [parts.words(", "), parts.moment(ending.at)] if ending and ending.at else []
    told = [
        *by,
        parts.words(" stopped this request before it was decided"),
        *when,
        parts.words(f"{reason} {ASK_AGAIN}"),
    ]
    return [*told, *decisions(view, view.approvals)]


_WITHOUT_PERSON: dict[Standing, str] = {
    "vanished": "The workflow behind this request no longer exists, so nothing can be decided here.",
    "failed": (
        "The workflow behind this request broke off with an error, so nothing can be decided here. "
        "The operators see why, and can run it again."
    ),
    "stopped": "This request was stopped outside Countersign before its end.",
}
"""Ends shown without a person: who caused them is not known here."""

_ENDS: dict[Standing, Callable[[CardView], list[Block]]] = {
    "approved": _approved,
    "rejected": _rejected,
    "timed_out": _timed_out,
    "withdrawn": _withdrawn,
    "terminated": _stopped,
    "vanished": _stopped,
    "failed": _stopped,
    "stopped": _stopped,
}
