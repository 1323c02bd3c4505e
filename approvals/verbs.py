"""The management verbs, one table: every face offers them from here, and the authority takes their statuses from here.

A new verb is a row here, its rule in `bot/control/operations/rules.py`, and a test. Imports nothing heavy: the command
line's help reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from approvals.statuses import ENDED, LIVE, STATUSES, STOPPABLE, Status, standing


class Action(StrEnum):
    """An action that needs authorization. The values are what an API key's scope may name."""

    START_ORDER = "start_order"
    ASK_FOR_OTHERS = "ask_for_others"
    CONSUME = "consume"
    WEBHOOKS = "webhooks"
    START_WORKFLOW = "start_workflow"
    DECIDE = "decide"
    SEE_REQUEST = "see_request"
    LIST = "list"
    SEE_HISTORY = "see_history"
    SEE_PAYLOADS = "see_payloads"
    SEE_DIAGNOSIS = "see_diagnosis"
    SEE_STATISTICS = "see_statistics"
    PAUSE = "pause"
    RESUME = "resume"
    TERMINATE = "terminate"
    PURGE = "purge"
    RERUN = "rerun"
    RAISE_EVENT = "raise_event"
    NOTE = "note"
    BULK = "bulk"
    AUDIT_READ = "audit_read"
    AUDIT_VERIFY = "audit_verify"
    POLICY_READ = "policy_read"
    KEYS_MANAGE = "keys_manage"
    DOCTOR = "doctor"


@dataclass(frozen=True)
class Verb:
    """Something that an operator may do to an instance.

    `question` has a place for the instance's name. `usage` is what follows /approval; without one Slack does not offer
    the verb. `only` begins the refusal in a status that does not fit; `already` answers in a status in which there is
    nothing left to do. `judges_itself`: its rule looks at the status, so `only` is for a face that asks beforehand.
    `plain` takes a reason and nothing else.
    """

    name: str
    action: Action
    statuses: frozenset[Status]
    past: str
    label: str
    question: str
    summary: str
    warning: str
    example: str = ""
    usage: str = ""
    only: str = ""
    judges_itself: bool = False
    already: Mapping[Status, str] = field(default_factory=dict)
    needs_reason: bool = False
    plain: bool = True
    bulk: bool = False
    danger: bool = False

    def nothing_to_do(self, status: Status, end: str = "") -> str | None:
        """Return the answer in a status in which it is done already. `end` says how a request ended."""
        text = self.already.get(status)
        return text.format(end=end or status.capitalize()) if text is not None else None

    def hindrance(self, status: Status, name: str, end: str = "") -> str | None:
        """Return why there is nothing to do in a status, None if there is."""
        if (text := self.nothing_to_do(status, end)) is not None:
            return text
        if self.only and status not in self.statuses:
            return f"{self.only}, and {name} is {standing(status, end)}."
        return None


VERBS: Final[Mapping[str, Verb]] = {
    verb.name: verb
    for verb in (
        Verb(
            name="pause",
            action=Action.PAUSE,
            statuses=frozenset({"RUNNING"}),
            past="paused",
            label="Pause",
            question="Pause {}?",
            summary="Hold a running workflow; answers are kept.",
            warning="It is held until it is resumed. Decisions are kept and count afterwards; its deadlines go on.",
            example='42 --reason "waiting for the supplier"',
            usage="pause ID reason",
            only="Only a running workflow can be paused",
            already={"SUSPENDED": "It is paused already, so nothing was done. Resume it to let it go on."},
            needs_reason=True,
            bulk=True,
        ),
        Verb(
            name="resume",
            action=Action.RESUME,
            statuses=frozenset({"SUSPENDED"}),
            past="resumed",
            label="Resume",
            question="Resume {}?",
            summary="Let a paused workflow go on.",
            warning="It goes on where it was paused, and kept decisions count now.",
            example="42",
            usage="resume ID",
            only="Only a paused workflow can be resumed",
            already={"RUNNING": "It is running already, so nothing was done."},
            bulk=True,
        ),
        Verb(
            name="terminate",
            action=Action.TERMINATE,
            statuses=STOPPABLE,
            past="terminated",
            label="Terminate",
            question="Terminate {}?",
            summary="Stop a workflow for good.",
            warning="It stops for good: nobody can approve it any more; its card loses its buttons. No undo.",
            usage="terminate ID reason | --stuck [--older-than 2h]",
            only="Only a workflow that is not stalled can be terminated",
            already=dict.fromkeys(sorted(ENDED), "It is over already: {end}. Nothing was done."),
            needs_reason=True,
            bulk=True,
            danger=True,
        ),
        Verb(
            name="purge",
            action=Action.PURGE,
            statuses=ENDED,
            past="purged",
            label="Purge",
            question="Purge {}?",
            summary="Forget a finished workflow; the audit stays.",
            warning="Its history is forgotten for good; the audit log stays. Only what is finished can be purged.",
            usage="purge ID | --older-than 30d",
            only="Only a workflow that is over can be purged",
            judges_itself=True,
            plain=False,
            bulk=True,
            danger=True,
        ),
        Verb(
            name="rerun",
            action=Action.RERUN,
            statuses=ENDED,
            past="run again",
            label="Run again",
            question="Run {} again?",
            summary="Run a finished workflow again from one of its events.",
            warning="It runs again as a new instance, from the event that you choose. The old one stays as it is.",
            only="Only a workflow that is over can be run again",
            judges_itself=True,
            plain=False,
        ),
        Verb(
            name="raise-event",
            action=Action.RAISE_EVENT,
            statuses=LIVE,
            past="given an event",
            label="Raise an event",
            question="Raise an event at {}?",
            summary="Raise an event at a workflow.",
            warning="The event reaches the workflow as if another system had sent it. A decision cannot be raised so.",
            only="Only a workflow that is not over takes an event",
            judges_itself=True,
            plain=False,
        ),
        Verb(
            name="note",
            action=Action.NOTE,
            statuses=frozenset(STATUSES),
            past="noted",
            label="Add a note",
            question="Add a note to {}?",
            summary="Write a note about a workflow into its history and the audit.",
            warning="It changes nothing: history and audit keep the note with your name.",
            example='42 "The supplier called: they hold the price until Friday"',
            usage="note ID text",
            needs_reason=True,
        ),
    )
}

IN_SLACK: Final[Mapping[str, Verb]] = {name: verb for name, verb in VERBS.items() if verb.usage}
IN_BULK: Final[Mapping[str, Verb]] = {name: verb for name, verb in VERBS.items() if verb.bulk}
