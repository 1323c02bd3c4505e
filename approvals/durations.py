"""Durations as operators write them: `3 days`, `90m`, `PT90M`. No months or years: they have no one length."""

import re
from datetime import timedelta

LONGEST_DURATION = timedelta(days=366)
LONGEST_TEXT = 60
UNITS = {
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400,
    "w": 604800, "week": 604800, "weeks": 604800,
}  # fmt: skip
PART = re.compile(r"([0-9]{1,9})\s*([a-z]+)")
WORDS = re.compile(r"(?:[0-9]{1,9}\s*[a-z]+[\s,]*)+")
ISO = re.compile(r"P(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?(?:T(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?)?")
ISO_SECONDS = (604800, 86400, 3600, 60, 1)
NAMES = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def parse_duration(text: str) -> timedelta:
    """Return the duration. Raises ValueError with a message for anything but a time above zero of at most 366 days."""
    written = text.strip()
    if len(written) > LONGEST_TEXT:
        raise ValueError("a duration is a short text like '3 days'")
    seconds = _iso_seconds(written) if written.startswith("P") else _worded_seconds(written.lower())
    if seconds is None:
        raise ValueError(f"{written!r} is not a duration: write it like '3 days', '90m', '1 h 30 min' or 'PT90M'")
    if not 0 < seconds <= LONGEST_DURATION.total_seconds():
        raise ValueError(
            f"{written!r} is not usable: a duration is above zero and at most {LONGEST_DURATION.days} days"
        )
    return timedelta(seconds=seconds)


def _iso_seconds(text: str) -> int | None:
    found = ISO.fullmatch(text)
    if found is None or not any(found.groups()):
        return None
    return sum(int(count or 0) * unit for count, unit in zip(found.groups(), ISO_SECONDS, strict=True))


def _worded_seconds(text: str) -> int | None:
    if not WORDS.fullmatch(text):
        return None
    parts = PART.findall(text)
    if any(unit not in UNITS for _, unit in parts):
        return None
    return sum(int(count) * UNITS[unit] for count, unit in parts)


def duration_text(duration: timedelta) -> str:
    """Return the duration in words, as in `1 day 2 hours`."""
    left, words = int(duration.total_seconds()), []
    for size, name in NAMES:
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(words) or "0 seconds"
