"""Slack's answers about groups, shared by all processes through the database: one asks, the others read.

Without the database each process asks by itself. An answer is sealed: who can write to the database makes nobody a
member of a group.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from approvals.signing import KeyRing, Purpose, Seal
from records import leases, slack_answers
from records.database import Database
from records.errors import RecordsError
from records.slack_answers import SlackAnswer

log = structlog.get_logger(__name__)

FLIGHT: Final = timedelta(seconds=4)
"""How long one process is waited for that asks Slack; after that another asks beside it."""

FLIGHT_LOOK_S: Final = 0.1
ANSWERS_KEPT: Final = timedelta(days=1)

Ask = Callable[[], Awaitable[Any]]


class SharedAnswers:
    """Answers no older than asked for, of whichever process asked. `me` is this process's name."""

    def __init__(self, database: Database, keys: KeyRing, me: str, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._keys = keys
        self._me = me
        self._clock = clock

    async def get(self, key: str, max_age_s: float, ask: Ask) -> Any:
        """Return the answer, as JSON. Raises what `ask` raises."""
        since = self._clock() - timedelta(seconds=max_age_s)
        try:
            kept = await self._kept_or_mine(key, since)
        except RecordsError as error:
            log.info("groups are asked for without the other processes", why=str(error))
            return await ask()
        if kept is not None:
            return json.loads(kept.answer)
        asked_at, answer = self._clock(), None
        try:
            answer = await ask()
        finally:
            await self._give(key, asked_at, answer)
        return answer

    async def changed(self, what: str) -> None:
        """Tell all processes that groups or a person changed."""
        try:
            async with self._database.write() as connection:
                await slack_answers.changed(connection, what, self._clock())
        except RecordsError as error:
            log.warning("other processes do not hear of a change in Slack's directory", why=str(error))

    async def _kept_or_mine(self, key: str, since: datetime) -> SlackAnswer | None:
        """Return another process's answer; None if this one is to ask, because it has the lease or waited for long."""
        until = self._clock() + FLIGHT
        while (found := await self._kept(key, since)) is None:
            async with self._database.write() as connection:
                mine = await leases.take(connection, _lease(key), self._me, self._clock(), FLIGHT)
            if mine:
                return await self._kept_meanwhile(key, since)
            if self._clock() > until:
                return None
            await asyncio.sleep(FLIGHT_LOOK_S)
        return found

    async def _kept(self, key: str, since: datetime) -> SlackAnswer | None:
        async with self._database.read() as connection:
            found = await slack_answers.newest(connection, key, since)
        return found if found is not None and self._sealed(found) else None

    async def _kept_meanwhile(self, key: str, since: datetime) -> SlackAnswer | None:
        """Read again with the lease held: its last holder may have answered in between."""
        found = await self._kept(key, since)
        if found is not None:
            async with self._database.write() as connection:
                await leases.release(connection, _lease(key), self._me)
        return found

    def _sealed(self, found: SlackAnswer) -> bool:
        """Return whether one of our processes wrote it, and no clock is ahead of ours."""
        seal = Seal(key_id=found.key_id, mac=found.mac)
        return found.asked_at <= self._clock() + FLIGHT and self._keys.opens(
            Purpose.SEALED_GROUPS, _content(found), seal
        )

    async def _give(self, key: str, asked_at: datetime, answer: Any) -> None:
        """Keep the answer for the others, and let the next one ask."""
        row = SlackAnswer(key=key, asked_at=asked_at, answer=json.dumps(answer))
        seal = self._keys.seal(Purpose.SEALED_GROUPS, _content(row))
        try:
            async with self._database.write() as connection:
                if answer is not None:
                    await slack_answers.keep(connection, row.model_copy(update=seal.model_dump()))
                    await slack_answers.forget(connection, asked_at - ANSWERS_KEPT)
                await leases.release(connection, _lease(key), self._me)
        except RecordsError as error:
            log.info("an answer about groups is kept by this process alone", why=str(error))


def _lease(key: str) -> str:
    return f"slack {key}"


def _content(answer: SlackAnswer) -> dict[str, str]:
    return {"key": answer.key, "asked_at": answer.asked_at.isoformat(), "answer": answer.answer}
