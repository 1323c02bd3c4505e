"""`countersign audit`: check the chain, export it, look at it, sign its end. Reads; only `checkpoint` writes."""

import itertools
import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, TextIO

import typer

from approvals.orders import instance_id_of
from bot.cli import audit_key, output
from bot.cli.audit_decisions import decisions
from bot.cli.database_session import with_database
from bot.cli.local_commands import settings_or_exit
from bot.cli.moments import moment
from bot.cli.output import Format, Output
from bot.process.settings import Settings
from records import audit, audit_export, chain, checkpoints, unproven
from records.chain import Checkpoint, Verification
from records.checkpoints import BadCheckpointError
from records.database import Database
from records.unproven import Unproven

app = typer.Typer(help="The audit: verify it, export it, show entries, sign checkpoints.", no_args_is_help=True)

app.command("decisions")(decisions)

COLUMNS = ("SEQ", "AT", "ACTOR", "ACTION", "THROUGH", "VERDICT", "REASON")
PublicKey = Annotated[
    list[str] | None,
    typer.Option("--public-key", help="trust this key (64 hex digits) instead of COUNTERSIGN_SECRET_KEY's"),
]


@app.command()
def verify(
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="a checkpoint's file, or a folder of them; more than once")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="check an export (jsonl) instead of the database")] = None,
    public_key: PublicKey = None,
    output_as: Output = Format.TABLE,
) -> None:
    """Check that no entry was changed, deleted, swapped or cut off, and none lacks what must stand before it.

    Exit code 1 names the first bad entry, or those that lack their evidence.

    With --file nothing else is needed: no database, and with --public-key no secret either.

    Example: countersign audit verify --file audit.jsonl --checkpoint checkpoints/ --public-key 3b6a…
    """
    if file is not None:
        found = _verified_file(file, _given(checkpoint or [], public_key))
        lacking = _lacking_in(file) if found.ok else []
    else:
        settings = settings_or_exit()
        given = _given(checkpoint or [], public_key)
        outside = _outside(settings, public_key)
        every = timedelta(minutes=settings.checkpoint_every_minutes)
        found = with_database(
            settings, lambda database: _verified(database, given, outside, _trusted(settings, public_key), every)
        )
        lacking = with_database(settings, _lacking) if found.ok else []
    if output_as is Format.JSON:
        told = [each.model_dump(mode="json") | {"sentence": each.sentence} for each in lacking]
        output.print_json(found.model_dump(mode="json") | {"unproven": told})
    else:
        output.say("\n".join([_sentence(found), *_unproven_lines(lacking)]))
    if not found.ok or lacking:
        raise typer.Exit(output.FAILED)


def _sentence(found: Verification) -> str:
    if not found.ok:
        return f"The audit is NOT whole. {found.problem}\n{found.entries} entries before it are whole."
    signed = f"{found.checkpoints} signed checkpoint{'s' * (found.checkpoints != 1)}"
    agree = f"{signed} agree{'s' * (found.checkpoints == 1)}" if found.checkpoints else "no checkpoint was compared"
    return f"The audit is whole: {found.entries} entries up to number {found.seq}, {agree}.\nLast hash: {found.hash}"


MOST_LACKING = 20
"""Entries that are named; of the rest the number is told."""


def _unproven_lines(lacking: list[Unproven]) -> list[str]:
    if not lacking:
        return []
    said = [f"{len(lacking)} entries lack what has to stand before them:", *(each.sentence for each in lacking)]
    rest = len(lacking) - MOST_LACKING
    return [*said[: MOST_LACKING + 1], *([f"and {rest} more."] if rest > 0 else [])]


async def _lacking(database: Database) -> list[Unproven]:
    return [each async for each in unproven.find(database)]


def _lacking_in(file: Path) -> list[Unproven]:
    """Return the same of an export that begins with the first entry; of another one nothing can be said."""
    with file.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        first = next(lines, "")
        if _first_seq(first) != 1:
            return []
        return list(unproven.of_lines(json.loads(line) for line in itertools.chain([first], lines) if line.strip()))


