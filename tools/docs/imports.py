"""The architecture page's pictures, drawn from the code: which package, and which room of bot/, uses which."""

import ast
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("bot", "workflows", "activities", "records", "cards", "approvals", "local")
WIRING = "wiring"
"""The room of bot/app.py and bot/services/: they alone may use every other one."""

Arrow = tuple[str, str]


def packages() -> set[Arrow]:
    """Return which package imports which."""
    return {(one, other) for one, other in _imports(PACKAGES, _package) if one != other}


def rooms() -> set[Arrow]:
    """Return which room of bot/ imports which."""
    return {(one, other) for one, other in _imports(("bot",), _room) if one != other and "" not in (one, other)}


def flowchart(arrows: Iterable[Arrow]) -> str:
    """Return the arrows as a Mermaid flowchart, from the top down."""
    lines = [f"    {one} --> {other}" for one, other in sorted(arrows)]
    return "\n".join(["flowchart TB", *lines]) + "\n"


def floors(arrows: Iterable[Arrow]) -> dict[str, int]:
    """Return the floor of each room: 0 uses nothing, each other one stands above all that it uses.

    Raises: ValueError if some of them use each other in a circle.
    """
    arrows = set(arrows)
    left = {name for arrow in arrows for name in arrow}
    found: dict[str, int] = {}
    while left:
        free = {name for name in left if all(other in found for one, other in arrows if one == name)}
        if not free:
            raise ValueError(f"these use each other in a circle: {', '.join(sorted(left))}")
        found |= {name: 1 + max((found[other] for one, other in arrows if one == name), default=-1) for name in free}
        left -= free
    return found


def _imports(folders: Iterable[str], place: Callable[[str], str]) -> Iterator[Arrow]:
    for path in (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))):
        here = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for module in _modules(path):
            if module.split(".")[0] in folders:
                yield place(here), place(module)


def _modules(path: Path) -> Iterator[str]:
    """Yield each module that a file imports, also within a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from bot.slack import details` imports a module: name it, where there is one.
            for alias in node.names:
                file = ROOT.joinpath(*node.module.split("."), alias.name)
                is_module = file.with_suffix(".py").is_file() or file.is_dir()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def _package(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def _room(module: str) -> str:
    """Return the folder of bot/ that a module is in; control's own rooms are counted as one."""
    parts = module.split(".")
    if len(parts) < 2:  # noqa: PLR2004 the package and a name in it
        return ""
    return parts[1] if parts[1] != "services" and (ROOT / "bot" / parts[1]).is_dir() else WIRING


def reduced(arrows: Iterable[Arrow]) -> set[Arrow]:
    """Return the arrows without those that follow from others: a picture of all of them cannot be read."""
    arrows = set(arrows)
    uses = {one: {other for start, other in arrows if start == one} for one, _ in arrows}

    def below(name: str) -> set[str]:
        direct = uses.get(name, set())
        return direct.union(*(below(other) for other in direct))

    return {(one, other) for one, other in arrows if not any(other in below(each) for each in uses[one] - {other})}


PAGE = ROOT / "docs" / "explanation" / "architecture.md"


def page() -> str:
    """Return the architecture page with both pictures as the code is now. Its text is written by hand."""
    text = PAGE.read_text(encoding="utf-8")
    for name, arrows in (("packages", packages()), ("rooms", rooms())):
        drawn = f"<!-- drawn: {name} -->\n```mermaid\n{flowchart(reduced(arrows))}```\n<!-- end -->"
        before, _, rest = text.partition(f"<!-- drawn: {name} -->")
        text = before + drawn + rest.partition("<!-- end -->")[2]
    return text
