"""This process's clock."""

from datetime import UTC, datetime


def now_in_utc() -> datetime:
    """Return this machine's time, for records. A workflow decides by the engine's clock."""
    return datetime.now(UTC)
