"""This process's clock."""

from datetime import UTC, datetime


def now_in_utc() -> datetime:
    """Return this machine's time, for what is written down. What a workflow decides by comes from its own clock."""
    return datetime.now(UTC)
