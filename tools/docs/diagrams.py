"""Mermaid diagrams become SVG when the site is built, so that no page loads a script to draw them."""

import re
import subprocess
import sys
from collections import defaultdict
from hashlib import sha256
from typing import Any

ARROW = re.compile(r"^(\s*)(\S+) --> (\S+): (.+)$")
WIDTH = re.compile(r'(<svg [^>]*?)width="100%"([^>]*?max-width:)([0-9.]+)')
UNIQUE = "merman"
"""The id that the renderer gives each drawing; two drawings on a page would share their styles."""


def fence(source: str, language: str, css_class: str, options: dict[str, Any], md: object, **_: object) -> str:
    """Return a fenced diagram as a figure: the form that the Markdown extension calls."""
    command = [sys.executable, "-m", "mmdr", "--input", "-", "--output", "-", "--format", "svg"]
    # In a process of its own: the renderer reports leaks of its bindings when the process that used it ends.
    done = subprocess.run(command, input=gathered(source), capture_output=True, text=True, check=False)  # noqa: S603 ours
    if done.returncode:
        raise ValueError(f"This diagram cannot be drawn: {done.stderr.strip()}\n{source}")
    natural = WIDTH.sub(
        r'\1width="\3"\2\3', done.stdout, count=1
    )  # a wide one is scrolled: shrunk, it is too small to read
    drawn = natural.replace(UNIQUE, f"diagram-{sha256(source.encode()).hexdigest()[:8]}")
    return f'<figure class="diagram">{drawn}</figure>'


def gathered(source: str) -> str:
    """Return a state diagram with one arrow between two states: the texts of several would be drawn over each other."""
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
