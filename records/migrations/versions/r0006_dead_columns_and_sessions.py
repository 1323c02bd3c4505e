"""Drop columns that nothing uses; give ended sessions rows of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Drop the columns, and add the table that the dashboard asks at each request."""
    for column in ("route", "binding", "input"):
        op.drop_column("instances", column)
    op.drop_index("intake_untold", "intake")
    for column in ("told_at", "reply"):
        op.drop_column("intake", column)
    op.create_table(
        "revoked_sessions",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id"),
    )
