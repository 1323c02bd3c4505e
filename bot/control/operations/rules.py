"""The effect of each management verb: one rule a verb, found by the verb's name.

The table of verbs has said already who may, and in which statuses there is something to do.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from approvals.audit_actions import AuditAction
from approvals.statuses import ENDED
from approvals.verbs import Verb
from bot.access.refusals import Kind, Refused
from bot.control.operations.calls import TAKEN, Call, Done
from bot.control.operations.ids import INSTANCE_ID, INSTANCE_ID_SENTENCE
from bot.control.subjects import Subject

PURGED: Final = "Its history is purged, so the engine knows nothing of it any more. Nothing was done."


def hindrance(verb: Verb, subject: Subject) -> str | None:
    """Return why a verb has nothing to do now: a face says it in place of a question that cannot be answered."""
    if subject.row is not None and subject.row.phase == "purged" and verb.name != "note":
        return PURGED
    return verb.hindrance(subject.status, subject.name, subject.end)


async def pause(call: Call) -> Done:
    """Suspend a running instance. Its timers' clocks go on; events are kept."""
    await call.make(lambda: call.engine.pause(call.subject.instance_id))
    return await call.became("SUSPENDED", "It is paused. Decisions are kept until it is resumed.")


async def resume(call: Call) -> Done:
    """Resume a suspended instance."""
    await call.make(lambda: call.engine.resume(call.subject.instance_id))
    return await call.became("RUNNING", "It goes on. Decisions that were kept count now.")


async def terminate(call: Call) -> Done:
    """End an instance for good. It runs no more code, so the card is rewritten here."""
    reason, by = call.given.reason or "no reason given", call.by.email or call.by.actor
    output = {"status": "terminated", "reason": reason, "by": by}
    await call.make(lambda: call.engine.terminate(call.subject.instance_id, output))
    await call.ended()
    return call.done("It is terminated. Nothing was approved, and its card has no buttons any more.", "TERMINATED")


async def purge(call: Call) -> Done:
    """Forget a finished instance's history; the audit stays. `force` takes a wedged, unfinished one too."""
    subject, force = call.subject, call.given.force
    if subject.engine is None:
        await call.forget()
        return call.done("The engine has no history of it any more, so nothing was done.", changed=False)
    if subject.status not in ENDED and not force:
        raise Refused(
            Kind.CONFLICT,
            f"{subject.name} is {subject.standing} and not over, so it was not purged. Terminate it first.",
        )
    await call.make(lambda: call.engine.purge(subject.instance_id, force=force))
    if subject.status not in ENDED:
        await call.ended()  # it can be decided no more, and its card has to say so
    await call.forget()
    return call.done("Its history is purged. Its audit entries stay.")


async def rerun(call: Call) -> Done:
    """Run a finished instance again from one of its events, as a new instance."""
    old, event_id, new_id = call.subject.instance_id, call.given.event_id, call.given.new_id
    if new_id is not None and not INSTANCE_ID.fullmatch(new_id):
        raise Refused(Kind.CONFLICT, f"{INSTANCE_ID_SENTENCE} Nothing was started.")
    if new_id == old:
        raise Refused(Kind.CONFLICT, TAKEN.format(new_id))
    made: list[str] = []

    async def run() -> None:
        made.append(await call.engine.rerun(old, event_id, new_id))

    await call.make(run, event_id=event_id, new_instance_id=new_id)
    return call.done(f"{old} runs again from its event {event_id}, as the new instance {made[0]}.", "RUNNING", made[0])


async def raise_event(call: Call) -> Done:
    """Raise an event at a waiting instance. `approval_decision` is refused: it needs a person's own path."""
    subject, name, payload = call.subject, call.given.event, call.given.payload
    if name.casefold() == "approval_decision":
        raise Refused(
            Kind.CONFLICT,
            "A decision is not raised as a bare event: it has to be a person's own. Decide in Slack, or with "
            "POST /orders/{order_id}/approve.",
        )
    if not isinstance(payload, dict) or not payload:
        raise Refused(
            Kind.CONFLICT,
            "The event's payload must be a JSON object with something in it: the engine delivers an empty one, "
            "false or 0 as nothing.",
        )
    if subject.status in ENDED:
        text = f"{subject.name} is {subject.standing}. The event would be dropped."
        await call.audit(AuditAction.WORKFLOW_RAISE_EVENT_FAILED, text, event=name)
        raise Refused(Kind.CONFLICT, text)
    if subject.status == "PENDING":
        raise Refused(
            Kind.CONFLICT,
            f"{subject.instance_id} has not started yet, and any event would start it at once. Wait until it runs.",
        )
    await call.make(lambda: call.engine.raise_event(subject.instance_id, name, payload), event=name)
    return call.done(f"The event {name} is raised.")


async def note(call: Call) -> Done:
    """Audit an operator's note. No call to the engine."""
    await call.audit(AuditAction.WORKFLOW_NOTE, call.given.reason)
    return call.done("The note stands in its history.")


RULES: Final[Mapping[str, Callable[[Call], Awaitable[Done]]]] = {
    "pause": pause,
    "resume": resume,
    "terminate": terminate,
    "purge": purge,
    "rerun": rerun,
    "raise-event": raise_event,
    "note": note,
}
