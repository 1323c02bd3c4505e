"""The modal with everything about a request: opened empty within the 3 s of a trigger_id, filled by views.update."""

from approvals.decision import Approval
from approvals.request import Stage
from approvals.values import Value
from cards import parts
from cards.moments import in_utc, span
from cards.request_card import CardView, end_sentence
from cards.surface import BLOCKS_PER_VIEW, Block, View
from cards.values import HistoryLine

CALLBACK = "approval_details_view"
TITLE = "Request details"
MOST_DETAILS, MOST_STAGES, MOST_APPROVALS, MOST_HISTORY = 20, 8, 12, 25


class DetailsView(Value):
    """The card's value and its time line, oldest first."""

    card: CardView
    history: tuple[HistoryLine, ...] = ()


def loading(instance_id: str) -> View:
    """Return the modal while its content is looked up."""
    return _view((parts.sentence(f"Looking up {parts.typed(instance_id, 200)}…"),))


def failed(sentence: str) -> View:
    """Return the modal that says why nothing can be shown, and what to do next."""
    return _view((parts.sentence(sentence),))


def build(view: DetailsView) -> View:
    """Return the whole request: what, why, who, what happened, and what a decision is bound to."""
    card = view.card
    blocks = [
        parts.header(", ".join(filter(None, (card.what, card.amount)))),
        parts.rich(parts.words(end_sentence(card))),
        *_request(card),
        *_route(card),
        *_approvals(card.approvals),
        *history_blocks(view.history[-MOST_HISTORY:], left_out=max(0, len(view.history) - MOST_HISTORY)),
        *_binding(card),
    ]
    return _view(tuple(blocks[:BLOCKS_PER_VIEW]))


def history_blocks(lines: tuple[HistoryLine, ...], left_out: int = 0) -> list[Block]:
    """Return a time line, oldest first, each with its moment in the reader's own time zone."""
    if not lines:
        return []
    older = f" (the newest; {left_out} older ones: /approval history)" if left_out else ""
    return [parts.rich(parts.words("What happened", bold=True), parts.words(older or " ")), *map(_history_line, lines)]


def _history_line(line: HistoryLine) -> Block:
    who = [parts.words(" by "), parts.person(line.by, line.by_name)] if line.by or line.by_name else []
    text = [parts.words(f": {parts.typed(line.text, 600)}")] if line.text.strip() else []
    return parts.rich(parts.moment(line.at), parts.words(f"  {parts.typed(line.what, 60)}"), *who, *text)


def _request(card: CardView) -> list[Block]:
    blocks = [_fact("Asked by", card.requester), _fact("Requester as given", parts.typed(card.request.requester, 254))]
    if card.request.description.strip():
        blocks.append(parts.quote(card.request.description, 2900, lines=60))
    given = list(card.request.details.items())
    blocks += [_fact(name, value) for name, value in given[:MOST_DETAILS]]
    more = len(given) - MOST_DETAILS
    return [*blocks, *([parts.sentence(f"{more} more fields are not shown here.")] if more > 0 else [])]


def _route(card: CardView) -> list[Block]:
    stages = card.route.stages
    blocks = [_fact("Rule", card.route.rule), _fact("Why", card.route.why)]
    blocks += [_stage(number, stage) for number, stage in enumerate(stages[:MOST_STAGES], 1)]
    more = len(stages) - MOST_STAGES
    blocks += [parts.sentence(f"{more} more stages follow.")] if more > 0 else []
    blocks.append(parts.rich(parts.words("Deadline: ", bold=True), parts.moment(card.deadline)))
    return blocks


def _stage(number: int, stage: Stage) -> Block:
    times = f", {stage.needed} needed, within {span(stage.within)}"
    reminders = f", reminders after {', '.join(span(one) for one in stage.remind[:5])}" if stage.remind else ""
    return parts.rich(
        parts.words(f"Stage {number}: ", bold=True), *parts.people(stage.approvers, 10), parts.words(times + reminders)
    )


def _approvals(approvals: tuple[Approval, ...]) -> list[Block]:
    shown = [_approval(one) for one in approvals[-MOST_APPROVALS:]]
    title = parts.rich(parts.words(f"Decisions that count: {len(approvals)}", bold=True))
    return [title, *shown]


def _approval(one: Approval) -> Block:
    verb = " approved" if one.approved else " rejected"
    reason = f": {parts.typed(one.reason, 600)}" if one.reason.strip() else ""
    return parts.rich(
        parts.person(one.person.user, one.name),
        parts.words(f"{verb} stage {one.stage + 1} through {one.through}{reason} "),
        parts.moment(one.at),
    )


def _binding(card: CardView) -> list[Block]:
    binding = card.binding
    return [
        parts.divider(),
        _fact("Instance", binding.instance_id),
        _fact("Run, stage, round", f"{in_utc(binding.run)}, {binding.stage + 1}, {binding.round}"),
        _fact("Policy version", card.route.policy_version),
        _fact("Digest", binding.digest),
    ]


def _fact(name: str, value: str) -> Block:
    return parts.rich(parts.words(f"{parts.typed(name, 80)}: ", bold=True), parts.words(parts.typed(value, 1500)))


def _view(blocks: tuple[Block, ...]) -> View:
    return View(title=TITLE, close="Close", callback_id=CALLBACK, blocks=blocks)
