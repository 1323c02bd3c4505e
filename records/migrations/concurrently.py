"""What migrations do beside programs that write: an index that is built while clicks are taken."""

from alembic import op


def create_index(name: str, table: str, columns: list[str]) -> None:
    """Create an index without keeping writers out. One that an earlier, broken attempt left half built goes first.

    On SQLite it is built in the migration's transaction: there one process writes, and it is the one that migrates.
    """
    if op.get_context().dialect.name == "sqlite":
        op.create_index(name, table, columns)
        return
    with op.get_context().autocommit_block():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True)
