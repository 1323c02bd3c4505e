"""Slack's blocks as plain values for a template: the card's preview. Nothing becomes markup here: templates escape."""

import html
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal

from approvals.values import Value
from cards.surface import Block

TOKEN = re.compile(r"<([^<>]{1,1200})>")
BOLD = re.compile(r"\*([^*\n]{1,300})\*")


class Run(Value):
    """A piece of text, and how it looks. `moment` is ISO 8601 if it is a date."""

    text: str
    kind: Literal["text", "bold", "mention", "date", "link"] = "text"
    moment: str = ""
    href: str = ""


class CardPart(Value):
    """One block: its lines, each of runs; `buttons` are labels only, for a preview decides nothing."""

    kind: Literal["header", "text", "fields", "quote", "code", "buttons", "context", "divider"]
    lines: tuple[tuple[Run, ...], ...] = ()
    buttons: tuple[str, ...] = ()


def preview(blocks: Iterable[Block], names: Mapping[str, str]) -> tuple[CardPart, ...]:
    """Return the blocks of a message as parts. `names` are of people and groups by `user:…` and `group:…`."""
    return tuple(part for block in blocks for part in _parts(block, names))


def mentioned(blocks: Iterable[Block]) -> tuple[str, ...]:
    """Return whom the blocks mention, as `user:…` and `group:…`."""
    found: list[str] = []
    for run in (run for part in preview(blocks, {}) for line in part.lines for run in line):
        found += [run.text] if run.kind == "mention" else []
    return tuple(dict.fromkeys(found))


def _parts(block: Block, names: Mapping[str, str]) -> list[CardPart]:  # noqa: PLR0911 one for each kind of block
    match block["type"]:
        case "header":
            return [CardPart(kind="header", lines=((Run(text=block["text"]["text"]),),))]
        case "section":
            found = [CardPart(kind="text", lines=_lines(block["text"], names))] if "text" in block else []
            fields = tuple(line for each in block.get("fields", ()) for line in (_field(each, names),))
            return found + ([CardPart(kind="fields", lines=fields)] if fields else [])
        case "rich_text":
            return [_rich(element, names) for element in block["elements"]]
        case "context":
            return [CardPart(kind="context", lines=tuple(_flat(each, names) for each in block["elements"]))]
        case "actions":
            return [
                CardPart(
                    kind="buttons",
                    buttons=tuple(map(_label, block["elements"])),
                )
            ]
        case "divider":
            return [CardPart(kind="divider")]
        case _:
            return []


KINDS: dict[str, Literal["quote", "code"]] = {"rich_text_quote": "quote", "rich_text_preformatted": "code"}


def _rich(element: Block, names: Mapping[str, str]) -> CardPart:
    runs = tuple(_run(each, names) for each in element.get("elements", ()))
    return CardPart(kind=KINDS.get(element["type"], "text"), lines=(runs,))


def _run(element: Block, names: Mapping[str, str]) -> Run:
    match element:
        case {"type": "user", "user_id": user}:
            return _mention(f"user:{user}", names)
        case {"type": "usergroup", "usergroup_id": group}:
            return _mention(f"group:{group}", names)
        case {"type": "date", "timestamp": stamp}:
            return _date(int(stamp), str(element.get("fallback", "")))
        case {"type": "link", "url": url}:
            return Run(text=str(element.get("text") or url), kind="link", href=str(url))
        case _:
            bold = bool(element.get("style", {}).get("bold"))
            return Run(text=str(element.get("text", "")), kind="bold" if bold else "text")


def _field(text: Block, names: Mapping[str, str]) -> tuple[Run, ...]:
    lines = _lines(text, names)
    label = Run(text="".join(run.text for run in lines[0]), kind="bold")
    rest = tuple(run for line in lines[1:] for run in line)
    return (label, *rest)


def _flat(text: Block, names: Mapping[str, str]) -> tuple[Run, ...]:
    return tuple(run for line in _lines(text, names) for run in line)


def _lines(text: Block, names: Mapping[str, str]) -> tuple[tuple[Run, ...], ...]:
    if text["type"] == "plain_text":
        return tuple((Run(text=line),) for line in str(text["text"]).split("\n"))
    return tuple(tuple(_marked(line, names)) for line in str(text["text"]).split("\n"))


def _marked(line: str, names: Mapping[str, str]) -> list[Run]:
    """Read a line of mrkdwn as far as our own cards use it: mentions, dates, bold; the rest is text."""
    found: list[Run] = []
    end = 0
    for token in TOKEN.finditer(line):
        found += [*_words(line[end : token.start()]), _token(token[1], names)]
        end = token.end()
    return found + _words(line[end:])


def _words(text: str) -> list[Run]:
    found: list[Run] = []
    end = 0
    for bold in BOLD.finditer(text):
        found += [Run(text=html.unescape(text[end : bold.start()])), Run(text=html.unescape(bold[1]), kind="bold")]
        end = bold.end()
    return [run for run in (*found, Run(text=html.unescape(text[end:]))) if run.text]


def _token(token: str, names: Mapping[str, str]) -> Run:
    body, _, label = token.partition("|")
    match body[:1], body:
        case "@", _:
            return _mention(f"user:{body[1:]}", names)
        case "!", _ if body.startswith("!subteam^"):
            return _mention(f"group:{body.removeprefix('!subteam^')}", names)
        case "!", _ if body.startswith("!date^") and body.split("^")[1].isdecimal():
            return _date(int(body.split("^")[1]), html.unescape(label))
        case _ if body.startswith("https://"):
            return Run(text=html.unescape(label or body), kind="link", href=html.unescape(body))
        case _:
            return Run(text=html.unescape(label or body))


def _mention(name: str, names: Mapping[str, str]) -> Run:
    shown = names.get(name, name)
    return Run(text=shown if not names or shown.startswith("@") else f"@{shown}", kind="mention")


def _date(stamp: int, fallback: str) -> Run:
    return Run(text=fallback, kind="date", moment=f"{datetime.fromtimestamp(stamp, UTC):%Y-%m-%dT%H:%M:%S}Z")


def _label(element: Block) -> str:
    """Return a button's words; of a menu, which shows none, the words of what it opens."""
    if element["type"] == "overflow":
        return f"⋯ {', '.join(option['text']['text'] for option in element['options'])}"
    return str(element.get("text", {}).get("text", ""))
