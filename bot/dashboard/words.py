"""The read model's codes in the words of the pages. Pure."""

from approvals.ends import ENDS, shown

PHASES = {
    "starting": "starting",
    "waiting": "waiting",
    "approved": ENDS["approved"].shown.lower(),
    "rejected": ENDS["rejected"].shown.lower(),
    "timed_out": ENDS["timed_out"].shown.lower(),
    "withdrawn": ENDS["withdrawn"].shown.lower(),
    "terminated": ENDS["terminated"].shown.lower(),
    "failed": ENDS["failed"].shown.lower(),
    "purged": "purged",
    "unknown": "not a request",
}
"""The choices of the list's filter."""

OUTCOMES = (*ENDS, "approved_by_rule", "rejected_by_rule")
"""In the order in which charts stack them."""


def word(name: str) -> str:
    """Return a phase or another name of ours as words."""
    return PHASES.get(name) or (shown(name).lower() if name in ENDS else name.replace("_", " "))


def principal(name: str) -> str:
    """Return whom a request waits for: `group:managers` as `@managers`, an e-mail as it is; a key by its id."""
    kind, _, rest = name.partition(":")
    if kind == "group":
        return f"@{rest.removeprefix('@')}"
    return f"key {rest}" if kind == "key" else rest or name
