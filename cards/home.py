"""The App Home: what waits for me, and what I asked for, each in pages. Built for one person."""

from approvals.values import Value
from cards import parts
from cards.lines import line
from cards.paging import PageTarget, page_buttons
from cards.surface import Block, View
from cards.values import LinePage

MOST_HOME_LINES = 20
NOTHING_WAITS = (
    "Nothing waits for you. A request that needs your yes is listed here and posted in the approval channel."
)
NOTHING_ASKED = "You have asked for nothing yet. What you ask for is listed here, also after it is decided."


class HomeView(Value):
    """One person's requests: what waits for them, the next deadline first, and what they asked for, newest first."""

    waiting: LinePage = LinePage()
    asked: LinePage = LinePage()


def build(view: HomeView) -> View:
    """Return the home tab."""
    blocks = [
        *_part("Waits for you", "waiting", view.waiting, NOTHING_WAITS),
        parts.divider(),
        *_part("You asked for", "mine", view.asked, NOTHING_ASKED),
        parts.context(parts.plain("/approval help shows what you can type anywhere.", 200)),
    ]
    return View(type="home", blocks=tuple(blocks))


def unavailable(sentence: str) -> View:
    """Return the home tab that says why nothing can be looked up, and what to do next."""
    return View(type="home", blocks=(parts.sentence(sentence),))


def _part(title: str, name: str, page: LinePage, nothing: str) -> list[Block]:
    if not page.lines:
        return [parts.header(title), parts.sentence(nothing)]
    before = PageTarget(verb="home", argument=name, cursor=page.previous) if page.previous else None
    after = PageTarget(verb="home", argument=name, cursor=page.following) if page.following else None
    shown = [line(one) for one in page.lines[:MOST_HOME_LINES]]
    return [parts.header(f"{title} ({page.place})"), *shown, *page_buttons(before, after, name)]
