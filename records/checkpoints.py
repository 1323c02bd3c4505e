"""Signed checkpoints of the audit chain (Ed25519), in the database and as files elsewhere. Judges signatures only."""

import errno
import json
import os
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Self

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from records import audit
from records.chain import Checkpoint
from records.columns import canonical
from records.sql import fetch_all, insert_or_ignore
from records.tables import audit as entries
from records.tables import checkpoints

FILES = "checkpoint-*.json"


class BadCheckpointError(ValueError):
    """A checkpoint file that cannot be read, or that no trusted key has signed. The message says which."""


class Signer:
    """Signs checkpoints with one Ed25519 key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()
        self.key_id = key_id(self.public_key)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Return the signer of a 32-byte secret. Raises ValueError for any other length."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def sign_bytes(self, text: bytes) -> bytes:
        """Return the signature on a text, which must begin unlike a checkpoint's."""
        return self._key.sign(text)

    def sign(self, seq: int, digest: str, at: datetime) -> Checkpoint:
        """Return the signed checkpoint of the entry `seq` with that hash."""
        bare = Checkpoint(seq=seq, hash=digest, at=at, key_id=self.key_id)
        return bare.model_copy(update={"signature": self._key.sign(_signed_text(bare)).hex()})


def key_id(public_key: bytes) -> str:
    """Return the name of a raw public key: the first 16 hex digits of its SHA-256."""
    return sha256(public_key).hexdigest()[:16]


def _signed_text(checkpoint: Checkpoint) -> bytes:
    fields = checkpoint.model_dump(mode="json", exclude={"signature"})
    return b"countersign audit checkpoint\n" + canonical(fields).encode("ascii")


def is_signed(checkpoint: Checkpoint, trusted: Collection[bytes]) -> bool:
    """Return whether one of the trusted raw public keys has signed it."""
    for public_key in trusted:
        if key_id(public_key) == checkpoint.key_id:
            with suppress(InvalidSignature, ValueError):
                Ed25519PublicKey.from_public_bytes(public_key).verify(
                    bytes.fromhex(checkpoint.signature), _signed_text(checkpoint)
                )
                return True
    return False


async def take(connection: AsyncConnection, signer: Signer, now: datetime) -> Checkpoint | None:
    """Sign the chain's end and keep it in the database. None while the audit is empty. Needs `Database.write`."""
    last = await audit.head(connection)
    if last is None:
        return None
    checkpoint = signer.sign(last.seq, last.hash, now)
    await insert_or_ignore(connection, checkpoints, checkpoint.model_dump())
    return checkpoint


async def kept(connection: AsyncConnection, limit: int = 1_000) -> tuple[Checkpoint, ...]:
    """Return the newest checkpoints of the database, newest first."""
    return await fetch_all(
        connection, sa.select(checkpoints).order_by(checkpoints.c.seq.desc()).limit(limit), Checkpoint
    )


UNSIGNED_GRACE = timedelta(minutes=10)


async def missing(connection: AsyncConnection, signed: int, every: timedelta) -> str:
    """Return a message if checkpoints are missing after entry `signed`, of an app that takes one each `every`; else "".

    They are if the app has written entries for twice as long. A pause between two entries counts as `every` at most:
    the app may have been down. Entries of commands do not count: they need no app.
    """
    at = sa.type_coerce(entries.c.at, sa.BigInteger)
    pause = (at - sa.func.lag(at).over(order_by=entries.c.seq)).label("pause")
    tail = sa.select(pause).where(entries.c.seq > signed, entries.c.through != "cli").subquery()
    longest = every // timedelta(microseconds=1)
    counted = sa.case((tail.c.pause < 0, 0), (tail.c.pause > longest, longest), else_=tail.c.pause)
    worked = timedelta(microseconds=int(await connection.scalar(sa.select(sa.func.sum(counted))) or 0))
    if worked <= 2 * every + UNSIGNED_GRACE:
        return ""
    return (
        f"The audit's entries after number {signed} are covered by no signed checkpoint, though the app has worked for "
        f"{worked.total_seconds() / 3600:.1f} hours since then and signs one every {every.total_seconds() / 60:g} "
        "minutes. The newest checkpoints were removed, or they could not be written."
    )


def write(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write a checkpoint's file so that it is there whole or not at all, also after a power cut. Returns its path.

    Raises OSError. The folder should lie outside of the database's reach: another disk, another machine's share.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = path_of(checkpoint, folder)
    if target.exists() and checkpoint.hash not in target.read_text(encoding="ascii", errors="replace"):
        raise OSError(errno.EEXIST, "it holds a checkpoint of another history for the same entry", str(target))
    draft = target.with_suffix(f".{os.getpid()}.tmp")
    with draft.open("w", encoding="ascii") as file:
        file.write(canonical(checkpoint.model_dump(mode="json")) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
    _sync_folder(folder)
    return target


def path_of(checkpoint: Checkpoint, folder: Path) -> Path:
    """Return where the file of a checkpoint stands."""
    return folder / f"checkpoint-{checkpoint.seq:012d}-{checkpoint.key_id}.json"


def newest_in(folder: Path, trusted: Collection[bytes]) -> Checkpoint | None:
    """Return the newest checkpoint of a folder that a trusted key has signed; None if there is none. Raises OSError.

    A file that nobody trusted has signed proves nothing, so it can hold nothing up.
    """
    try:
        there = sorted(folder.iterdir(), reverse=True)  # unlike glob it fails if the folder cannot be read
    except FileNotFoundError:
        return None
    for path in (each for each in there if each.match(FILES)):
        with suppress(BadCheckpointError, FileNotFoundError):
            return read(path, trusted)
    return None


def set_aside(path: Path, folder: Path) -> Path:
    """Move a checkpoint's file into another folder of the same disk. Returns where it is now. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    path.rename(target)
    _sync_folder(folder)
    _sync_folder(path.parent)
    return target


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path, trusted: Collection[bytes]) -> Checkpoint:
    """Return a file's checkpoint. Raises BadCheckpointError unless a trusted key has signed it, OSError."""
    try:
        checkpoint = Checkpoint.model_validate(json.loads(path.read_bytes()))
    except (ValueError, ValidationError, RecursionError):
        raise BadCheckpointError(f"{path} is not a checkpoint: name a file that `countersign` has written.") from None
    if not is_signed(checkpoint, trusted):
        raise BadCheckpointError(
            f"{path} is not signed by a key that you trust (it names {checkpoint.key_id}): the file was changed, or it "
            "belongs to another installation."
        )
    return checkpoint


def read_folder(folder: Path, trusted: Collection[bytes]) -> tuple[Checkpoint, ...]:
    """Return all checkpoints of a folder, oldest first. Raises like `read`."""
    return tuple(read(path, trusted) for path in sorted(folder.glob(FILES)))
