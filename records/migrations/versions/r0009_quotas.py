"""What was taken of quotas."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "quota_uses",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "instance_id"),
    )
    op.create_index("quota_uses_by_subject", "quota_uses", ["subject", "until"])
    op.create_index("quota_uses_by_end", "quota_uses", ["until"])
