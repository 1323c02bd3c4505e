"""The audit chain: what the database refuses, what a check finds, what an export holds."""

import asyncio
import csv
import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from records import audit, chain, checkpoints
from records.audit import Entry, EntryFilter
from records.audit_export import export, harmless
from records.checkpoints import BadCheckpointError, Signer
from records.database import Database

SIGNER = Signer.from_seed(b"\7" * 32)
SAME = ", ".join(column.name for column in audit.audit.c if column.name not in {"seq", "prev", "hash"})
HOSTILE = 'a "quote", a\nline, \x1b[31m red, \u202e turned, \ud800 half and \0 nothing'


async def append(database: Database, count: int, now: datetime, **fields: Any) -> None:
    values = {"actor": "T1/U1", "action": "accepted", "instance_id": "order-1-workflow"} | fields
    for number in range(count):
        async with database.write() as connection:
            await audit.append(connection, Entry(at=now + timedelta(seconds=number), data={"n": number}, **values))


async def lines(database: Database, **options: Any) -> list[str]:
    return [line.rstrip("\n") async for line in export(database, **options)]


async def test_entries_are_numbered_without_gaps_and_each_holds_the_hash_before_it(
    database: Database, now: datetime
) -> None:
    await append(database, 5, now)
    async with database.read() as connection:
        entries = (await audit.page(connection))[::-1]
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5]
    assert entries[0].prev == chain.GENESIS
    assert all(later.prev == earlier.hash for earlier, later in pairwise(entries))


async def test_whatever_people_type_is_stored_exported_and_still_verifies(database: Database, now: datetime) -> None:
    await append(database, 2, now, actor=HOSTILE, reason=HOSTILE, correlation_id="😀")
    async with database.read() as connection:
        entry = await audit.show(connection, 2)
    assert entry.reason == HOSTILE.replace("\0", "\ufffd").replace("\ud800", "\ufffd")
    found = await lines(database)
    assert all(line.isascii() and line.isprintable() for line in found)
    assert chain.verify(found).ok
    assert (await audit.verify(database)).ok


async def test_an_entry_s_line_is_canonical_json_and_parses_to_what_was_appended(
    database: Database, now: datetime
) -> None:
    fields = {name: f"{name} {HOSTILE}" for name in Entry.model_fields if name not in {"at", "data"}}
    async with database.write() as connection:
        await audit.append(connection, Entry(at=now, data={"z": [1.5, None, HOSTILE], "a": {}}, **fields))
    async with database.read() as connection:
        entry = await audit.show(connection, 1)
    assert entry is not None
    parsed = json.loads((await lines(database))[0])
    assert chain.line({name: parsed[name] for name in chain.FIELDS})[0] == (await lines(database))[0]
    assert parsed == json.loads(
        json.dumps(entry.model_dump(mode="python") | {"at": now.isoformat(timespec="microseconds")})
    )


async def test_an_entry_that_is_rolled_back_leaves_no_gap(database: Database, now: datetime) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 the block is what is tested
        async with database.write() as connection:
            await audit.append(connection, Entry(at=now, actor="a", action="lost"))
            raise ZeroDivisionError
    await append(database, 1, now)
    assert (await audit.verify(database)).seq == 1


async def test_data_that_is_no_json_is_refused_before_anything_is_written(database: Database, now: datetime) -> None:
    with pytest.raises(ValueError, match="JSON"):
        async with database.write() as connection:
            await audit.append(connection, Entry(at=now, actor="a", action="b", data={"x": float("nan")}))
    assert (await audit.verify(database)).entries == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'somebody else' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 3",
        "DELETE FROM audit",
        f"INSERT INTO audit SELECT 9, {SAME}, 'p', 'h' FROM audit WHERE seq = 3",  # noqa: S608 columns' names
        f"INSERT INTO audit SELECT 4, {SAME}, 'a fork', 'h' FROM audit WHERE seq = 3",  # noqa: S608 same
    ],
)
async def test_the_database_itself_refuses_to_change_an_entry_or_to_fork(
    database: Database, now: datetime, statement: str
) -> None:
    await append(database, 3, now)
    with pytest.raises(sa.exc.DBAPIError, match="audit"):
        async with database.write() as connection:
            await connection.execute(sa.text(statement))
    assert (await audit.verify(database)).entries == 3


