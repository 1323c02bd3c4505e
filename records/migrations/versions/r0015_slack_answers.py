"""What Slack said of its user groups, for all processes."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
works_with = "0012"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "slack_answers",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
