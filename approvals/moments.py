"""Moments as people type them, for every face: an ISO 8601 date or a duration before now. Imports little."""

from datetime import datetime

from approvals.durations import parse_duration
from approvals.values import in_utc


def moment_of(text: str, now: datetime, *, ahead: bool = False) -> datetime:
    """Return the moment that a date or a duration, before now or `ahead` of it, means; one without a zone is UTC.

    Raises: ValueError with a message.
    """
    written = text.strip()
    try:
        return in_utc(datetime.fromisoformat(written))
    except (ValueError, OverflowError):
        pass
    try:
        distance = parse_duration(written)
    except ValueError:
        raise ValueError(
            f"{written[:60]!r} is neither a duration such as '2h' or '30d' nor a moment such as '2026-01-31' or "
            "'2026-01-31T12:00:00Z'"
        ) from None
    return now + distance if ahead else now - distance
