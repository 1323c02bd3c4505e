"""Brings a database's schema to the program's revision (Alembic, migrations/), or says why it must not be touched."""

from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory

from records.errors import DatabaseUnusableError
from records.tables import VERSION_TABLE, metadata

MIGRATIONS = Path(__file__).parent / "migrations"


def current(connection: sa.Connection, where: str) -> str | None:
    """Return the schema's revision, None for an empty database. Raises DatabaseUnusableError for a foreign one."""
    tables = set(sa.inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        _refuse_foreign(tables, connection.dialect.name, where)
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 a constant


def _refuse_foreign(tables: set[str], dialect: str, where: str) -> None:
    """Refuse a file with anybody's tables; a PostgreSQL database may be shared as long as no name is taken twice."""
    taken = tables if dialect == "sqlite" else tables & set(metadata.tables)
    if taken:
        raise DatabaseUnusableError(
            f"The database {where} belongs to another program (it has a table {min(taken)!r} and is not marked as "
            "Countersign's). It was left as it is: name another file or database in COUNTERSIGN_DATABASE_URL."
        )


def upgrade(connection: sa.Connection, where: str) -> str:
    """Apply missing migrations inside the caller's transaction and return the revision."""
    script = ScriptDirectory(str(MIGRATIONS))
    head = str(script.get_current_head())
    now = current(connection, where)
    if now == head:
        return head
    if now is not None and now not in {revision.revision for revision in script.walk_revisions()}:
        raise DatabaseUnusableError(
            f"The database {where} has the schema {now!r}, which is newer than this program (it knows up to {head!r}). "
            "It was left as it is: start the newer program, or name another database."
        )
    _apply(connection, script)
    return head


def _apply(connection: sa.Connection, script: ScriptDirectory) -> None:
    def steps(revision: str | tuple[str, ...], _: MigrationContext) -> list[RevisionStep]:
        return list(script._upgrade_revs("head", revision))  # type: ignore[arg-type]  # noqa: SLF001 as `alembic upgrade` does it

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE)
        environment.run_migrations()
