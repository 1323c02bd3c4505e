"""The database's part of browser sessions: the keys behind them, links used once, sign-outs, audit entries."""

from collections.abc import Callable
from datetime import datetime, timedelta

from records import audit, keys, sent, sessions
from records.database import Database


class SessionStore:
    """Reads and writes for sessions, which themselves live in cookies."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def usable_key(self, key_id: str) -> keys.ApiKey | None:
        """Return a session's API key, None if it is revoked, has expired, or is unknown."""
        async with self._database.read() as connection:
            key = await keys.get(connection, key_id)
        over = key is None or key.revoked_at is not None or (key.expires_at and key.expires_at <= self._clock())
        return None if over else key

    async def use_link(self, nonce: str) -> bool:
        """Note that a sign-in link is used. False if it was used before."""
        async with self._database.write() as connection:
            return await sent.note(connection, f"sign-in-link/{nonce}", self._clock())

    async def is_revoked(self, session_id: str) -> bool:
        """Return whether a session was signed out of, in any process."""
        async with self._database.read() as connection:
            return await sessions.is_revoked(connection, session_id)

    async def begun(self, entry: audit.Entry) -> None:
        """Record a sign-in."""
        async with self._database.write() as connection:
            await audit.append(connection, entry)

    async def ended(self, entry: audit.Entry, session_id: str, lifetime: timedelta) -> None:
        """Record a sign-out; copies of the cookie are refused until they have expired by themselves."""
        async with self._database.write() as connection:
            await sessions.revoke(connection, session_id, entry.at, entry.at - lifetime)
            await audit.append(connection, entry)
