"""The base of every value, and the few forms that several values share. No rules here."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value. Unknown fields are refused, so a misspelt one is never silently dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def in_utc(moment: datetime) -> datetime:
    """Return the moment in UTC; a naive one is UTC (docs/explanation/dapr.md#the-workflows-clock-is-naive-utc).

    Raises: ValueError for a moment whose UTC lies before year 1 or after year 9999.
    """
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the moment is out of range") from error


def absent(value: object) -> bool:
    """Return whether a value is None or empty: a field added later is left out then, so that old digests stay."""
    return value is None or (isinstance(value, str | tuple | dict) and not value)


Moment = Annotated[datetime, AfterValidator(in_utc)]
"""An aware datetime in UTC."""
