"""The page of reasons and ends, with the messages that people read."""

from approvals.ends import ENDS, STILL_WAITING
from approvals.messages import REASONS
from tools.docs import tables

ABOUT = """Each refusal of a decision has a reason, which stands in the audit and in REST's answers as `reason`, and
one message, which is the same in Slack, in the browser, in the terminal and in REST."""

ENDING = """How a request can end. The exit code is that of a command which waits for the end, such as `countersign
watch`; a command that gives up while the request still waits exits with {waiting}."""


def page() -> str:
    """Return the page."""
    reasons = [(tables.code(reason.value), message) for reason, message in REASONS.items()]
    ends = [(tables.code(end.code), end.shown, end.meaning, end.exit_code) for end in ENDS.values()]
    return tables.page(
        "Reasons and ends",
        "`approvals/messages.py` and `approvals/ends.py`",
        "## Reasons\n\n" + ABOUT,
        tables.table(("reason", "message"), reasons),
        "## Ends\n\n" + ENDING.format(waiting=STILL_WAITING),
        tables.table(("end", "shown as", "meaning", "exit code"), ends),
    )