async def test_sqlite_refuses_to_replace_an_entry(sqlite: Database, now: datetime) -> None:
    await append(sqlite, 1, now)
    with pytest.raises(sa.exc.DBAPIError, match="audit"):
        async with sqlite.write() as connection:
            await connection.execute(sa.text("INSERT OR REPLACE INTO audit SELECT * FROM audit"))


async def test_postgres_refuses_to_truncate(database: Database, now: datetime) -> None:
    if database.dialect == "postgresql":
        await append(database, 1, now)
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            async with database.write() as connection:
                await connection.execute(sa.text("TRUNCATE audit"))


@pytest.mark.parametrize(
    ("wanted", "seqs"),
    [
        (EntryFilter(instance_id="i2"), [4, 3]),
        (EntryFilter(actor="T/bea"), [4]),
        (EntryFilter(action="refused"), [2]),
        (EntryFilter(correlation_id="c1", action="accepted"), [1]),
    ],
)
async def test_entries_are_found_by_what_they_say(
    database: Database, now: datetime, wanted: EntryFilter, seqs: list[int]
) -> None:
    for actor, action, instance_id, correlation_id in [
        ("T/ada", "accepted", "i1", "c1"),
        ("T/ada", "refused", "i1", "c1"),
        ("T/ada", "accepted", "i2", "c2"),
        ("T/bea", "accepted", "i2", "c3"),
    ]:
        await append(
            database, 1, now, actor=actor, action=action, instance_id=instance_id, correlation_id=correlation_id
        )
    async with database.read() as connection:
        assert [entry.seq for entry in await audit.page(connection, wanted)] == seqs
        assert [entry.seq for entry in await audit.page(connection, wanted, before=4, limit=1)] == [
            seq for seq in seqs if seq < 4
        ][:1]


async def test_entries_are_found_by_time_and_shown_by_seq_or_hash(database: Database, now: datetime) -> None:
    await append(database, 5, now)
    async with database.read() as connection:
        wanted = EntryFilter(since=now + timedelta(seconds=1), until=now + timedelta(seconds=3))
        assert [entry.seq for entry in await audit.page(connection, wanted)] == [3, 2]
        third = await audit.show(connection, "3")
        assert await audit.show(connection, third.hash) == third
        assert await audit.show(connection, "9" * 40) is None


async def test_an_export_from_a_day_on_is_verified_after_the_checkpoint_before_it(
    sqlite: Database, now: datetime
) -> None:
    await append(sqlite, 10, now)
    late = await lines(sqlite, since=now + timedelta(seconds=4))
    assert json.loads(late[0])["seq"] == 5
    async with sqlite.read() as connection:
        fourth = await audit.show(connection, 4)
    before = SIGNER.sign(4, fourth.hash, now)
    assert chain.verify(late, after=before).ok
    assert chain.verify(late).first_bad == 1


async def test_a_csv_export_has_no_formulas_and_no_line_that_a_user_made(sqlite: Database, now: datetime) -> None:
    await append(sqlite, 1, now, reason='=HYPERLINK("http://x")', actor="@SUM(A1)\r\n2,forged,line")
    text = "".join([part async for part in export(sqlite, "csv")])
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == 2
    assert rows[1][2] == "'@SUM(A1)\\r\\n2,forged,line"
    assert rows[1][8] == '\'=HYPERLINK("http://x")'


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1", "'\\t=1"),
        ("\r=1", "'\\r=1"),
        ("  =1", "'  =1"),
        ("\uff1d1", "'\uff1d1"),
        ("a\x1b[2Jb\u202ec", "a\\x1b[2Jb\\u202ec"),
    ],
)
def test_a_cell_is_one_line_and_no_formula(text: str, cell: str) -> None:
    assert harmless(text) == cell


