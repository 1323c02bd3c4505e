"""Which programs work on this schema: one that is older may go on, or come back, as long as it is not below."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
works_with = "0012"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "schema_floor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("oldest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
