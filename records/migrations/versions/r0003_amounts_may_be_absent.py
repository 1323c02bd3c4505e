"""The ledger takes requests that are not about money."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Let the amount be absent. SQLite copies the table for it."""
    with op.batch_alter_table("order_ledger") as table:
        table.alter_column("amount", existing_type=sa.Text(), nullable=True)
