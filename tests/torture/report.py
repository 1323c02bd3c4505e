"""How a torture ends: what is wrong, line by line, and then one JSON line of its figures."""

import json
import sys
from typing import Any


def finish(name: str, figures: dict[str, Any], wrong: list[str]) -> int:
    """Print, and return the exit status: 1 when something is wrong."""
    sys.stdout.writelines(f"WRONG: {line}\n" for line in wrong)
    sys.stdout.write(json.dumps({"torture": name, **figures, "wrong": len(wrong)}) + "\n")
    sys.stdout.flush()
    return 1 if wrong else 0
