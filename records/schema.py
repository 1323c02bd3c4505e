"""Brings a database's schema to the program's revision (Alembic, migrations/), or says why it must not be touched."""

from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory

from records.errors import DatabaseUnavailableError, DatabaseUnusableError
from records.tables import VERSION_TABLE, metadata, schema_floor

MIGRATIONS = Path(__file__).parent / "migrations"


def current(connection: sa.Connection, where: str) -> str | None:
    """Return the schema's revision, None for an empty database. Raises DatabaseUnusableError for a foreign one."""
    tables = set(sa.inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        _refuse_foreign(tables, connection.dialect.name, where)
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 a constant


def _refuse_foreign(tables: set[str], dialect: str, where: str) -> None:
    """Refuse an SQLite file with foreign tables. A PostgreSQL database may be shared if no name is taken twice."""
    taken = tables if dialect == "sqlite" else tables & set(metadata.tables)
    if taken:
        raise DatabaseUnusableError(
            f"The database {where} belongs to another program (it has a table {min(taken)!r} and is not marked as "
            "Countersign's). It was left as it is: name another file or database in COUNTERSIGN_DATABASE_URL."
        )


def upgrade(connection: sa.Connection, where: str, migrations: Path = MIGRATIONS) -> str:
    """Apply missing migrations and return the revision; a newer one that this program works on is left as it is.

    Inside the caller's transaction on SQLite. On PostgreSQL each migration is a transaction of its own, and may leave
    it for what must not keep writers out.
    """
    script = ScriptDirectory(str(migrations))
    now = current(connection, where)
    if now == script.get_current_head() or _is_newer(connection, now, script, where):
        return str(now)
    _apply(connection, script)
    return str(script.get_current_head())


def demand(connection: sa.Connection, where: str, migrations: Path = MIGRATIONS) -> str:
    """Return the revision if this program works on it.

    Raises: DatabaseUnavailableError if it is to be migrated first, DatabaseUnusableError if it is too new.
    """
    script = ScriptDirectory(str(migrations))
    now = current(connection, where)
    if now == script.get_current_head() or _is_newer(connection, now, script, where):
        return str(now)
    what = f"has the schema {now or 'of no program'!r}, and this program needs {script.get_current_head()!r}"
    todo = "Run `countersign migrate`; this start waits for it."
    raise DatabaseUnavailableError(f"The database {where} {what}. {todo}", f"The database {what}. {todo}")


def _is_newer(connection: sa.Connection, now: str | None, script: ScriptDirectory, where: str) -> bool:
    """Return whether the schema is a newer program's. Raises: DatabaseUnusableError if this one cannot work on it."""
    if now is None or now in {revision.revision for revision in script.walk_revisions()}:
        return False
    head = str(script.get_current_head())
    tables = sa.inspect(connection).get_table_names()
    oldest = connection.execute(sa.select(schema_floor.c.oldest)).scalar() if schema_floor.name in tables else None
    if oldest is None or head < oldest:
        raise DatabaseUnusableError(
            f"The database {where} has the schema {now!r}, which is newer than this program (it knows up to {head!r}). "
            "It was left as it is: start the newer program, or name another database."
        )
    return True


def _apply(connection: sa.Connection, script: ScriptDirectory) -> None:
    def steps(revision: str | tuple[str, ...], _: MigrationContext) -> list[RevisionStep]:
        return list(script._upgrade_revs("head", revision))  # type: ignore[arg-type]  # noqa: SLF001 as `alembic upgrade` does it

    apart = connection.dialect.name != "sqlite"
    if apart:
        connection.commit()  # what was read so far began a transaction, in which Alembic would stay
    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(
            connection=connection,
            target_metadata=metadata,
            version_table=VERSION_TABLE,
            transaction_per_migration=apart,
        )
        environment.run_migrations()
    _note_floor(connection, script)
    if apart:
        connection.commit()


def _note_floor(connection: sa.Connection, script: ScriptDirectory) -> None:
    """Write down the oldest program that works now: `works_with` of each migration, or the migration's own."""
    if schema_floor.name not in sa.inspect(connection).get_table_names():
        return  # a schema of before this was written down
    floors = [getattr(each.module, "works_with", each.revision) for each in script.walk_revisions()]
    connection.execute(sa.delete(schema_floor))
    connection.execute(sa.insert(schema_floor).values(id=1, oldest=max(floors)))