# ---- tampering -------------------------------------------------------------------------------------------


def built(count: int, seed: int = 0, prev: str = chain.GENESIS, first: int = 1) -> list[str]:
    """Build a chain in memory."""
    found: list[str] = []
    for seq in range(first, first + count):
        body = dict.fromkeys(chain.FIELDS, "") | {"seq": seq, "prev": prev, "data": {"n": seq * 7 + seed}}
        text, prev = chain.line(body | {"actor": f"T1/U{seq % 5}", "at": f"2025-01-01T00:00:00.{seq:06}Z"})
        found.append(text)
    return found


def rewritten(text: str, **fields: object) -> str:
    """Change an entry as somebody does who knows how hashes are made."""
    body = json.loads(text) | fields
    del body["hash"]
    return chain.line(body)[0]


WHOLE = built(120)
SIGNED = [SIGNER.sign(seq, json.loads(WHOLE[seq - 1])["hash"], chain_at) for seq, chain_at in
          ((seq, json.loads(WHOLE[seq - 1])["at"]) for seq in (40, 80, 120))]  # fmt: skip


def tampered(chance: random.Random) -> tuple[str, list[str], int, int]:
    """Return what was done, the lines, and between which entries the first bad one must be named."""
    kind = chance.choice(
        ["edit", "clever edit", "character", "deletion", "swap", "tail cut", "fork", "insertion", "twice"]
    )
    found, at = list(WHOLE), chance.randrange(1, len(WHOLE))
    seq = at + 1
    match kind:
        case "edit":
            found[at] = found[at].replace('"T1/U', f'"T{chance.randrange(2, 9)}/U')
        case "clever edit":
            found[at] = rewritten(found[at], actor="T9/MALLORY")
        case "character":
            where = chance.randrange(len(found[at]))
            found[at] = found[at][:where] + chr((ord(found[at][where]) + 1) % 128) + found[at][where + 1 :]
        case "deletion":
            del found[at]
        case "swap":
            other = chance.choice([number for number in range(len(found)) if number != at])
            found[at], found[other] = found[other], found[at]
            seq = min(at, other) + 1
        case "tail cut":
            del found[at:]
        case "fork":
            found[at:] = built(len(WHOLE) - at, seed=1, prev=json.loads(found[at - 1])["hash"], first=seq)
            return kind, found, seq, next(point.seq for point in SIGNED if point.seq >= seq)
        case "insertion":
            found.insert(at, rewritten(found[at], actor="T9/MALLORY"))
        case "twice":
            found.insert(at, found[at - 1])
            seq = at
    return kind, found, seq, seq


def test_one_thousand_edits_deletions_swaps_cuts_and_forks_are_all_found_and_the_first_bad_entry_is_named() -> None:
    chance, missed, kinds = random.Random(20250301), [], set()
    for _ in range(1000):
        kind, found, lowest, highest = tampered(chance)
        result = chain.verify(found, SIGNED)
        kinds.add(kind)
        if result.ok or not lowest <= (result.first_bad or 0) <= highest or str(result.first_bad) not in result.problem:
            missed.append((kind, lowest, highest, result))
    assert missed == []
    assert len(kinds) == 9


def test_a_whole_chain_is_whole_with_and_without_checkpoints() -> None:
    assert chain.verify(WHOLE).ok
    result = chain.verify([line + "\r\n" for line in WHOLE], SIGNED)
    assert (result.ok, result.entries, result.seq, result.checkpoints) == (True, 120, 120, 3)


