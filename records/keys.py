"""API keys: 256 random bits, shown once, stored as a keyed hash. Says whose key it is; authorization is elsewhere."""

import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.values import Moment, Value
from records.plain import Plain, Transaction
from records.sql import One, fetch_all, fetch_one
from records.tables import keys

USE_NOTED_AGAIN = timedelta(seconds=60)
TOKEN = re.compile(r"cs_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
ID_BYTES = 6
NOBODY = "0" * 64


class ApiKey(Value):
    """A key without its secret. `person` is an e-mail, `last_used_at` right to a minute.

    `scopes` are the only actions that it may be used for; None means all that its roles give. `callback_hosts` are
    HOST or HOST:PORT that its requests' callbacks may name; `webhook_round` counts the rotations of their secret.
    """

    id: str
    name: str
    person: str
    roles: tuple[str, ...]
    created_at: Moment
    created_by: str
    expires_at: Moment | None = None
    revoked_at: Moment | None = None
    last_used_at: Moment | None = None
    scopes: tuple[str, ...] | None = None
    callback_hosts: tuple[str, ...] | None = None
    webhook_round: int = 1


class KeyReason(StrEnum):
    """Why a token is taken or not. For the audit; outside every failure looks the same."""

    GOOD = "good"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 a reason's name
    EXPIRED = "expired"
    REVOKED = "revoked"


class Authentication(Value):
    """The result of a token. `key` is set only if it is valid; `stale` asks for `used` to be called."""

    reason: KeyReason
    key: ApiKey | None = None
    key_id: str = ""
    stale: bool = False


class _Stored(ApiKey):
    mac: str


def _mac(token: str, secret: bytes) -> str:
    return hmac.new(secret, b"countersign api key\n" + token.encode(), sha256).hexdigest()


async def create(  # noqa: PLR0913 a key's properties
    connection: AsyncConnection,
    secret: bytes,
    now: datetime,
    *,
    name: str,
    person: str,
    roles: tuple[str, ...],
    created_by: str,
    expires_at: datetime | None = None,
    scopes: tuple[str, ...] | None = None,
    callback_hosts: tuple[str, ...] | None = None,
) -> tuple[ApiKey, str]:
    """Make a key. Returns it with its token, which can't be had again. `secret` is the HMAC key (32 bytes or more)."""
    key = ApiKey(
        id=secrets.token_hex(ID_BYTES),
        name=name,
        person=person.strip().lower(),
        roles=roles,
        created_at=now,
        created_by=created_by,
        expires_at=expires_at,
        scopes=scopes,
        callback_hosts=callback_hosts,
    )
    token = f"cs_{key.id}_{secrets.token_urlsafe(32)}"
    await connection.execute(sa.insert(keys), key.model_dump() | {"mac": _mac(token, secret)})
    return key, token


@Plain
def authenticate(transaction: Transaction, token: str, secrets_: Sequence[bytes], now: datetime) -> Authentication:
    """Say whose token it is. `secrets_`: the HMAC key of today first, then those that it replaced.

    Compares in constant time; an unknown id costs the same comparisons as a known one.
    """
    parts = TOKEN.fullmatch(token)
    if parts is None:
        return Authentication(reason=KeyReason.MALFORMED)
    stored = GET.get(transaction, _Stored, wanted=parts[1])
    expected = stored.mac if stored else NOBODY
    matches = [hmac.compare_digest(_mac(token, secret), expected) for secret in secrets_]
    if stored is None:
        return Authentication(reason=KeyReason.UNKNOWN)
    if not any(matches):
        return Authentication(reason=KeyReason.WRONG_SECRET, key_id=stored.id)
    return _judged(stored, now)


GET = One(sa.select(keys).where(keys.c.id == sa.bindparam("wanted")))


def _judged(stored: _Stored, now: datetime) -> Authentication:
    if stored.revoked_at is not None:
        return Authentication(reason=KeyReason.REVOKED, key_id=stored.id)
    if stored.expires_at is not None and stored.expires_at <= now:
        return Authentication(reason=KeyReason.EXPIRED, key_id=stored.id)
    key = ApiKey(**stored.model_dump(exclude={"mac"}))
    stale = key.last_used_at is None or now - key.last_used_at >= USE_NOTED_AGAIN
    return Authentication(reason=KeyReason.GOOD, key=key, key_id=key.id, stale=stale)


async def used(connection: AsyncConnection, key_id: str, now: datetime) -> None:
    """Note the last use; call it when an authentication is `stale`, so that not every request writes."""
    await connection.execute(sa.update(keys).where(keys.c.id == key_id).values(last_used_at=now))


async def revoke(connection: AsyncConnection, key_id: str, now: datetime) -> bool:
    """Revoke a key at once. False when there is no such key or it was revoked before."""
    done = await connection.execute(
        sa.update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return bool(done.rowcount)


async def set_callback_hosts(connection: AsyncConnection, key_id: str, hosts: tuple[str, ...] | None) -> bool:
    """Replace the hosts that a key's callbacks may name. False when there is no such key."""
    done = await connection.execute(sa.update(keys).where(keys.c.id == key_id).values(callback_hosts=hosts))
    return bool(done.rowcount)


async def rotate(connection: AsyncConnection, key_id: str) -> int | None:
    """Begin a new round of a key's webhook secret; returns it, None for an unknown key."""
    update = sa.update(keys).where(keys.c.id == key_id).values(webhook_round=keys.c.webhook_round + 1)
    found: int | None = await connection.scalar(update.returning(keys.c.webhook_round))
    return found


async def get(connection: AsyncConnection, key_id: str) -> ApiKey | None:
    """Return one key by its id."""
    return await fetch_one(connection, sa.select(*_PUBLIC).where(keys.c.id == key_id), ApiKey)


async def persons(connection: AsyncConnection) -> tuple[str, ...]:
    """Return whom the keys belong to."""
    return tuple(await connection.scalars(sa.select(keys.c.person).distinct()))


async def page(connection: AsyncConnection, *, after: str = "", limit: int = 100) -> tuple[ApiKey, ...]:
    """Return keys by id; `after` is the id of the last one seen."""
    return await fetch_all(
        connection, sa.select(*_PUBLIC).where(keys.c.id > after).order_by(keys.c.id).limit(limit), ApiKey
    )


_PUBLIC = tuple(column for column in keys.c if column.name != "mac")
