"""PostgreSQL: the lock that lets one writer append to the audit, taken together with the look at the chain's end."""

from alembic import op

revision = "0011"
down_revision = "0010"

AUDIT_END = """
CREATE FUNCTION audit_end(OUT seq bigint, OUT hash text) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1668248942);
    SELECT audit.seq, audit.hash INTO seq, hash FROM audit ORDER BY audit.seq DESC LIMIT 1;
END $$
"""


def upgrade() -> None:
    """Create the function. SQLite lets one writer in at a time anyway."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(AUDIT_END)
