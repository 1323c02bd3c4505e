"""The page of the audit's actions."""

from itertools import groupby

from approvals.audit_actions import AuditAction
from tools.docs import tables

ABOUT = """What the audit can say has happened. The names stand in the entries for ever: they are only added. A
management call is written down before it is made; its `_failed` follows if the engine said no. [Verify the
audit](../how-to/verify-the-audit.md) says how the chain is checked."""


def page() -> str:
    """Return the page."""
    parts = [
        f"## {subject.capitalize()}\n\n" + tables.table(("action", "meaning"), rows) for subject, rows in _by_subject()
    ]
    return tables.page("Audit actions", "`approvals/audit_actions.py`", ABOUT, *parts)


def _by_subject() -> list[tuple[str, list[tuple[str, str]]]]:
    found = sorted(AuditAction, key=lambda action: action.value.partition(".")[0])
    return [
        (subject, [(tables.code(action.value), action.meaning) for action in actions])
        for subject, actions in groupby(found, lambda action: action.value.partition(".")[0])
    ]
