"""The building blocks of Block Kit, each within Slack's limits whatever it is given. Knows nothing of requests.

Typed text goes into plain_text or rich_text, which Slack shows as it is. mrkdwn is for our own words, mentions and
dates only, and is always verbatim: no link, channel or name is made of it (docs/explanation/slack.md#escape-then-cut).
"""

import re
from datetime import datetime
from typing import Any

from approvals.people import EmailAddress, Principal, SlackUser, UserGroup
from approvals.request import Seat
from cards.moments import FORMAT, WITH_SECONDS, in_utc, parted
from cards.surface import Block, Message
from cards.text import NOTHING, clean, cut, escaped, length, one_line

HEADER, SECTION, FIELD, BUTTON, LABEL, TITLE = 150, 3000, 2000, 75, 75, 24
CONFIRM_TITLE, CONFIRM_TEXT, CONFIRM_BUTTON = 100, 300, 30
FALLBACK = 3000
"""Below the 4000 that chat.update takes."""

_USER = re.compile(r"^[UW][A-Z0-9]{1,30}$")
_GROUP = re.compile(r"^S[A-Z0-9]{1,30}$")
_SPACES = re.compile(r"\s+")
_LINK = re.compile(r"^https://[^\s<>|\"]{1,1000}$")


def is_user(name: str | None) -> bool:
    """Tell whether this is a Slack user id: only such a one may become a mention."""
    return bool(name and _USER.match(name))


def is_link(url: str | None) -> bool:
    """Tell whether this may become a link: https, and nothing that ends a link early."""
    return bool(url and _LINK.match(url))


# ---- text objects ------------------------------------------------------------------------------------------


def plain(text: str, most: int) -> Block:
    """Return a one-line plain_text object; emoji codes stay the characters that were typed."""
    return {"type": "plain_text", "text": cut(one_line(text) or NOTHING, most), "emoji": False}


def marked(text: str) -> Block:
    """Return a verbatim mrkdwn object. `text` is our own words, mentions and dates, escaped if it must be."""
    return {"type": "mrkdwn", "text": text or NOTHING, "verbatim": True}


def fallback(*pieces: str | Block) -> str:
    """Return a message's `text` from sentences and rich text elements: what notifications and screen readers get.

    Slack reads it as mrkdwn, so everything is escaped but mentions; it is cut below what every method takes.
    """
    done = ""
    for piece in pieces:
        text = piece if isinstance(piece, str) else _spoken(piece)
        room = FALLBACK - length(done)
        is_token = not isinstance(piece, str) and piece["type"] in {"user", "usergroup"}
        if is_token:
            done += text if len(text) <= room else ""
        elif room > 0:
            done += escaped(_SPACES.sub(" ", text), room)
    return done.strip() or NOTHING


def _spoken(element: Block) -> str:
    token = _token(element)
    return token or str(element.get("text") or element.get("fallback") or "")


def typed(text: str, most: int = 80) -> str:
    """Return typed text for the middle of a sentence of ours: one line, not escaped, not longer than `most`."""
    return cut(one_line(text) or NOTHING, most)


# ---- people ------------------------------------------------------------------------------------------------


def name_of(principal: Principal) -> str:
    """Return a principal as text, for places that cannot mention."""
    match principal:
        case UserGroup(group=group):
            return group if _GROUP.match(group) else f"@{group.removeprefix('@')}"
        case SlackUser(user=user):
            return user
        case EmailAddress(email=email):
            return email


def person(user: str | None, name: str = "") -> Block:
    """Return a rich text mention of a Slack user, or the name if there is no usable id."""
    if is_user(user):
        return {"type": "user", "user_id": user}
    return words(one_line(name or user or "") or "somebody")


def people(principals: tuple[Principal, ...], most: int = 20) -> list[Block]:
    """Return rich text elements that mention these, joined by `or`."""
    elements: list[Block] = []
    for index, principal in enumerate(principals[:most]):
        elements += [words(" or ")] if index else []
        elements.append(_mention(principal))
    if len(principals) > most:
        elements.append(words(f" or {len(principals) - most} more"))
    return elements or [words("nobody")]


def deciders(principals: tuple[Principal, ...], seats: tuple[Seat, ...]) -> list[Block]:
    """Return who may decide: the people, or seat by seat `legal: @legal; finance, 2 of: @finance or @cfo`."""
    elements: list[Block] = []
    for seat in seats:
        many = f", {seat.needed} of" if seat.needed > 1 else ""
        elements += [words(f"{'; ' if elements else ''}{typed(seat.name, 60)}{many}: "), *people(seat.any_of)]
    return elements or people(principals)


def _mention(principal: Principal) -> Block:
    if isinstance(principal, UserGroup) and _GROUP.match(principal.group):
        return {"type": "usergroup", "usergroup_id": principal.group}
    if isinstance(principal, SlackUser) and is_user(principal.user):
        return {"type": "user", "user_id": principal.user}
    return words(typed(name_of(principal), 100))


