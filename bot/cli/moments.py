"""Moments as people type and read them: a date or a duration, an age of 5m or 2d. Imports little, for quick lists."""

from datetime import UTC, datetime, timedelta

from bot.cli import output


def moment(text: str, now: datetime, *, ahead: bool = False) -> datetime:
    """Return the moment that a date or a duration, before now or `ahead` of it, means. Ends with a sentence."""
    written = text.strip()
    from approvals.durations import parse_duration

    try:
        found = datetime.fromisoformat(written)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    try:
        distance = parse_duration(written)
    except ValueError:
        output.fail(
            f"{written[:60]!r} is neither a duration such as '2h' or '90d' nor a date such as '2026-01-31'.",
            output.MISUSED,
        )
    return now + (distance if ahead else -distance)


def age(moment_: datetime, now: datetime) -> str:
    """Return how long ago a moment was, the way `dapr workflow list` writes it: 12s, 5m, 3h, 2d."""
    passed = max(now - moment_, timedelta())
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if passed >= timedelta(seconds=unit):
            return f"{int(passed.total_seconds()) // unit}{name}"
    return f"{int(passed.total_seconds())}s"