def _given(paths: Iterable[Path], public_key: list[str] | None) -> list[Checkpoint]:
    """Return the checkpoints of files and folders. Ends with a message for one that nobody trusted has signed."""
    found: list[Checkpoint] = []
    keys = None
    for path in paths:
        keys = keys or _trusted(settings_or_exit() if not public_key else None, public_key)
        try:
            each = checkpoints.read_folder(path, keys) if path.is_dir() else (checkpoints.read(path, keys),)
        except (BadCheckpointError, OSError) as error:
            output.fail(_why(error, path), output.FAILED)
        if not each:
            output.fail(f"{path} holds no checkpoint, so nothing was compared: name the folder that has them.")
        found += each
    return found


def _outside(settings: Settings, public_key: list[str] | None) -> list[Checkpoint] | None:
    """Return the checkpoints in COUNTERSIGN_CHECKPOINT_DIR: none before the first one, None if it is not set."""
    folder = settings.checkpoint_dir
    if folder is None:
        return None
    return _given([folder], public_key) if any(folder.glob(checkpoints.FILES)) else []


def _trusted(settings: Settings | None, public_key: list[str] | None) -> list[bytes]:
    if public_key or settings is None:
        return [audit_key.public_key(each) for each in public_key or []]
    return audit_key.trusted(settings)


def _why(error: Exception, path: Path) -> str:
    return f"{path} cannot be read: {error.strerror}." if isinstance(error, OSError) else str(error)


async def _verified(
    database: Database,
    given: list[Checkpoint],
    outside: list[Checkpoint] | None,
    trusted: list[bytes],
    every: timedelta,
) -> Verification:
    async with database.read() as connection:
        kept = await checkpoints.kept(connection)
    if kept and outside == []:
        output.fail(
            f"COUNTERSIGN_CHECKPOINT_DIR holds no checkpoint, and the database holds {len(kept)} that were written "
            "there too: the files were taken away, or the setting names another folder. Put them back, or correct it."
        )
    for each in kept:
        if not checkpoints.is_signed(each, trusted):
            output.fail(
                f"The checkpoint of entry {each.seq} in the database is not signed by a trusted key (it names "
                f"{each.key_id}): it was changed, or the key was rotated away. Give the old key with --public-key, and "
                "yours."
            )
    compared = [*given, *(outside or []), *kept]
    found = await audit.verify(database, compared)
    async with database.read() as connection:
        missing = await checkpoints.missing(connection, max((each.seq for each in compared), default=0), every)
    if found.ok and missing:
        output.fail(f"The chain is whole in itself, but its end is not proven. {missing}")
    return found


def _verified_file(file: Path, given: list[Checkpoint]) -> Verification:
    try:
        with file.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            start = _first_seq(lines.readline())
            lines.seek(0)
            after = next((each for each in given if each.seq == start - 1), None)
            if start > 1 and after is None:
                output.fail(
                    f"{file} begins at entry {start}. To check it, give the checkpoint of entry {start - 1} with "
                    "--checkpoint, or export from the beginning.",
                    output.MISUSED,
                )
            return chain.verify(lines, [each for each in given if each.seq >= start], after)
    except OSError as error:
        output.fail(f"{file} cannot be read: {error.strerror}.", output.NOT_FOUND)


def _first_seq(line: str) -> int:
    try:
        return int(json.loads(line)["seq"])
    except (ValueError, KeyError, TypeError):
        return 1  # the check itself says what is wrong with it


@app.command()
def export(
    form: Annotated[
        Literal["jsonl", "csv"], typer.Option("--format", help="jsonl can be verified, csv is for a spreadsheet")
    ] = "jsonl",
    since: Annotated[str | None, typer.Option(help="a date, or how long ago: 30d")] = None,
    file: Annotated[Path | None, typer.Option("--output", help="the file to write; default: standard output")] = None,
) -> None:
    """Write the audit as a file. It appears under its name only when it is whole.

    Example: countersign audit export --format jsonl --since 30d --output audit.jsonl
    """
    start = moment(since, datetime.now(UTC)) if since else None
    settings = settings_or_exit()
    if file is None:
        with_database(settings, lambda database: _write(database, form, start, sys.stdout))
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with draft.open("x", encoding="utf-8", newline="") as target:
            draft.chmod(0o600)
            count = with_database(settings, lambda database: _write(database, form, start, target, shown=True))
        draft.replace(file)
    except OSError as error:
        output.fail(f"{file} cannot be written: {error.strerror}. Name another file or folder.")
    finally:
        draft.unlink(missing_ok=True)
    output.say(f"{count} entries are in {file}.")


