"""Record what the machine decided: the read model, the audit and the intake in one transaction."""

from collections import Counter
from typing import Any

from activities.inputs import Recorded
from approvals.audit_actions import AuditAction
from approvals.checks import barred
from approvals.decision import Decision, Reason, Withdrawal
from approvals.machine import Record, State, binding_of, deadline_of
from approvals.messages import message_for
from approvals.output import end_of_outcome
from approvals.people import EmailAddress, Principal, UserGroup
from approvals.state import approvers_now
from approvals.values import Moment
from records import audit, instances, sent
from records.plain import Transaction


def waiting_on(state: State) -> tuple[str, ...]:
    """Return the people that a request waits for, as `group:managers`, `user:U…` or `email:…`; none if it has ended."""
    return () if state.phase != "waiting" else tuple(named(each) for each in approvers_now(state))


def named(principal: Principal) -> str:
    """Return a principal as people write it in a policy."""
    if isinstance(principal, UserGroup):
        return f"group:{principal.group}"
    return f"email:{principal.email}" if isinstance(principal, EmailAddress) else f"user:{principal.user}"


def phase_of(state: State) -> str:
    """Return the read model's word for where a request stands."""
    if state.outcome is None:
        return "waiting"
    return end_of_outcome(state.outcome)


def projection(state: State) -> dict[str, Any]:
    """Return the read model's columns for a state."""
    waits = state.phase == "waiting"
    return {
        "phase": phase_of(state),
        "requester_person": state.requester.key if state.requester else None,
        "rule": state.route.rule,
        "policy_version": state.route.policy_version,
        "digest": binding_of(state).digest,
        "stage": state.stage,
        "round": state.round,
        "run": state.run,
        "waiting_on": waiting_on(state),
        "barred": barred(state) if waits else (),
        "asked_at": state.asked_at,
        "deadline": deadline_of(state) if waits else None,
        "outcome": state.outcome,
        "decided_at": state.outcome.at if state.outcome else None,
        "valid_until": instances.until_of(state),
        "state": state,
        "wanted": shown_of(state) if state.cards else "",
    }


def shown_of(state: State) -> str:
    """Return the code of what the newest card must show; the reconciler compares it with what it does show."""
    phase = phase_of(state)
    if phase != "waiting":
        return phase
    found = f"waiting/{state.stage}/{state.round}/{len(state.approvals)}"
    return f"{found}/{state.taken_back}" if state.taken_back else found


def entry_key(what: Recorded) -> str:
    """Return an entry's idempotency key (docs/explanation/dapr.md#an-activity-may-run-more-than-once)."""
    state, record = what.state, what.effect
    decision = record.decision.id if record.decision else ""
    told = f"{record.action}/{state.stage}/{state.round}/{state.reminded}/{decision}"
    return f"{state.run.isoformat()}/{told}/{what.at.isoformat()}"


def entry(what: Recorded, at: Moment) -> audit.Entry:
    """Return the audit entry for what the machine wants recorded."""
    state, record = what.state, what.effect
    decision, verdict = record.decision, record.verdict
    return audit.Entry(
        at=at,
        actor=decision.person.key if decision else "workflow",
        action=AuditAction(f"request.{record.action}"),
        instance_id=state.instance_id,
        request_digest=binding_of(state).digest,
        through=decision.through if decision else "workflow",
        verdict=verdict.reason.value if verdict else "",
        reason=_reason(state, record),
        policy_version=state.route.policy_version,
        correlation_id=decision.correlation_id if decision else "",
        data=_data(what),
    )


def _data(what: Recorded) -> dict[str, Any]:
    state, record = what.state, what.effect
    data = {
        "key": entry_key(what),
        "rule": state.route.rule,
        "stage": state.stage,
        "round": state.round,
    }
    if record.action in {"accepted", "approved", "rejected", "timed_out", "withdrawn"}:
        data |= about(state)
    if record.decision is not None:
        nonce = record.decision.binding.nonce
        data |= {"decision_id": record.decision.id, "nonce": nonce}
    if isinstance(record.decision, Decision):
        data["approved"] = record.decision.approved
    if record.judgement is not None:
        data |= {"matched": record.judgement.matched, "evidence": record.judgement.evidence}
    return data


def about(state: State) -> dict[str, Any]:
    """Return a decision's subject without personal data: it stays in the audit when the request is purged."""
    request = state.request
    amount = {} if request.amount is None else {"amount": str(request.amount), "currency": request.currency}
    return {"kind": request.kind, "subject": request.subject} | amount


def _reason(state: State, record: Record) -> str:
    if record.verdict and not record.verdict.allowed:
        return message_for(record.verdict.reason, withdrawal=isinstance(record.decision, Withdrawal))
    if record.action in {"rejected", "timed_out"} and state.outcome:
        return state.outcome.reason
    return record.decision.reason if record.decision else ""


def append_once(transaction: Transaction, key: str, wanted: audit.Entry) -> bool:
    """Append an entry unless it stands already; both in the caller's transaction. Returns whether it is new."""
    new = sent.note.on(transaction, f"audit/{wanted.instance_id}/{wanted.action}/{key}", wanted.at)
    if new:
        audit.append.on(transaction, wanted)
    return new


DROPPED = (Reason.BAD_SIGNATURE, Reason.UNSIGNED, Reason.MALFORMED)
"""Why events are dropped, what looks most like an attempt first."""


def write_dropped(transaction: Transaction, state: State, dropped: Counter[Reason], when: Moment, at: Moment) -> None:
    """Write one entry for all the events of a turn that are not signed by us. They change nothing else.

    `when` is the workflow's clock, the same in every repetition.
    """
    reason = next(each for each in DROPPED if dropped[each])
    refused = audit.Entry(
        at=at,
        actor="sidecar",
        action=AuditAction.REQUEST_REFUSED,
        instance_id=state.instance_id,
        request_digest=binding_of(state).digest,
        through="sidecar",
        verdict=reason.value,
        reason=message_for(reason),
        policy_version=state.route.policy_version,
        data={"stage": state.stage, "count": dropped.total(), "reasons": {why.value: n for why, n in dropped.items()}},
    )
    append_once(transaction, f"dropped/{when.isoformat()}", refused)


OURS: tuple[instances.Phase, ...] = (
    "starting", "waiting", "approved", "rejected", "timed_out", "withdrawn", "unknown",
)  # fmt: skip
"""Phases in which the workflow may write: an activity in flight must not undo a termination."""
