"""The first schema. Written out in full: a migration must not change when tables.py does."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def where(condition: str) -> dict[str, Any]:
    """Return a partial index's condition for both databases."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Create everything."""
    create_audit()
    create_bulk_items()
    create_bulk_operations()
    create_checkpoints()
    create_instance_words()
    create_instances()
    create_intake()
    create_keys()
    create_order_ledger()
    create_policies()
    create_replays()
    create_sent()
    create_waiting()
    guard_audit()


def create_audit() -> None:
    """Create the table."""
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("through", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("prev", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("hash"),
        sa.UniqueConstraint("prev"),
    )
    op.create_index("audit_by_action", "audit", ["action", "at"])
    op.create_index("audit_by_actor", "audit", ["actor", "seq"])
    op.create_index("audit_by_correlation", "audit", ["correlation_id"])
    op.create_index("audit_by_instance", "audit", ["instance_id", "seq"])
    op.create_index("audit_by_time", "audit", ["at"])


def create_bulk_items() -> None:
    """Create the table."""
    op.create_table(
        "bulk_items",
        sa.Column("operation_id", sa.Text(), nullable=False),
        sa.Column("instance_id", BYTEWISE, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id", "instance_id"),
    )
    op.create_index("bulk_items_by_state", "bulk_items", ["operation_id", "state", "instance_id"])


def create_bulk_operations() -> None:
    """Create the table."""
    op.create_table(
        "bulk_operations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("bulk_by_creation", "bulk_operations", ["created_at"])
    op.create_index("bulk_by_token", "bulk_operations", ["token_hash"])


def create_checkpoints() -> None:
    """Create the table."""
    op.create_table(
        "checkpoints",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", "key_id"),
    )


def create_instance_words() -> None:
    """Create the table."""
    op.create_table(
        "instance_words",
        sa.Column("word", BYTEWISE, nullable=False),
        sa.Column("instance_id", BYTEWISE, nullable=False),
        sa.PrimaryKeyConstraint("word", "instance_id"),
    )
    op.create_index("words_by_instance", "instance_words", ["instance_id", "word"])


def create_instances() -> None:
    """Create the table."""
    op.create_table(
        "instances",
        sa.Column("instance_id", BYTEWISE, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("engine_status", sa.Text(), nullable=False),
        sa.Column("custom_status", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("requester", sa.Text(), nullable=False),
        sa.Column("requester_person", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("policy_version", sa.Text(), nullable=True),
        sa.Column("route", sa.Text(), nullable=True),
        sa.Column("request", sa.Text(), nullable=True),
        sa.Column("content_digest", sa.Text(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("run", sa.BigInteger(), nullable=True),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("binding", sa.Text(), nullable=True),
        sa.Column("waiting_on", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=True),
        sa.Column("deadline", sa.BigInteger(), nullable=True),
        sa.Column("cards", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("posting", sa.Text(), server_default="", nullable=False),
        sa.Column("posted", sa.Text(), server_default="", nullable=False),
        sa.Column("shown", sa.Text(), server_default="", nullable=False),
        sa.Column("wanted", sa.Text(), server_default="", nullable=False),
        sa.Column("input", sa.Text(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_as", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("instance_id"),
    )
    op.create_index("instances_by_asking", "instances", ["asked_at", "instance_id"], **where("finished_at IS NULL"))
    op.create_index("instances_by_creation", "instances", ["created_at", "instance_id"])
    op.create_index("instances_by_deadline", "instances", ["deadline", "instance_id"], **where("finished_at IS NULL"))
    op.create_index("instances_by_decision", "instances", ["decided_at", "ended_as"])
    op.create_index("instances_by_end", "instances", ["finished_at", "instance_id"], **where("finished_at IS NOT NULL"))
    op.create_index("instances_by_name", "instances", ["name", "created_at", "instance_id"])
    op.create_index("instances_by_phase", "instances", ["phase", "created_at", "instance_id"])
    op.create_index("instances_by_progress", "instances", ["updated_at", "instance_id"], **where("finished_at IS NULL"))
    op.create_index("instances_by_requester", "instances", ["requester", "created_at", "instance_id"])
    op.create_index("instances_by_status", "instances", ["engine_status", "created_at", "instance_id"])
    op.create_index("instances_by_subject", "instances", ["subject", "created_at"])
    op.create_index("instances_open", "instances", ["instance_id"], **where("finished_at IS NULL"))
    op.create_index("instances_open_new", "instances", ["created_at", "instance_id"], **where("finished_at IS NULL"))
    op.create_index("instances_stale", "instances", ["updated_at", "instance_id"], **where("shown != wanted"))


def create_intake() -> None:
    """Create the table."""
    op.create_table(
        "intake",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("instance_id", BYTEWISE, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("through", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("intake_by_instance", "intake", ["instance_id", "created_at"])
    op.create_index("intake_due", "intake", ["next_attempt_at", "id"], **where("answered_at IS NULL"))
    op.create_index("intake_oldest", "intake", ["created_at"], **where("answered_at IS NULL"))
    op.create_index("intake_untold", "intake", ["answered_at", "id"], **where("told_at IS NULL"))


def create_keys() -> None:
    """Create the table."""
    op.create_table(
        "keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )


def create_order_ledger() -> None:
    """Create the table."""
    op.create_table(
        "order_ledger",
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("idempotency_key"),
    )
    op.create_index("ledger_by_order", "order_ledger", ["order_id"])
    op.create_index("ledger_by_time", "order_ledger", ["at"])


def create_policies() -> None:
    """Create the table."""
    op.create_table(
        "policies",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )


def create_replays() -> None:
    """Create the table."""
    op.create_table(
        "replays",
        sa.Column("signature_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("signature_hash"),
    )
    op.create_index("replays_by_age", "replays", ["created_at"])


def create_sent() -> None:
    """Create the table."""
    op.create_table(
        "sent",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )


def create_waiting() -> None:
    """Create the table."""
    op.create_table(
        "waiting",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("instance_id", BYTEWISE, nullable=False),
        sa.PrimaryKeyConstraint("principal", "created_at", "instance_id"),
    )
    op.create_index("waiting_by_instance", "waiting", ["instance_id"])


SQLITE_GUARDS = (
    "CREATE TRIGGER audit_keeps_entries BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END",
    "CREATE TRIGGER audit_keeps_all BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END",
    """CREATE TRIGGER audit_has_one_end BEFORE INSERT ON audit BEGIN
    SELECT RAISE(ABORT, 'audit entries follow one another')
    WHERE NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit)
    OR NEW.prev <> COALESCE((SELECT hash FROM audit ORDER BY seq DESC LIMIT 1), NEW.prev);
    END""",
)
POSTGRES_GUARDS = (
    """CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'audit is append-only'; END $$""",
    """CREATE FUNCTION audit_follows() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE last RECORD;
    BEGIN
        SELECT seq, hash INTO last FROM audit ORDER BY seq DESC LIMIT 1;
        IF NEW.seq <> COALESCE(last.seq, 0) + 1 OR NEW.prev <> COALESCE(last.hash, NEW.prev) THEN
            RAISE EXCEPTION 'audit entries follow one another';
        END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER audit_keeps_entries BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuses()",
    "CREATE TRIGGER audit_keeps_all BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuses()",
    "CREATE TRIGGER audit_has_one_end BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_follows()",
)


def guard_audit() -> None:
    """Let the database itself refuse changed, deleted, skipped and forked entries."""
    guards = SQLITE_GUARDS if op.get_bind().dialect.name == "sqlite" else POSTGRES_GUARDS
    for statement in guards:
        op.execute(statement)