async def _write(
    database: Database, form: Literal["jsonl", "csv"], since: datetime | None, target: TextIO, *, shown: bool = False
) -> int:
    async with database.read() as connection:
        head = await audit.head(connection)
    count = 0
    with output.progress("Exporting", head.seq if head else 0, shown=shown) as advance:
        async for line in audit_export.export(database, form, since):
            target.write(line)
            count += 1
            advance(1)
    return count - (form == "csv")


@app.command()
def show(
    reference: Annotated[str, typer.Argument(metavar="ID", help="an entry's number or hash, or an instance's id")],
    *,
    order: Annotated[bool, typer.Option("--order", help="ID is an order's id, also where it is a number")] = False,
    output_as: Output = Format.TABLE,
) -> None:
    """Show one entry in full, or all entries of an instance or order. Purging an instance leaves them.

    Example: countersign audit show order-42-workflow
    """

    async def find(database: Database) -> tuple[audit.Chained, ...]:
        async with database.read() as connection:
            if not order and (one := await audit.show(connection, reference)) is not None:
                return (one,)
            found = () if order else await audit.of_instance(connection, reference, limit=10_000)
            return found or await audit.of_instance(connection, instance_id_of(reference), limit=10_000)

    found = with_database(settings_or_exit(), find)
    if not found:
        output.fail(
            f"The audit has no entry {reference[:100]}, and none of such an instance or order. "
            "`countersign audit export` gives everything.",
            output.NOT_FOUND,
        )
    lines = [each.model_dump(mode="json") for each in found]
    if len(found) == 1 and output_as is Format.TABLE:
        output.fields(lines[0])
    else:
        output.rows(COLUMNS, lines, output_as)


@app.command("checkpoint")
def take_checkpoint(
    folder: Annotated[
        Path | None, typer.Option("--dir", help="write it there too; default COUNTERSIGN_CHECKPOINT_DIR")
    ] = None,
    output_as: Output = Format.TABLE,
) -> None:
    """Sign the chain's end now. Keep the file where the database's administrators cannot change it.

    Example: countersign audit checkpoint --dir /mnt/elsewhere/checkpoints
    """
    settings = settings_or_exit()
    signer = audit_key.signer(settings)
    where = folder or settings.checkpoint_dir

    async def sign(database: Database) -> Checkpoint | None:
        async with database.write() as connection:
            return await checkpoints.take(connection, signer, datetime.now(UTC))

    made = with_database(settings, sign)
    if made is None:
        output.fail("The audit is empty: there is nothing to sign yet.")
    try:
        path = checkpoints.write(made, where) if where else None
    except OSError as error:
        output.fail(
            f"The checkpoint of entry {made.seq} is in the database, but {where} cannot be written: {error.strerror}."
        )
    if output_as is Format.JSON:
        output.print_json(made.model_dump(mode="json"))
        return
    output.say(f"Entry {made.seq} is signed by key {made.key_id}{f': {path}' if path else ''}.")
    if path is None:
        output.say("It is in the database only. With --dir it is also kept where the database's reach ends.")


@app.command("public-key")
def show_public_key(output_as: Output = Format.TABLE) -> None:
    """Print the public key of the checkpoints. Give it to the auditor: it checks everything and signs nothing.

    Example: countersign audit public-key
    """
    signer = audit_key.signer(settings_or_exit())
    if output_as is Format.JSON:
        output.print_json({"key_id": signer.key_id, "public_key": signer.public_key.hex(), "algorithm": "Ed25519"})
    else:
        output.say(signer.public_key.hex())