def as_marked(elements: list[Block], most: int = 1800) -> str:
    """Return mentions as mrkdwn. Stops between two elements, so that no mention is cut in half."""
    done = ""
    for element in elements:
        piece = _marked_piece(element)
        if len(done) + len(piece) > most:
            return f"{done}…"
        done += piece
    return done


def _marked_piece(element: Block) -> str:
    return _token(element) or escaped(str(element.get("text", "")), 300)


def _token(element: Block) -> str:
    match element:
        case {"type": "user", "user_id": user}:
            return f"<@{user}>"
        case {"type": "usergroup", "usergroup_id": group}:
            return f"<!subteam^{group}>"
        case _:
            return ""


# ---- rich text ---------------------------------------------------------------------------------------------


def words(text: str, *, bold: bool = False, code: bool = False) -> Block:
    """Return a rich text run. Slack shows it as it is: no escaping, no parsing."""
    styles = {name: True for name, on in (("bold", bold), ("code", code)) if on}
    return {"type": "text", "text": text or NOTHING} | ({"style": styles} if styles else {})


def moment(when: datetime) -> Block:
    """Return a rich text date in the reader's own time zone."""
    return {"type": "date", "timestamp": int(when.timestamp()), "format": FORMAT, "fallback": in_utc(when)}


def moment_with_seconds(when: datetime) -> Block:
    """Return a rich text date with its seconds, for a time line."""
    fallback = f"{when:%Y-%m-%d %H:%M:%S} UTC"
    return {"type": "date", "timestamp": int(when.timestamp()), "format": WITH_SECONDS, "fallback": fallback}


def dated(text: str, *, bold: bool = False) -> list[Block]:
    """Return a text whose written moments are dates in the reader's own time zone."""
    return [
        moment_with_seconds(part) if isinstance(part, datetime) else words(part, bold=bold) for part in parted(text)
    ]


def link(url: str | None, text: str) -> list[Block]:
    """Return a rich text link after a space, or nothing if the address is not fit for one."""
    return [words(" "), {"type": "link", "url": url, "text": typed(text)}] if is_link(url) else []


def rich(*elements: Block) -> Block:
    """Return a rich text block of one paragraph."""
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


def paragraph(*elements: Block) -> Message:
    """Return a message of one paragraph, whose fallback says the same."""
    return Message(text=fallback(*elements), blocks=(rich(*elements),))


def quote(text: str, most: int = 1000, lines: int = 12) -> Block:
    """Return a person's text as a quotation: at most `most` units and `lines` lines."""
    typed_lines = clean(text).split("\n")
    short = "\n".join(typed_lines[:lines]) + ("\n…" if len(typed_lines) > lines else "")
    element = {"type": "rich_text_quote", "elements": [words(cut(short, most))]}
    return {"type": "rich_text", "elements": [element]}


def named(name: str, text: str) -> Block:
    """Return something typed under its name: on one line if it is short, else as it is, in letters of one width."""
    label = words(f"{typed(name, 80)}: ", bold=True)
    if length(text) <= SHORT and "\n" not in text:
        return rich(label, words(text))
    section = {"type": "rich_text_section", "elements": [label]}
    return {"type": "rich_text", "elements": [section, {"type": "rich_text_preformatted", "elements": [words(text)]}]}


SHORT = 80


def sentence(text: str) -> Block:
    """Return a section of plain text; markup in it is shown as typed."""
    return {"type": "section", "text": plain(text, SECTION)}


# ---- blocks ------------------------------------------------------------------------------------------------


def header(text: str) -> Block:
    """Return a header."""
    return {"type": "header", "text": plain(text, HEADER)}


def fields(*texts: Block) -> Block:
    """Return a section of up to ten fields."""
    return {"type": "section", "fields": list(texts)}


def own_field(label: str, text: str) -> Block:
    """Return a field of our own words, mentions and dates."""
    return marked(f"*{label}*\n{text}")


def typed_field(label: str, text: str) -> Block:
    """Return a field with something typed below its label."""
    return {"type": "plain_text", "text": f"{label}\n{cut(one_line(text) or NOTHING, 200)}", "emoji": False}


def context(*texts: Block) -> Block:
    """Return a line of small print."""
    return {"type": "context", "elements": list(texts)}


def divider() -> Block:
    """Return a divider."""
    return {"type": "divider"}


def button(text: str, action_id: str, value: str, label: str, **extra: Any) -> Block:
    """Return a button. `label` is what a screen reader says; `extra` holds style and confirm."""
    return {
        "type": "button",
        "action_id": action_id,
        "text": plain(text, BUTTON),
        "value": value,
        "accessibility_label": cut(one_line(label), LABEL),
    } | extra


def confirm(title: str, text: str, yes: str, no: str, **extra: str) -> Block:
    """Return Slack's own confirmation dialog."""
    return {
        "title": plain(title, CONFIRM_TITLE),
        "text": plain(text, CONFIRM_TEXT),
        "confirm": plain(yes, CONFIRM_BUTTON),
        "deny": plain(no, CONFIRM_BUTTON),
    } | extra
