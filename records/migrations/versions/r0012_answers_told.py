"""PostgreSQL: tell the processes that listen which decision is answered, when the answer is committed."""

from alembic import op

revision = "0012"
down_revision = "0011"

TELLS = """
CREATE FUNCTION intake_tells() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('countersign_answers', left(NEW.id, 2000));
    RETURN NULL;
END $$
"""
ON_ANSWER = """
CREATE TRIGGER intake_tells AFTER UPDATE OF verdict ON intake FOR EACH ROW
WHEN (OLD.verdict IS NULL AND NEW.verdict IS NOT NULL) EXECUTE FUNCTION intake_tells()
"""


def upgrade() -> None:
    """Create the trigger. With SQLite the processes look instead."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(TELLS)
        op.execute(ON_ANSWER)
