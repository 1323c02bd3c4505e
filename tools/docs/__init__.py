"""The documentation's tooling: diagrams as SVG, and pages that are made from the code."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tools.docs import audit, cli, imports, messages, metrics, policy, reasons, rest, settings, troubleshooting

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"

PAGES: Final[dict[Path, Callable[[], str]]] = {
    DOCS / "explanation" / "architecture.md": imports.page,
    DOCS / "how-to" / "troubleshoot-events.md": troubleshooting.page,
    DOCS / "reference" / "rest.md": rest.page,
    DOCS / "reference" / "cli.md": cli.page,
    DOCS / "reference" / "settings.md": settings.page,
    DOCS / "reference" / "policy.md": policy.page,
    DOCS / "reference" / "reasons.md": reasons.page,
    DOCS / "reference" / "messages.md": messages.page,
    DOCS / "reference" / "audit-actions.md": audit.page,
    DOCS / "reference" / "metrics.md": metrics.page,
}
"""Each page that is made from the code, and the function that makes it."""


def stale(pages: Mapping[Path, Callable[[], str]] = PAGES) -> list[Path]:
    """Return the pages that are not what the code says now."""
    return [path for path, page in pages.items() if not path.is_file() or path.read_text(encoding="utf-8") != page()]
