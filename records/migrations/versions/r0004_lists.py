"""Lists by amount, and of what waits for one person's own decision."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; an amount is a number beside its text, for sorting and bounds only."""
    op.add_column("instances", sa.Column("amount_number", sa.Float(53), nullable=True))
    op.add_column("instances", sa.Column("barred", sa.Text(), nullable=False, server_default="[]"))
    op.execute("UPDATE instances SET amount_number = CAST(amount AS DOUBLE PRECISION) WHERE amount IS NOT NULL")
    op.create_index("instances_by_amount", "instances", ["amount_number", "instance_id"])
