"""Why does a workflow not go on: a table of situations, each a sentence, its evidence and the next step. Pure rules.

The facts are gathered elsewhere (`facts`); nothing here asks anybody.
"""

from approvals.values import Value
from cards.values import Diagnosis


class Facts(Value):
    """What is known of an instance."""

    instance_id: str
    status: str


def diagnose(facts: Facts) -> tuple[Diagnosis, ...]:
    """Return every answer that fits, the most likely first; never none."""
    return (
        Diagnosis(
            sentence=f"Nothing unusual is known: it is {facts.status}.",
            evidence=f"{facts.instance_id} is {facts.status}.",
            next_step="Look at its history.",
        ),
    )
