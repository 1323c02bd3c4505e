"""The page of all messages and forms in Slack, from the examples that the tests hold against Slack's limits."""

from collections.abc import Iterable

from bot.dashboard.blocks import CardPart, preview
from cards.surface import Block
from tests.cards import gallery
from tools.docs import tables

ABOUT = """The words of each message, form and card in Slack, with an example's names and moments. The dashboard shows
the same cards; REST and the command line give the same [reasons](reasons.md)."""

NAMES = {
    "user:U0MANAGER": "Manager", "user:U0MANAGER2": "Manager 2", "user:U0REQUESTER": "Requester",
    "user:U0OPERATOR": "Operator", "user:U0VP": "VP", "group:S0MANAGERS": "managers", "group:S0VPS": "vps",
}  # fmt: skip
"""As Slack shows the people and groups of the examples."""


def page() -> str:
    """Return the page."""
    messages = [_section(name, each.blocks) for name, each in gallery.messages().items()]
    views = [_section(name, each.blocks, each.title, each.submit) for name, each in gallery.views().items()]
    return tables.page(
        "Messages in Slack",
        "`tests/cards/gallery.py`",
        ABOUT,
        "## Messages",
        *messages,
        "## Forms and the Home tab",
        *views,
    )


def _section(name: str, blocks: Iterable[Block], title: str = "", submit: str | None = None) -> str:
    lines = [f"**{title}**"] if title else []
    for block in blocks:
        lines += _field(block) if block["type"] == "input" else [_text(part) for part in preview([block], NAMES)]
    lines += [f"[{submit}]"] if submit else []
    quoted = "\n>\n".join("> " + _plain(line).replace("\n", "\n> ") for line in lines if line.strip())
    return f"### {name[:1].upper()}{name[1:]}\n\n{quoted}"


def _field(block: Block) -> list[str]:
    hint = block.get("hint", {}).get("text", "")
    return [f"{block['label']['text']}: ____ {hint}".rstrip()]


def _text(part: CardPart) -> str:
    if part.kind == "buttons":
        return " ".join(f"[{label}]" for label in part.buttons)
    lines = ["".join(run.text for run in line) for line in part.lines]
    if part.kind == "fields":
        lines = [f"{line[0].text}: {''.join(run.text for run in line[1:])}" for line in part.lines]
    return f"**{lines[0]}**" if part.kind == "header" else "\n".join(lines)


def _plain(text: str) -> str:
    """Keep what the text holds from becoming a link, a list or a tag of the page."""
    return text.replace("<", "&lt;").replace("](", "] (").replace("\n- ", "\n\\- ")
