"""PostgreSQL: chain the audit's entries inside the commit, so that no writer waits for another one's program."""

from alembic import op

revision = "0016"
down_revision = "0015"
works_with = "0012"

WAITING = """
CREATE UNLOGGED TABLE audit_waiting (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL, actor text NOT NULL, action text NOT NULL, instance_id text NOT NULL,
    request_digest text NOT NULL, through text NOT NULL, verdict text NOT NULL, reason text NOT NULL,
    policy_version text NOT NULL, correlation_id text NOT NULL, data text NOT NULL,
    before_prev text NOT NULL, before_seq text NOT NULL, after_seq text NOT NULL
)
"""
CHAIN = """
CREATE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_seq bigint;
    last_hash text;
    line text;
BEGIN
    PERFORM pg_advisory_xact_lock(1668248942);
    SELECT seq, hash INTO last_seq, last_hash FROM audit ORDER BY seq DESC LIMIT 1;
    last_seq := coalesce(last_seq, 0);
    last_hash := coalesce(last_hash, repeat('0', 64));
    line := NEW.before_prev || last_hash || NEW.before_seq || (last_seq + 1) || NEW.after_seq;
    INSERT INTO audit (
        seq, at, actor, action, instance_id, request_digest, through, verdict, reason, policy_version, correlation_id,
        data, prev, hash
    ) VALUES (
        last_seq + 1, NEW.at, NEW.actor, NEW.action, NEW.instance_id, NEW.request_digest, NEW.through, NEW.verdict,
        NEW.reason, NEW.policy_version, NEW.correlation_id, NEW.data, last_hash,
        encode(sha256(convert_to(line, 'UTF8')), 'hex')
    );
    DELETE FROM audit_waiting WHERE place = NEW.place;
    RETURN NULL;
END $$
"""
AT_COMMIT = """
CREATE CONSTRAINT TRIGGER audit_chain AFTER INSERT ON audit_waiting DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION audit_chain()
"""


def upgrade() -> None:
    """Create table, function and trigger. `audit_end` stays for processes of the release before."""
    if op.get_bind().dialect.name == "postgresql":
        for statement in (WAITING, CHAIN, AT_COMMIT):
            op.execute(statement)
