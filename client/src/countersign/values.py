"""Requests as the app answers them, and durations as people write them. Fields that a newer app adds are ignored."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

APPROVED: Final = frozenset({"approved", "overridden"})
ENDS: Final = APPROVED | {"rejected", "timed_out", "withdrawn", "terminated", "failed", "expired"}
"""The words for a request that is over. Any other is one that goes on."""

SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PART: Final = r"([0-9]+)\s*([smhd])"

Seconds = float
Duration = str | float | timedelta
"""`"4h"`, `"1h 30m"`, a number of seconds, or a timedelta."""


class Value(BaseModel):
    """A frozen value."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Decision(Value):
    """One decision that counted. `person` is a Slack team and user id, `stage` counts from 1."""

    person: str
    name: str = ""
    approved: bool
    reason: str = ""
    stage: int = 1
    at: datetime


class Request(Value):
    """A request. `status` is `starting`, `waiting`, `paused`, or how it ended."""

    id: str
    kind: str
    subject: str
    status: str
    amount: Decimal | None = None
    currency: str | None = None
    requester: str = ""
    waiting_on: tuple[str, ...] = ()
    deadline: datetime | None = None
    decided_by: tuple[Decision, ...] = ()
    card_link: str | None = None
    digest: str | None = None
    created_at: datetime | None = None
    decided_at: datetime | None = None
    valid_until: datetime | None = None

    @property
    def approved(self) -> bool:
        """Whether people have said yes."""
        return self.status in APPROVED

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDS

    @property
    def reason(self) -> str:
        """The words of the last person who decided, if they wrote any."""
        return self.decided_by[-1].reason if self.decided_by else ""


def seconds_of(duration: Duration) -> Seconds:
    """Return a duration in seconds. Raises: ValueError for a text that is none, and for a negative one."""
    if isinstance(duration, timedelta):
        found = duration.total_seconds()
    elif isinstance(duration, str):
        text = duration.strip().lower()
        if not re.fullmatch(rf"(?:{PART}\s*)+", text):
            raise ValueError(f"{duration!r} is no duration: write it like '4h', '30m' or '1h 30m'")
        found = float(sum(int(count) * SECONDS[unit] for count, unit in re.findall(PART, text)))
    else:
        found = float(duration)
    if not found >= 0:
        raise ValueError(f"{duration!r} is no time to wait: it must not be negative")
    return found


def body_of(**given: Any) -> dict[str, Any]:
    """Return a request's JSON: what is None is left out, an amount is a text so that no digit is lost."""
    sent = {name: value for name, value in given.items() if value is not None}
    return sent | ({"amount": str(sent["amount"])} if "amount" in sent else {})
