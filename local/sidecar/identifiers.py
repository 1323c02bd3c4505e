"""Which instance ids the runtime takes: its scheduler and its state store use the id as a part of their own keys. Pure.

The rules are those of Dapr 1.18's scheduler, which checks the name of the job that starts an instance.
"""

import secrets

from local.sidecar import errors

DELIMITER = "||"  # between the parts of a job's name and of a state key
LONGEST_JOB_NAME = 512  # bytes of UTF-8
_PATHS = frozenset("/\\#?")
_ASCII_CONTROL = (*range(0x20), 0x7F)
_C1_CONTROL = range(0x80, 0xA0)
_CONTROL = frozenset(map(chr, (*_ASCII_CONTROL, *_C1_CONTROL)))
_ESCAPES = {  # as Go's %q writes them
    **{code: f"\\x{code:02x}" for code in _ASCII_CONTROL},
    **{code: f"\\u{code:04x}" for code in _C1_CONTROL},
    **dict(zip(b'\a\b\f\n\r\t\v"\\', (rf"\{letter}" for letter in 'abfnrtv"\\'), strict=True)),
}


def actor_type(app_id: str) -> str:
    """Give the type of the actors that are an app's workflow instances."""
    return f"dapr.internal.default.{app_id}.workflow"


def check_id(instance_id: str, app_id: str) -> None:
    """Refuse an id that can't be part of a job's name."""
    start = f"start-{secrets.token_urlsafe(6)}"
    name = DELIMITER.join(("actorreminder", "default", actor_type(app_id), instance_id, start))
    reason = _objection(name)
    if reason:
        raise errors.invalid_job_name(f'"{name.translate(_ESCAPES)}"', reason)


def _objection(name: str) -> str:
    if len(name.encode()) > LONGEST_JOB_NAME:
        return f"must be at most {LONGEST_JOB_NAME} characters"
    if not _PATHS.isdisjoint(name):
        return "must not contain '/', '\\', '#' or '?'"
    return "" if _CONTROL.isdisjoint(name) else "must not contain control characters"


def check_key(instance_id: str, app_id: str) -> None:
    """Refuse an id whose state key doesn't fall into its four parts again."""
    if DELIMITER in instance_id:
        raise errors.invalid_key(DELIMITER.join((app_id, actor_type(app_id), instance_id, "metadata")))
