"""Until when an approval may be used: lists find what has expired, and a purge keeps it."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
works_with = "0012"


def upgrade() -> None:
    """Add the column. Approvals of before have it in their state."""
    op.add_column("instances", sa.Column("valid_until", sa.BigInteger()))
