"""API keys: whose a token is, and every reason for which it is not taken."""

import re
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from records import keys
from records.database import Database
from records.keys import ApiKey, KeyReason
from records.tables import keys as table

SECRET, OLD = b"s" * 32, b"o" * 32
DAY = timedelta(days=1)


async def create(database: Database, now: datetime, secret: bytes = SECRET) -> tuple[ApiKey, str]:
    async with database.write() as connection:
        return await keys.create(
            connection,
            secret,
            now,
            name="deploy",
            person=" Ada@Example.com ",
            roles=("requester", "operator"),
            created_by="cli",
            expires_at=now + DAY,
        )


async def reason(database: Database, token: str, now: datetime) -> KeyReason:
    async with database.read() as connection:
        found = await keys.authenticate(connection, token, [SECRET, OLD], now)
    assert (found.key is not None) == (found.reason is KeyReason.GOOD)
    return found.reason


async def test_a_token_names_its_key_and_holds_256_bits(database: Database, now: datetime) -> None:
    key, token = await create(database, now)
    assert re.fullmatch(rf"cs_{key.id}_[\w-]{{43}}", token)
    async with database.read() as connection:
        found = await keys.authenticate(connection, token, [SECRET], now)
    assert found.key == key
    assert (key.person, key.roles) == ("ada@example.com", ("requester", "operator"))


async def test_neither_token_nor_its_secret_is_stored(database: Database, now: datetime) -> None:
    _, token = await create(database, now)
    async with database.read() as connection:
        stored = str((await connection.execute(sa.select(table))).mappings().one())
    assert token not in stored
    assert token.split("_", 2)[2] not in stored


@pytest.mark.parametrize(
    ("change", "later", "expected"),
    [
        (lambda token: token, timedelta(0), KeyReason.GOOD),
        (lambda token: token[:-4] + "AAAA", timedelta(0), KeyReason.WRONG_SECRET),
        (lambda token: "cs_000000000000_" + token[16:], timedelta(0), KeyReason.UNKNOWN),
        (lambda _: "", timedelta(0), KeyReason.MALFORMED),
        (lambda _: "cs_", timedelta(0), KeyReason.MALFORMED),
        (lambda token: token + "é", timedelta(0), KeyReason.MALFORMED),
        (lambda token: token + "A", timedelta(0), KeyReason.MALFORMED),
        (lambda token: token.replace("cs_", "xx_"), timedelta(0), KeyReason.MALFORMED),
        (lambda _: "cs_\0_x", timedelta(0), KeyReason.MALFORMED),
        (lambda token: token, DAY, KeyReason.EXPIRED),
    ],
)
async def test_a_token_is_taken_or_refused_for_one_reason(
    database: Database, now: datetime, change: object, later: timedelta, expected: KeyReason
) -> None:
    _, token = await create(database, now)
    assert callable(change)
    assert await reason(database, change(token), now + later) is expected


async def test_a_revoked_key_is_refused_at_once_and_stays_listed(database: Database, now: datetime) -> None:
    key, token = await create(database, now)
    async with database.write() as connection:
        assert await keys.revoke(connection, key.id, now)
        assert not await keys.revoke(connection, key.id, now)
        assert not await keys.revoke(connection, "unknown", now)
        assert [one.revoked_at for one in await keys.page(connection)] == [now]
    assert await reason(database, token, now) is KeyReason.REVOKED


async def test_keys_of_a_secret_that_was_rotated_are_still_taken(database: Database, now: datetime) -> None:
    _, token = await create(database, now, OLD)
    assert await reason(database, token, now) is KeyReason.GOOD


async def test_the_last_use_is_written_once_a_minute(database: Database, now: datetime) -> None:
    key, token = await create(database, now)
    async with database.write() as connection:
        assert (await keys.authenticate(connection, token, [SECRET], now)).stale
        await keys.used(connection, key.id, now)
        soon = await keys.authenticate(connection, token, [SECRET], now + timedelta(seconds=59))
        later = await keys.authenticate(connection, token, [SECRET], now + timedelta(seconds=60))
        assert (soon.stale, later.stale) == (False, True)
        shown = await keys.get(connection, key.id)
    assert shown is not None
    assert shown.last_used_at == now


async def test_keys_are_listed_by_page(database: Database, now: datetime) -> None:
    made = sorted([(await create(database, now))[0].id for _ in range(5)])
    async with database.read() as connection:
        first = await keys.page(connection, limit=3)
        rest = await keys.page(connection, after=first[-1].id)
    assert [key.id for key in (*first, *rest)] == made
