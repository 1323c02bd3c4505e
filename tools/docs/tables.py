"""Markdown tables, and what their cells may hold."""

from collections.abc import Iterable, Sequence

MADE = "<!-- Made by `python -m tools.docs` from {source}: change that instead. -->"


def cell(text: object) -> str:
    """Return a text that fits a cell."""
    return " ".join(str(text).split()).replace("|", "\\|")


def code(text: object) -> str:
    """Return a text as code, nothing for an empty one."""
    return f"`{text}`" if str(text) else ""


def table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table."""
    lines = [f"| {' | '.join(heading)} |", "|" + "---|" * len(heading)]
    return "\n".join([*lines, *(f"| {' | '.join(map(cell, row))} |" for row in rows)])


def page(title: str, source: str, *parts: str) -> str:
    """Return a page that says from what it is made."""
    return "\n\n".join([f"# {title}", MADE.format(source=source), *parts]) + "\n"
