"""`countersign audit`: an auditor finds what was changed, with a file and a public key and nothing else."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from approvals.audit_actions import AuditAction
from records import audit
from records.database import Database
from tests.bot.cli.calling import Cli


@pytest.fixture
def four(local: Cli) -> Cli:
    """Write a chain of four entries."""
    for number in range(4):
        local("keys", "create", f"key {number}", "--person", "manager@example.com", "--role", "approver")
    return local


@pytest.fixture
def exported(four: Cli, tmp_path: Path) -> Path:
    four("audit", "export", "--output", "audit.jsonl")
    return tmp_path / "audit.jsonl"


def test_a_whole_chain_is_whole_in_the_database(four: Cli) -> None:
    found = four("audit", "verify")
    assert found.code == 0
    assert "The audit is whole: 4 entries up to number 4" in found.out
    assert four("audit", "verify", "-o", "json").json["ok"] is True


def test_an_export_is_checked_without_database_and_secret(four: Cli, exported: Path) -> None:
    four("audit", "checkpoint", "--dir", "elsewhere")
    key = four("audit", "public-key").out.strip()
    nothing = {"COUNTERSIGN_DATABASE_URL": "sqlite:////nowhere/x.db", "COUNTERSIGN_SECRET_KEY": ""}
    found = four(
        "audit", "verify", "--file", str(exported), "--checkpoint", "elsewhere", "--public-key", key, **nothing
    )
    assert (found.code, found.err) == (0, "")
    assert "1 signed checkpoint agrees" in found.out


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda lines: [*lines[:1], lines[1].replace("approver", "operator"), *lines[2:]], "Entry 2 was changed"),
        (lambda lines: [lines[0], *lines[2:]], "Entry 2 is missing"),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], "Entry 2 is missing"),
        (lambda lines: lines[:2], "Entry 3 is missing: the chain was cut; entry 4 was signed"),
    ],
    ids=["edited", "deleted", "swapped", "cut"],
)
def test_what_was_done_to_a_file_is_named_by_its_first_bad_entry(
    four: Cli, exported: Path, change: Callable[[list[str]], list[str]], problem: str
) -> None:
    four("audit", "checkpoint", "--dir", "elsewhere")
    lines = exported.read_text().splitlines(keepends=True)
    exported.write_text("".join(change(lines)))
    found = four("audit", "verify", "--file", str(exported), "--checkpoint", "elsewhere")
    assert found.code == 1
    assert problem in found.out


def test_an_export_that_begins_later_is_checked_from_the_checkpoint_before_it(four: Cli, tmp_path: Path) -> None:
    four("audit", "checkpoint", "--dir", "elsewhere")
    four("keys", "create", "later", "--person", "manager@example.com", "--role", "approver")
    last = four("audit", "export").out.splitlines()[-1]
    (tmp_path / "late.jsonl").write_text(last + "\n")
    alone = four("audit", "verify", "--file", "late.jsonl")
    assert (alone.code, "begins at entry 5" in alone.err) == (2, True)
    found = four("audit", "verify", "--file", "late.jsonl", "--checkpoint", "elsewhere")
    assert found.code == 0, found.out + found.err


def test_a_checkpoint_of_somebody_else_is_refused(four: Cli, tmp_path: Path) -> None:
    four("audit", "checkpoint", "--dir", "elsewhere")
    other = four("audit", "verify", "--checkpoint", "elsewhere", COUNTERSIGN_SECRET_KEY="another secret" * 4)
    assert (other.code, "not signed by a key that you trust" in other.err) == (1, True)
    file = next((tmp_path / "elsewhere").iterdir())
    file.write_text(file.read_text().replace('"seq":4', '"seq":3'))
    changed = four("audit", "verify", "--checkpoint", "elsewhere")
    assert (changed.code, "the file was changed" in changed.err) == (1, True)


def test_a_checkpoint_holds_after_the_secret_was_rotated(four: Cli, book: dict[str, str]) -> None:
    four("audit", "checkpoint", "--dir", "elsewhere")
    before = four("audit", "public-key").out
    ring = f"k2:{'n' * 40},k1:{book['COUNTERSIGN_SECRET_KEY']}"
    found = four("audit", "verify", "--checkpoint", "elsewhere", COUNTERSIGN_SECRET_KEY=ring)
    assert found.code == 0, found.err
    assert four("audit", "public-key", COUNTERSIGN_SECRET_KEY=ring).out != before


def test_a_public_key_that_is_none_is_said(four: Cli) -> None:
    found = four("audit", "verify", "--public-key", "abc")
    assert (found.code, "64 hex digits" in found.err) == (2, True)


def test_an_export_says_how_much_it_holds_and_leaves_no_draft(four: Cli, tmp_path: Path) -> None:
    said = four("audit", "export", "--format", "csv", "--output", "audit.csv")
    assert said.out == "4 entries are in audit.csv.\n"
    assert [path.name for path in tmp_path.iterdir() if "audit" in path.name] == ["audit.csv"]
    assert (tmp_path / "audit.csv").stat().st_mode & 0o077 == 0
    assert (tmp_path / "audit.csv").read_text().startswith("seq,at,actor,")


def test_an_export_can_begin_at_a_moment(four: Cli) -> None:
    assert len(four("audit", "export", "--since", "1h").out.splitlines()) == 4
    assert four("audit", "export", "--since", "2090-01-01").out == ""
    assert four("audit", "export", "--since", "whenever").code == 2


def test_a_file_that_cannot_be_written_is_a_sentence(four: Cli) -> None:
    refused = four("audit", "export", "--output", "no/such/folder/audit.jsonl")
    assert (refused.code, "cannot be written" in refused.err) == (1, True)


def test_an_entry_is_shown_by_its_number_or_its_hash(four: Cli) -> None:
    entry = four("audit", "show", "2", "-o", "json").json[0]
    assert entry["data"]["key"]["name"] == "key 1"
    assert four("audit", "show", entry["hash"], "-o", "json").json == [entry]
    assert "key.created" in four("audit", "show", "2").out
    assert four("audit", "show", "order-9-workflow").code == 3


def test_an_empty_audit_has_nothing_to_sign(local: Cli, tmp_path: Path) -> None:
    asyncio.run(migrated(tmp_path / "book.db"))
    refused = local("audit", "checkpoint")
    assert (refused.code, "nothing to sign" in refused.err) == (1, True)


async def migrated(path: Path) -> None:
    database = Database.open(f"sqlite:///{path}")
    await database.migrate()
    await database.close()


READING = [
    ("audit", "verify"), ("audit", "export"), ("audit", "show", "1"), ("audit", "checkpoint"),
    ("keys", "list"), ("keys", "revoke", "000000000000"), ("doctor", "--look"),
]  # fmt: skip


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_command_that_reads_makes_no_database_and_says_where_it_looked(
    local: Cli, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """In a wrong folder `audit verify` made an empty database and called it whole."""
    ran = local(*words)
    assert (ran.code, str(tmp_path / "book.db") in ran.err) == (3, True)
    assert not (tmp_path / "book.db").exists()


def test_a_checkpoint_folder_that_is_not_made_yet_is_no_sign_of_tampering(four: Cli, tmp_path: Path) -> None:
    ran = four("audit", "verify", COUNTERSIGN_CHECKPOINT_DIR=str(tmp_path / "later"))
    assert (ran.code, "no checkpoint was compared" in ran.out) == (0, True)


def test_a_checkpoint_folder_that_was_emptied_is_found(four: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    assert four("audit", "checkpoint", "--dir", str(folder)).code == 0
    for each in folder.iterdir():
        each.unlink()
    ran = four("audit", "verify", COUNTERSIGN_CHECKPOINT_DIR=str(folder))
    assert (ran.code, "the files were taken away" in ran.err) == (1, True)


async def worked(path: Path, *ago_h: float, through: str = "workflow") -> None:
    """Write an entry for each of these hours before now."""
    await migrated(path)
    database = Database.open(f"sqlite:///{path}")
    async with database.write() as connection:
        for hours in ago_h:
            at = datetime.now(UTC) - timedelta(hours=hours)
            entry = audit.Entry(at=at, actor="system", action=AuditAction.SESSION_BEGAN, through=through)
            await audit.append(connection, entry)
    await database.close()


def test_an_audit_whose_checkpoints_were_all_taken_away_is_not_proven(local: Cli, tmp_path: Path) -> None:
    # Without rows and without files it was said to be whole.
    folder = tmp_path / "kept"
    asyncio.run(worked(tmp_path / "book.db", *(each / 2 for each in range(10, 0, -1))))
    kept = {"COUNTERSIGN_CHECKPOINT_DIR": str(folder)}
    assert local("audit", "checkpoint", **kept).code == 0
    assert local("audit", "verify", **kept).code == 0
    for each in folder.iterdir():
        each.unlink()
    with sqlite3.connect(tmp_path / "book.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.execute("DELETE FROM checkpoints")
    ran = local("audit", "verify", **kept)
    assert (ran.code, "covered by no signed checkpoint" in ran.err) == (1, True), ran


NOT_WORKED = {
    "an hour": ((1.0, 0.5, 0.0), "workflow"),
    "an hour, and a minute three days later": ((73.0, 72.5, 72.1, 0.02, 0.0), "workflow"),
    "commands alone, for days": ((72.0, 48.0, 24.0, 23.0, 22.0, 1.0, 0.0), "cli"),
}


@pytest.mark.parametrize(("ago_h", "through"), NOT_WORKED.values(), ids=NOT_WORKED)
def test_an_app_that_has_not_worked_for_long_needs_no_checkpoint_yet(
    local: Cli, tmp_path: Path, ago_h: tuple[float, ...], through: str
) -> None:
    asyncio.run(worked(tmp_path / "book.db", *ago_h, through=through))
    ran = local("audit", "verify", COUNTERSIGN_CHECKPOINT_DIR=str(tmp_path / "later"))
    assert (ran.code, "no checkpoint was compared" in ran.out) == (0, True), ran


def test_an_edit_in_the_database_is_found(four: Cli, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "book.db")
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in triggers:
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 3")
    connection.commit()
    connection.close()
    found = four("audit", "verify")
    assert (found.code, "Entry 3 was changed" in found.out) == (1, True)


def test_the_public_key_is_32_bytes_and_has_a_name(four: Cli) -> None:
    found = four("audit", "public-key", "-o", "json").json
    assert len(bytes.fromhex(found["public_key"])) == 32
    assert found["algorithm"] == "Ed25519"
    assert json.dumps(found).count(found["key_id"]) == 1


def test_who_decided_what_is_one_search_and_one_file(local: Cli, tmp_path: Path) -> None:
    asyncio.run(decided(tmp_path / "book.db"))
    found = local("audit", "decisions", "--above", "5000", "-o", "json").json
    assert [(each["order"], each["amount"], each["answer"], each["person"]) for each in found] == [
        ("43", "9000", "approved", "T1/U2")
    ]
    everything = local("audit", "decisions", "-o", "csv").out.splitlines()
    assert (len(everything), everything[0].split(",")[:4]) == (3, ["entry", "at", "answer", "order"])
    assert "within the budget" in local("audit", "decisions", "--order", "43").out
    none = local("audit", "decisions", "--since", "2020-01-01", "--until", "2020-02-01")
    assert (none.code, "No decision fits" in none.err) == (0, True)
    wrong = local("audit", "decisions", "--above", "much")
    assert (wrong.code, "--above is not usable" in wrong.err) == (2, True)


async def decided(path: Path) -> None:
    await migrated(path)
    database = Database.open(f"sqlite:///{path}")
    async with database.write() as connection:
        for subject, amount in (("42", "2400"), ("43", "9000")):
            about = {"subject": subject, "kind": "order", "amount": amount, "currency": "USD", "approved": True}
            entry = audit.Entry(
                at=datetime.now(UTC),
                actor="T1/U2",
                action=AuditAction.REQUEST_ACCEPTED,
                instance_id=f"order-{subject}-workflow",
                reason="within the budget",
                through="slack",
                data=about,
            )
            await audit.append(connection, entry)
    await database.close()
