"""Rebuild a row that is behind or missing from the engine's records: a database was restored.

Reads values that the engine returns and writes nothing. A state stands in the inputs and results of the activities, so
the newest one of the history is where the request stands.
"""

import json
import re
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from activities.recording import projection
from activities.telling import owed_by
from approvals.evidence import Counted, Evidence, NotProvenError, TooEarlyError, derived, stepped
from approvals.machine import CardPosted, State, binding_of, step
from approvals.request import CardRef
from approvals.signing import KeyRing
from approvals.values import in_utc
from bot.control.reading.lines import plain_status
from bot.engine.client import EngineInstance
from bot.engine.history import RecordedHistory
from cards.card_view import Ending
from records import instances, reconciling
from records.instances import Phase
from records.notifications import Notification

WAITING = re.compile(r"waiting for stage (\d+) of \d+(?:, (\d+) of \d+ said yes)?")
"""The workflow's custom status of a request that waits."""


def state_of(history: RecordedHistory, keys: KeyRing, now: datetime) -> State | None:
    """Return where the request stands by its instance's history, None if nothing in it proves a request.

    What the engine returns is not believed: the state is derived from sealed evidence (law: effects prove themselves).
    """
    opening: State | None = None
    state: State | None = None
    for value in history.payloads():
        if isinstance(value, dict) and isinstance(value.get("evidence"), dict):
            opening = _state(value.get("state")) or opening
            state = _derived(value, opening, state, keys, now) or state
        elif state is not None and (card := _card(value)) is not None and len(state.cards) <= state.stage:
            state, _ = step(state, CardPosted(card=card))
    return state


def _derived(
    value: dict[str, Any], opening: State | None, before: State | None, keys: KeyRing, now: datetime
) -> State | None:
    """Return what an activity's evidence proves, with the events that it was given to record."""
    if opening is None:
        return None
    try:
        evidence = Evidence.model_validate(value["evidence"])
        state = derived(keys, evidence, opening, now)
        for event in value.get("events") or ():
            state = stepped(keys, state, Counted.model_validate(event), now).state
    except (ValidationError, NotProvenError, TooEarlyError, TypeError):
        return None
    return state.model_copy(update={"cards": before.cards}) if before is not None else state


def _state(value: Any) -> State | None:
    try:
        return State.model_validate(value)
    except ValidationError:
        return None


def _card(value: Any) -> CardRef | None:
    try:
        return CardRef.model_validate(value)
    except ValidationError:
        return None


def is_behind(row: instances.Instance, custom_status: str) -> bool:
    """Return whether the workflow is further than its row: its custom status names the stage and its votes."""
    said = WAITING.search(custom_status)
    if said is None or row.phase not in {"starting", "waiting", "unknown"}:
        return False
    if row.state is None or row.stage != int(said[1]) - 1:
        return True
    known = sum(each.approved for each in row.state.approvals if each.stage == row.state.stage)
    return said[2] is not None and known < int(said[2])


def lacks_card(row: instances.Instance) -> bool:
    """Return whether a request has no card of the stage that it stands at: Slack took none, or the row is behind."""
    return row.state is not None and len(row.cards) <= row.stage


def changes_by(state: State, engine: EngineInstance) -> instances.Changes:
    """Return the row of a request as its history gives it."""
    asked = len(state.cards) > state.stage
    own: dict[str, Any] = {
        "engine_status": engine.status,
        "custom_status": engine.custom_status.strip('"'),
        "cards": state.cards,
        "posted": binding_of(state).nonce if asked else "",
    }
    return instances.Changes(**projection(state) | own)


def known_by(state: State, engine: EngineInstance) -> instances.Known:
    """Return the first row of a request that has none."""
    request = state.request
    return instances.Known.model_validate(
        {
            "instance_id": engine.instance_id,
            "name": engine.name,
            "kind": request.kind,
            "subject": request.subject,
            "engine_status": engine.status,
            "phase": "unknown",
            "amount": request.amount,
            "currency": request.currency,
            "description": request.description,
            "requester": request.requester,
            "request": request,
            "finished_at": in_utc(engine.updated_at) if engine.finished else None,
        }
    )


def told_already(state: State) -> tuple[Notification, ...]:
    """Return what an end has told: the workflow told it when it ended, and nobody must hear it again."""
    return owed_by(state, "")


def end_by_output(output: str | None) -> Phase | None:
    """Return how a finished approval ended by its output alone, None for an output of another form."""
    try:
        found = json.loads(output or "null")
    except (ValueError, RecursionError):
        return None
    status = found.get("status") if isinstance(found, dict) else None
    if status == "completed":
        return "failed"  # an approval must be sealed in its history; any program at the sidecar's port could claim it
    if status == "withdrawn":
        return "withdrawn"
    if status != "rejected":
        return None
    return "timed_out" if found.get("reason") == "approval_timeout" else "rejected"


# ---- what the engine says of an instance ---------------------------------------------------------------------------


def changes(row: instances.Instance | reconciling.ComparedRow, state: EngineInstance) -> instances.Changes | None:
    """Return the changes that the row needs, None if there are none. A phase is set if the end came from outside.

    The engine names an instance from its first turn on: one that was listed before it gets its name later.
    """
    status, custom = state.status, plain_status(state.custom_status)
    named: dict[str, object] = {} if row.name else {"name": state.name}
    if status == row.engine_status and custom in ("", row.custom_status) and not any(named.values()):
        return None
    found: dict[str, object] = {"engine_status": status, **named}
    if custom:
        found["custom_status"] = custom
    if state.finished and row.phase in {"starting", "waiting"}:
        found["phase"] = ended_phase(state)
    return instances.Changes.model_validate(found)


def ended_phase(state: EngineInstance) -> instances.Phase:
    """Return how an instance ended that ended without us."""
    if state.status == "FAILED":
        return "failed"
    return (end_by_output(state.output) if state.status == "COMPLETED" else None) or "terminated"


def ending_by(state: EngineInstance) -> Ending:
    """Return what a card says of an end that we did not see. An operator is named only if the engine's output does."""
    at, operator = state.updated_at, _operator_of(state.output)
    if state.status == "FAILED":
        return Ending(kind="failed", at=at)  # why it failed is for operators: it stands in the audit
    if state.status == "TERMINATED" and operator:
        return Ending(kind="terminated", by_name=operator, reason=reason_of(state.output), at=at)
    return Ending(kind="stopped", reason=reason_of(state.output) if state.status == "TERMINATED" else "", at=at)


def _operator_of(output: str | None) -> str:
    """Return who ended an instance through this app, by the output that `terminate` gives it."""
    try:
        found = json.loads(output or "null")
    except (ValueError, RecursionError):
        return ""
    by = found.get("by") if isinstance(found, dict) and found.get("status") == "terminated" else None
    return by[:200] if isinstance(by, str) else ""


def reason_of(output: str | None) -> str:
    """Return the reason in a terminated instance's output; tools write text, this app an object."""
    try:
        found = json.loads(output or "null")
    except ValueError:
        found = output
    if isinstance(found, dict):
        found = found.get("reason", "")
    return found[:1000] if isinstance(found, str) else ""


def known_of(state: EngineInstance) -> instances.Known:
    """Return the row of an instance that is no request, as far as the engine knows it."""
    return instances.Known.model_validate(
        {
            "instance_id": state.instance_id,
            "name": state.name,
            "engine_status": state.status,
            "custom_status": plain_status(state.custom_status),
            "phase": "unknown",
            "finished_at": state.updated_at if state.finished else None,
        }
    )
