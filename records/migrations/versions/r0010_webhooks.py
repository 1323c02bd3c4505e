"""What other systems are told of ends, and the use of approvals."""

import sqlalchemy as sa
from alembic import op

BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the table, and add the columns."""
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", BYTEWISE, nullable=False),
        sa.Column("instance_id", BYTEWISE, nullable=False),
        sa.Column("signer", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger()),
        sa.Column("last_status", sa.Integer()),
        sa.Column("problem", sa.Text(), nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("over_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
    )
    due = sa.text("state = 'due'")
    op.create_index(
        "webhooks_due", "webhook_deliveries", ["next_attempt_at", "id"], sqlite_where=due, postgresql_where=due
    )
    op.create_index("webhooks_by_creation", "webhook_deliveries", ["created_at", "id"])
    op.create_index("webhooks_by_instance", "webhook_deliveries", ["instance_id", "created_at"])
    op.add_column("instances", sa.Column("callback", sa.Text()))
    op.add_column("instances", sa.Column("consumed_at", sa.BigInteger()))
    op.add_column("instances", sa.Column("consumed_by", sa.Text()))
    op.add_column("keys", sa.Column("callback_hosts", sa.Text()))
    op.add_column("keys", sa.Column("webhook_round", sa.Integer(), nullable=False, server_default="1"))
