"""Moments and spans in words. A moment is shown in each reader's own time zone by Slack; UTC is what others see."""

import re
from datetime import UTC, datetime, timedelta

FORMAT = "{date_long_pretty} at {time}"
WITH_SECONDS = "{date_short_pretty} {time_secs}"
_WRITTEN = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?) UTC\b")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def in_utc(moment: datetime) -> str:
    """Return `2026-01-05 14:00 UTC`, for fallback texts."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def parted(text: str) -> list[str | datetime]:
    """Return a text parted at its moments (`2026-01-05 14:00:07 UTC`): each is shown on the reader's own clock."""
    found: list[str | datetime] = []
    for number, part in enumerate(_WRITTEN.split(text)):
        try:
            found.append(datetime.fromisoformat(part).replace(tzinfo=UTC) if number % 2 else part)
        except ValueError:  # no moment after all, such as a 31st of February
            found.append(f"{part} UTC")
    return [part for part in found if part]


def date_token(moment: datetime) -> str:
    """Return Slack's date token for mrkdwn, with the UTC time as its fallback."""
    return f"<!date^{int(moment.timestamp())}^{FORMAT}|{in_utc(moment)}>"


def span(duration: timedelta) -> str:
    """Return `3 days`, `2 h 5 min` or `40 s`: the two largest units that matter."""
    seconds = max(0, round(duration.total_seconds()))
    days, hours = divmod(seconds, _DAY)
    hours, minutes = divmod(hours, _HOUR)
    minutes, rest = divmod(minutes, _MINUTE)
    if days:
        return f"{days} day{'s' * (days != 1)}" + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    return f"{minutes} min" if minutes else f"{rest} s"
