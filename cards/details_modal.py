"""The modal with everything about a request: opened empty within the 3 s of a trigger_id, filled by views.update."""

from approvals.request import LONGEST_DETAIL, Stage
from approvals.values import Value
from cards import outcome, parts
from cards.card_view import CardView
from cards.moments import span
from cards.surface import BLOCKS_PER_VIEW, Block, View
from cards.text import clean, cut
from cards.values import HistoryLine

CALLBACK = "approval_details_view"
TITLE = "Request details"
MOST_DETAILS, MOST_STAGES, MOST_HISTORY = 20, 8, 25


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
    """Return the whole request: what, where it stands, who asked, why these people, and what happened."""
    card = view.card
    blocks = [
        parts.header(", ".join(filter(None, (card.what, card.amount)))),
        *_stands(card),
        *_request(card),
        *_route(card),
        *history_blocks(view.history[-MOST_HISTORY:], left_out=max(0, len(view.history) - MOST_HISTORY)),
        parts.context(parts.plain(f"For an operator: {card.binding.instance_id}", 300)),
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
    return parts.rich(parts.moment_with_seconds(line.at), parts.words(f"  {parts.typed(line.what, 60)}"), *who, *text)


def _request(card: CardView) -> list[Block]:
    given_as = parts.typed(card.request.requester, 254)
    name = parts.person(card.requester_user, card.requester)
    blocks = [parts.rich(parts.words("Asked by: ", bold=True), name, parts.words(f" ({given_as})"))]
    if card.request.description.strip():
        blocks.append(parts.quote(card.request.description, 2900, lines=60))
    given = card.given
    blocks += [parts.named(name, cut(clean(value), LONGEST_DETAIL)) for name, value in given[:MOST_DETAILS]]
    more = len(given) - MOST_DETAILS
    return [*blocks, *([parts.sentence(f"{more} more fields are not shown here.")] if more > 0 else [])]


def _route(card: CardView) -> list[Block]:
    stages = card.route.stages
    blocks = [_fact("Rule", card.route.rule), _fact("Why", card.route.why)]
    blocks += [_stage(number, stage) for number, stage in enumerate(stages[:MOST_STAGES], 1)]
    more = len(stages) - MOST_STAGES
    blocks += [parts.sentence(f"{more} more stages follow.")] if more > 0 else []
    if card.standing == "waiting":
        blocks.append(parts.rich(parts.words("Deadline: ", bold=True), parts.moment(card.deadline)))
    return blocks


def _stage(number: int, stage: Stage) -> Block:
    times = f", {stage.needed} needed, within {span(stage.within)}"
    reminders = f", reminders after {', '.join(span(one) for one in stage.remind[:5])}" if stage.remind else ""
    return parts.rich(parts.words(f"Stage {number}: ", bold=True), *_who(stage), parts.words(times + reminders))


def _who(stage: Stage) -> list[Block]:
    return parts.deciders((), stage.seats) if stage.seats else parts.people(stage.approvers, 10)


def _stands(card: CardView) -> list[Block]:
    """Return where it stands: how it ended, or who has approved so far."""
    if card.standing != "waiting":
        return [parts.rich(*outcome.ended(card))]
    so_far = f"It waits for a decision: {card.place}, {card.so_far}."
    return [parts.rich(parts.words(so_far), *outcome.decisions(card, card.approvals))]


def _fact(name: str, value: str) -> Block:
    return parts.rich(parts.words(f"{parts.typed(name, 80)}: ", bold=True), parts.words(parts.typed(value, 1500)))


def _view(blocks: tuple[Block, ...]) -> View:
    return View(title=TITLE, close="Close", callback_id=CALLBACK, blocks=blocks)
