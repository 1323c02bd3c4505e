"""Moments as people type and read them: a date or a duration, an age of 5m or 2d. Imports little, for quick lists."""

from datetime import UTC, datetime, timedelta

from bot.cli import output


def moment(text: str, now: datetime, *, ahead: bool = False) -> datetime:
    """Return the moment that a date or a duration, before now or `ahead` of it, means. Ends with a message."""
    from approvals.moments import moment_of

    try:
        return moment_of(text, now, ahead=ahead)
    except ValueError as error:
        output.fail(f"{error}.", output.MISUSED)


def age(moment_: datetime, now: datetime) -> str:
    """Return how long ago a moment was, the way `dapr workflow list` writes it: 12s, 5m, 3h, 2d."""
    passed = max(now - moment_, timedelta())
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if passed >= timedelta(seconds=unit):
            return f"{int(passed.total_seconds()) // unit}{name}"
    return f"{int(passed.total_seconds())}s"


def at_utc(at: str | datetime | None) -> str:
    """Return a moment as people read it, `2026-11-24 12:33 UTC`; nothing for none."""
    if not at:
        return ""
    moment_ = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{moment_.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
