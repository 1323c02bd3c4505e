"""Mermaid diagrams become SVG when the site is built, so that no page loads a script to draw them."""

import re
from collections import defaultdict
from hashlib import sha256
from typing import Any

import mmdr

ARROW = re.compile(r"^(\s*)(\S+) --> (\S+): (.+)$")
UNIQUE = "merman"
"""The id that the renderer gives each drawing; two drawings on a page would share their styles."""


def fence(source: str, language: str, css_class: str, options: dict[str, Any], md: object, **_: object) -> str:
    """Return a fenced diagram as a figure: the form that the Markdown extension calls."""
    svg = mmdr.render(gathered(source)).svg()
    drawn = svg.replace(UNIQUE, f"diagram-{sha256(source.encode()).hexdigest()[:8]}")
    return f'<figure class="diagram">{drawn}</figure>'


def gathered(source: str) -> str:
    """Return a state diagram with one arrow between two states: the renderer draws the texts of several over each other."""
    if not source.startswith("stateDiagram"):
        return source
    texts: dict[tuple[str, str], list[str]] = defaultdict(list)
    kept = []
    for line in source.splitlines():
        arrow = ARROW.match(line)
        if arrow is None:
            kept.append(line)
        else:
            texts[arrow[2], arrow[3]].append(arrow[4])
    return "\n".join([*kept, *(f"    {one} --> {other}: {'<br>'.join(said)}" for (one, other), said in texts.items())])
