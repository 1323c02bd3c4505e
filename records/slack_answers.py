"""Slack's answers about user groups, shared by all processes: each asks only if no other has asked lately."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records.sql import fetch_one, insert_or_ignore
from records.tables import slack_answers

CHANNEL = "countersign_directory"
"""The channel of PostgreSQL's notifications about changes in Slack's directory."""

GROUPS = "groups"
"""The word for a change of groups; any other is the id of a person who changed."""

CHANGED = "changed"
"""The key of the row with the moment of the last change: older answers do not count."""


class SlackAnswer(Value):
    """An answer, as JSON. `asked_at` is when the question was sent, `key_id` and `mac` are its seal."""

    key: str
    asked_at: Moment
    answer: str
    key_id: str = ""
    mac: str = ""


async def newest(connection: AsyncConnection, key: str, since: datetime) -> SlackAnswer | None:
    """Return the answer to a question that was asked at a moment or later, and after the last change."""
    changed = sa.select(slack_answers.c.asked_at).where(slack_answers.c.key == CHANGED).scalar_subquery()
    found = sa.select(slack_answers).where(
        slack_answers.c.key == key,
        slack_answers.c.asked_at >= since,
        slack_answers.c.asked_at > sa.func.coalesce(changed, sa.literal(-1, sa.BigInteger)),
    )
    return await fetch_one(connection, found, SlackAnswer)


async def keep(connection: AsyncConnection, answer: SlackAnswer) -> None:
    """Keep an answer in the place of an older one."""
    row = answer.model_dump()
    if not await insert_or_ignore(connection, slack_answers, row):
        await connection.execute(
            sa.update(slack_answers)
            .where(slack_answers.c.key == answer.key, slack_answers.c.asked_at < answer.asked_at)
            .values(row)
        )


async def changed(connection: AsyncConnection, what: str, now: datetime) -> None:
    """Invalidate older answers if groups changed, and notify the listening processes."""
    if what == GROUPS:
        await keep(connection, SlackAnswer(key=CHANGED, asked_at=now, answer=""))
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_notify(CHANNEL, what)))


async def forget(connection: AsyncConnection, before: datetime) -> None:
    """Delete answers not used since a moment."""
    await connection.execute(sa.delete(slack_answers).where(slack_answers.c.asked_at < before))
