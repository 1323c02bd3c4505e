"""`python -m tools.docs` writes each page that is made from the code; `--check` only names those that are stale."""

import sys

from tools.docs import PAGES, ROOT, stale


def main(arguments: list[str]) -> int:
    """Write the pages, or say which would change."""
    found = stale()
    if "--check" in arguments:
        sys.stdout.writelines(f"{path.relative_to(ROOT)} is stale: run `python -m tools.docs`.\n" for path in found)
        return int(bool(found))
    for path in found:
        path.write_text(PAGES[path](), encoding="utf-8")
    return 0


sys.exit(main(sys.argv[1:]))
