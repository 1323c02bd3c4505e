"""Migrated SQLite files, each a copy of one: a copy costs a millisecond, the migrations a hundred."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from records.database import Database


async def migrated(path: Path) -> str:
    """Make a migrated file and return its URL."""
    template = _folder() / "template.db"
    if not template.exists():
        database = Database.open(f"sqlite:///{template}")
        await database.migrate()
        await database.close()
    shutil.copy(template, path)
    return f"sqlite:///{path}"


@functools.cache
def _folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="countersign-test-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
