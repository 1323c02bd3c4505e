"""What the read model calls things, in the words of the pages. Pure."""

PHASES = {
    "starting": "starting",
    "waiting": "waits",
    "approved": "approved",
    "rejected": "rejected",
    "timed_out": "nobody answered",
    "terminated": "stopped",
    "purged": "purged",
    "failed": "failed",
    "unknown": "not a request",
}

OUTCOMES = ("approved", "rejected", "timed_out", "terminated", "failed")
"""In the order in which charts stack them."""


def word(name: str) -> str:
    """Return a phase or another name of ours as words."""
    return PHASES.get(name, name.replace("_", " "))


def principal(name: str) -> str:
    """Return whom a request waits for: `group:managers` as `@managers`, an e-mail as it is; a key by its id."""
    kind, _, rest = name.partition(":")
    if kind == "group":
        return f"@{rest.removeprefix('@')}"
    return f"key {rest}" if kind == "key" else rest or name
