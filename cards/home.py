"""The App Home: what waits for me, and what I asked for. Built for one person; only links can be clicked."""

from approvals.values import Value
from cards import parts
from cards.lines import line
from cards.surface import Block, View
from cards.values import InstanceLine

MOST_LINES = 20
NOTHING_WAITS = "Nothing waits for you. When somebody needs your yes, it stands here and in the approval channel."
NOTHING_ASKED = "You have asked for nothing yet. What you ask for stands here until it is decided, and after."


class HomeView(Value):
    """One person's requests, the most urgent first. The totals count those that are not shown as well."""

    waiting: tuple[InstanceLine, ...] = ()
    asked: tuple[InstanceLine, ...] = ()
    waiting_total: int = 0
    asked_total: int = 0


def build(view: HomeView) -> View:
    """Return the home tab."""
    blocks = [
        *_part("Waits for you", view.waiting, view.waiting_total, NOTHING_WAITS),
        parts.divider(),
        *_part("You asked for", view.asked, view.asked_total, NOTHING_ASKED),
        parts.context(parts.plain("/approval help shows what you can type anywhere.", 200)),
    ]
    return View(type="home", blocks=tuple(blocks))


def unavailable(sentence: str) -> View:
    """Return the home tab where nothing can be looked up, with why and what to do next."""
    return View(type="home", blocks=(parts.sentence(sentence),))


def _part(title: str, lines: tuple[InstanceLine, ...], total: int, nothing: str) -> list[Block]:
    if not lines:
        return [parts.header(title), parts.sentence(nothing)]
    more = max(total, len(lines)) - len(lines[:MOST_LINES])
    rest = [parts.sentence(f"{more} more: /approval list shows them all.")] if more > 0 else []
    return [parts.header(title), *(line(one) for one in lines[:MOST_LINES]), *rest]
