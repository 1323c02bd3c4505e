"""Sessions that have ended: known at once, and forgotten when their age has ended them anyway."""

from datetime import datetime, timedelta

from records import sessions
from records.database import Database

DAY = timedelta(days=1)


async def test_an_ended_session_is_known_until_its_age_would_end_it(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        assert not await sessions.is_revoked(connection, "s1")
        await sessions.revoke(connection, "s1", now, now - DAY)
        await sessions.revoke(connection, "s1", now, now - DAY)
        assert await sessions.is_revoked(connection, "s1")
        assert not await sessions.is_revoked(connection, "s2")
        await sessions.revoke(connection, "s2", now + DAY + DAY, now + DAY)
        assert not await sessions.is_revoked(connection, "s1")
