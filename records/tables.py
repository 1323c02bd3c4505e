"""The tables, as the program of today sees them. migrations/ builds them; a test holds the two against each other."""

import sqlalchemy as sa
from sqlalchemy import Column, Index, Integer, Table

from records.columns import BytewiseWords, Instant, Json, Words

metadata = sa.MetaData()

VERSION_TABLE = "countersign_schema"

# One row for every workflow instance that is known. `finished_at IS NULL` is the partial indexes' condition because
# SQLite uses a partial index only if the query repeats its condition without a parameter.
instances = Table(
    "instances",
    metadata,
    Column("instance_id", BytewiseWords, primary_key=True),
    Column("name", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("engine_status", Words, nullable=False),
    Column("custom_status", Words, nullable=False),
    Column("phase", Words, nullable=False),
    Column("amount", Words),
    Column("amount_number", sa.Float(53)),
    Column("currency", Words),
    Column("description", Words, nullable=False),
    Column("requester", Words, nullable=False),
    Column("requester_person", Words),
    Column("rule", Words),
    Column("policy_version", Words),
    Column("request", Json),
    Column("content_digest", Words),
    Column("digest", Words),
    Column("run", Instant),
    Column("stage", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("waiting_on", Json, nullable=False),
    Column("barred", Json, nullable=False, server_default="[]"),
    Column("asked_at", Instant),
    Column("deadline", Instant),
    Column("cards", Json, nullable=False),
    Column("outcome", Json),
    Column("state", Json),
    Column("posting", Words, nullable=False, server_default=""),
    Column("posted", Words, nullable=False, server_default=""),
    Column("shown", Words, nullable=False, server_default=""),
    Column("wanted", Words, nullable=False, server_default=""),
    Column("output", Words),
    Column("correlation_id", Words, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("decided_at", Instant),
    Column("valid_until", Instant),
    Column("finished_at", Instant),
    Column("ended_as", Words),
    Column("callback", Json),
    Column("consumed_at", Instant),
    Column("consumed_by", Words),
    Index("instances_by_creation", "created_at", "instance_id"),
    Index("instances_by_status", "engine_status", "created_at", "instance_id"),
    Index("instances_by_phase", "phase", "created_at", "instance_id"),
    Index("instances_by_name", "name", "created_at", "instance_id"),
    Index("instances_by_requester", "requester", "created_at", "instance_id"),
    Index("instances_by_subject", "subject", "created_at"),
    Index("instances_by_amount", "amount_number", "instance_id"),
    Index("instances_by_decision", "decided_at", "ended_as"),
)
OPEN = instances.c.finished_at.is_(None)
STALE = instances.c.shown != instances.c.wanted
Index("instances_stale", instances.c.updated_at, instances.c.instance_id, sqlite_where=STALE, postgresql_where=STALE)
ENDED = instances.c.finished_at.is_not(None)
Index("instances_by_end", instances.c.finished_at, instances.c.instance_id, sqlite_where=ENDED, postgresql_where=ENDED)
Index("instances_open", instances.c.instance_id, sqlite_where=OPEN, postgresql_where=OPEN)
Index("instances_open_new", instances.c.created_at, instances.c.instance_id, sqlite_where=OPEN, postgresql_where=OPEN)
Index("instances_by_deadline", instances.c.deadline, instances.c.instance_id, sqlite_where=OPEN, postgresql_where=OPEN)
Index("instances_by_asking", instances.c.asked_at, instances.c.instance_id, sqlite_where=OPEN, postgresql_where=OPEN)
Index(
    "instances_by_progress", instances.c.updated_at, instances.c.instance_id, sqlite_where=OPEN, postgresql_where=OPEN
)

# Whom an instance waits for, one row a principal ("group:managers"). Rows live only while it waits.
waiting = Table(
    "waiting",
    metadata,
    Column("principal", Words, primary_key=True),
    Column("created_at", Instant, primary_key=True),
    Column("instance_id", BytewiseWords, primary_key=True),
    Index("waiting_by_instance", "instance_id"),
)

# The words of an instance's id, subject, requester and description, for search by prefix on either database.
instance_words = Table(
    "instance_words",
    metadata,
    Column("word", BytewiseWords, primary_key=True),
    Column("instance_id", BytewiseWords, primary_key=True),
    Index("words_by_instance", "instance_id", "word"),
)

intake = Table(
    "intake",
    metadata,
    Column("id", Words, primary_key=True),
    Column("instance_id", BytewiseWords, nullable=False),
    Column("payload", Json, nullable=False),
    Column("person", Words, nullable=False),
    Column("through", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("verdict", Json),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("answered_at", Instant),
    Index("intake_by_instance", "instance_id", "created_at"),
)
UNANSWERED = intake.c.answered_at.is_(None)
Index("intake_due", intake.c.next_attempt_at, intake.c.id, sqlite_where=UNANSWERED, postgresql_where=UNANSWERED)
Index("intake_oldest", intake.c.created_at, sqlite_where=UNANSWERED, postgresql_where=UNANSWERED)

audit = Table(
    "audit",
    metadata,
    Column("seq", sa.BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("actor", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("instance_id", Words, nullable=False),
    Column("request_digest", Words, nullable=False),
    Column("through", Words, nullable=False),
    Column("verdict", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("policy_version", Words, nullable=False),
    Column("correlation_id", Words, nullable=False),
    Column("data", Json, nullable=False),
    Column("prev", Words, nullable=False, unique=True),
    Column("hash", Words, nullable=False, unique=True),
    Index("audit_by_instance", "instance_id", "seq"),
    Index("audit_by_actor", "actor", "seq"),
    Index("audit_by_action", "action", "at"),
    Index("audit_by_time", "at"),
    Index("audit_by_correlation", "correlation_id"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("seq", sa.BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("key_id", Words, primary_key=True),
    Column("hash", Words, nullable=False),
    Column("at", Instant, nullable=False),
    Column("signature", Words, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Words, primary_key=True),
    Column("mac", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("person", Words, nullable=False),
    Column("roles", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Words, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
    Column("scopes", Json),
    Column("callback_hosts", Json),
    Column("webhook_round", Integer, nullable=False, server_default="1"),
)

# Who may call the engine for an instance now, when several processes might.
leases = Table(
    "leases",
    metadata,
    Column("name", Words, primary_key=True),
    Column("holder", Words, nullable=False),
    Column("until", Instant, nullable=False),
)

# Which process leads each job that one process at a time does. `term` counts the takes, so that a process that was
# frozen knows its lease from a later one; a holder that is not `fit` fails at the job and gives it to any other.
leaders = Table(
    "leaders",
    metadata,
    Column("job", Words, primary_key=True),
    Column("holder", Words, nullable=False),
    Column("term", sa.BigInteger, nullable=False),
    Column("until", Instant, nullable=False),
    Column("fit", sa.Boolean, nullable=False),
)

# The oldest program that works on this schema, by the revision that it knows: one row. migrations/ write it.
schema_floor = Table(
    "schema_floor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("oldest", Words, nullable=False),
)

# Messages sent, so that a repeated activity sends none twice.
sent = Table(
    "sent",
    metadata,
    Column("key", Words, primary_key=True),
    Column("at", Instant, nullable=False),
)

# What people are to be told, written with the step that it tells of; kept afterwards, so that nothing is told twice.
notifications = Table(
    "notifications",
    metadata,
    Column("id", BytewiseWords, primary_key=True),
    Column("instance_id", BytewiseWords, nullable=False),
    Column("kind", Words, nullable=False),
    Column("content", Json, nullable=False),
    Column("urgency", Integer, nullable=False),
    Column("holder", Words, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("over_at", Instant),
    Column("result", Words, nullable=False, server_default=""),
    Column("problem", Words, nullable=False, server_default=""),
    Index("notifications_by_instance", "instance_id", "created_at"),
)
UNSENT = notifications.c.over_at.is_(None)
Index(
    "notifications_unsent",
    notifications.c.urgency,
    notifications.c.created_at,
    notifications.c.id,
    sqlite_where=UNSENT,
    postgresql_where=UNSENT,
)
REFUSED = notifications.c.result == "refused"
Index("notifications_refused", notifications.c.over_at, sqlite_where=REFUSED, postgresql_where=REFUSED)

# What Slack's answers 429 mean for all processes, by method and channel.
slack_pace = Table(
    "slack_pace",
    metadata,
    Column("key", Words, primary_key=True),
    Column("not_before", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),
    Index("slack_pace_by_end", "not_before"),
)

# What Slack said of its groups, sealed: a row that this program did not write counts for nothing.
slack_answers = Table(
    "slack_answers",
    metadata,
    Column("key", Words, primary_key=True),
    Column("asked_at", Instant, nullable=False),
    Column("answer", Words, nullable=False),
    Column("key_id", Words, nullable=False),
    Column("mac", Words, nullable=False),
)

# What was taken of quotas; a row counts until its moment, and is forgotten some time after it.
quota_uses = Table(
    "quota_uses",
    metadata,
    Column("subject", BytewiseWords, primary_key=True),
    Column("instance_id", BytewiseWords, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Index("quota_uses_by_subject", "subject", "until"),
    Index("quota_uses_by_end", "until"),
)

# What other systems are told of ends: due until it is taken or given up, and then the log of it.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", BytewiseWords, primary_key=True),
    Column("instance_id", BytewiseWords, nullable=False),
    Column("signer", Words, nullable=False),
    Column("url", Words, nullable=False),
    Column("event", Words, nullable=False),
    Column("body", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("holder", Words, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Instant),
    Column("last_status", Integer),
    Column("problem", Words, nullable=False, server_default=""),
    Column("created_at", Instant, nullable=False),
    Column("over_at", Instant),
    Index("webhooks_by_creation", "created_at", "id"),
    Index("webhooks_by_instance", "instance_id", "created_at"),
)
UNTOLD = sa.text("state = 'due'")
Index(
    "webhooks_due",
    webhook_deliveries.c.next_attempt_at,
    webhook_deliveries.c.id,
    sqlite_where=UNTOLD,
    postgresql_where=UNTOLD,
)

order_ledger = Table(
    "order_ledger",
    metadata,
    Column("idempotency_key", Words, primary_key=True),
    Column("order_id", Words, nullable=False),
    Column("amount", Words),
    Column("currency", Words, nullable=False),
    Column("instance_id", Words, nullable=False),
    Column("digest", Words, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ledger_by_order", "order_id"),
    Index("ledger_by_time", "at"),
)

replays = Table(
    "replays",
    metadata,
    Column("signature_hash", Words, primary_key=True),
    Column("status", Integer),
    Column("headers", Json),
    Column("body", sa.LargeBinary),
    Column("created_at", Instant, nullable=False),
    Index("replays_by_age", "created_at"),
)

policies = Table(
    "policies",
    metadata,
    Column("version", Words, primary_key=True),
    Column("content", Words, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
)

bulk_operations = Table(
    "bulk_operations",
    metadata,
    Column("id", Words, primary_key=True),
    Column("action", Words, nullable=False),
    Column("filter", Json, nullable=False),
    Column("reason", Words, nullable=False),
    Column("actor", Words, nullable=False),
    Column("token_hash", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index("bulk_by_creation", "created_at"),
    Index("bulk_by_token", "token_hash"),
)

bulk_items = Table(
    "bulk_items",
    metadata,
    Column("operation_id", Words, primary_key=True),
    Column("instance_id", BytewiseWords, primary_key=True),
    Column("state", Words, nullable=False),
    Column("result", Words, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index("bulk_items_by_state", "operation_id", "state", "instance_id"),
)

revoked_sessions = Table(
    "revoked_sessions",
    metadata,
    Column("session_id", Words, primary_key=True),
    Column("at", Instant, nullable=False),
)