@pytest.mark.parametrize(
    "spelling",
    [
        lambda line: line.replace('":"', '": "', 1),
        lambda line: line.replace("{", '{"actor":"T9/X",', 1),
        lambda line: line.replace('"action":""', '"action":"","extra":1'),
        lambda _: "",
        lambda _: "[]",
        lambda _: "[" * 100_000,
        lambda _: "\ud800",
        lambda line: line[:-1],
        lambda line: line + " ",
    ],
)
def test_an_entry_in_any_other_spelling_is_bad(spelling: Callable[[str], str]) -> None:
    assert chain.verify([*WHOLE[:4], spelling(WHOLE[4]), *WHOLE[5:]]).first_bad == 5


# ---- checkpoints -----------------------------------------------------------------------------------------


async def test_a_checkpoint_is_signed_kept_and_written_outside_and_verifies_offline(
    database: Database, tmp_path: Path, now: datetime
) -> None:
    await append(database, 4, now)
    async with database.write() as connection:
        taken = await checkpoints.take(connection, SIGNER, now)
        await checkpoints.take(connection, SIGNER, now)
    path = checkpoints.write(taken, tmp_path / "elsewhere")
    async with database.read() as connection:
        assert await checkpoints.kept(connection) == (taken,)
    read = checkpoints.read_folder(tmp_path / "elsewhere", [SIGNER.public_key])
    assert read == (taken,)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert chain.verify(await lines(database), read).checkpoints == 1


async def test_an_empty_audit_has_no_checkpoint(sqlite: Database, now: datetime) -> None:
    async with sqlite.write() as connection:
        assert await checkpoints.take(connection, SIGNER, now) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"seq":1}',
        json.dumps(SIGNED[0].model_dump(mode="json") | {"seq": 41}).encode(),
        json.dumps(SIGNED[0].model_dump(mode="json") | {"hash": "0" * 64}).encode(),
        json.dumps(SIGNED[0].model_dump(mode="json") | {"signature": "zz"}).encode(),
        json.dumps(Signer.from_seed(b"\1" * 32).sign(40, "f" * 64, SIGNED[0].at).model_dump(mode="json")).encode(),
    ],
)
def test_a_checkpoint_that_no_trusted_key_has_signed_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint-1.json"
    path.write_bytes(content)
    with pytest.raises(BadCheckpointError, match="is not"):
        checkpoints.read(path, [SIGNER.public_key])


async def undone(database: Database, now: datetime) -> None:
    async with database.write() as connection:
        await audit.append(connection, Entry(at=now, actor="T1/U1", action="undone"))
        raise ZeroDivisionError


async def test_who_knows_an_older_end_of_the_chain_appends_at_the_true_one(
    database: Database, place: str, now: datetime
) -> None:
    other = Database.open(place)
    for count in (1, 2, 40, 3):
        for writer in (database, other, other):
            async with writer.write() as connection:
                for number in range(count):
                    await audit.append(connection, Entry(at=now, actor="T1/U1", action="asked", data={"n": number}))
        with pytest.raises(ZeroDivisionError):
            await undone(database, now)
    await other.close()
    result = await audit.verify(database)
    assert (result.ok, result.entries) == (True, 3 * 46)


# ---- two processes ---------------------------------------------------------------------------------------

APPENDER = """
import asyncio, sys
from datetime import UTC, datetime
from records import audit
from records.database import Database

async def main(url: str, actor) -> None:
    database = Database.open(url)
    await database.migrate()

    async def one(number) -> None:
        async with database.write() as connection:
            await audit.append(connection, audit.Entry(at=datetime.now(UTC), actor=actor, action=str(number)))

    await asyncio.gather(*(one(number) for number in range(100)))
    await database.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
async def test_two_processes_that_append_at_once_never_fork_the_chain(database: Database, place: str) -> None:
    def run(actor: str) -> str:
        command = [sys.executable, "-c", APPENDER, place, actor]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr

    assert await asyncio.gather(asyncio.to_thread(run, "one"), asyncio.to_thread(run, "two")) == ["", ""]
    result = await audit.verify(database)
    assert (result.ok, result.entries) == (True, 200)
