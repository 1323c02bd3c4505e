"""From the machine's state to what cards need: the same view when posting, when rewriting and after a repair."""

from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError
from approvals.decision import Outcome, Reason
from approvals.messages import sentence
from approvals.people import EmailAddress, Principal, SlackUser, UserGroup
from approvals.state import State, approvers_of, binding_of, deadline_of
from cards.request_card import CardView, Ending


async def resolved(directory: Directory, principals: tuple[Principal, ...]) -> tuple[Principal, ...]:
    """Return the principals as Slack's ids, so that they can be mentioned; what cannot be looked up stays as it is."""
    return tuple([await _resolved(directory, each) for each in principals])


async def _resolved(directory: Directory, principal: Principal) -> Principal:
    try:
        if isinstance(principal, UserGroup):
            found = await directory.group_id(principal.group)
            return UserGroup(group=found) if found else principal
        if isinstance(principal, EmailAddress):
            profile = await directory.by_email(principal.email)
            return SlackUser(user=profile.person.user) if profile else principal
    except LookupFailedError:
        return principal
    return principal


async def card_view(directory: Directory, state: State, ending: Ending | None = None) -> CardView:
    """Return the view of the current stage's card."""
    return await stage_view(directory, state, state.stage, state.round, ending)


async def passed_view(directory: Directory, state: State, stage: int) -> CardView:
    """Return the view of an earlier stage's card: it is approved, and the request has gone on."""
    view = await stage_view(directory, state, stage, 0)
    return view.model_copy(update={"passed": "advanced"}) if state.outcome is None else view


async def stage_view(
    directory: Directory, state: State, stage: int, round_: int, ending: Ending | None = None
) -> CardView:
    """Return what the card of one stage shows of this state."""
    bound = state.model_copy(update={"stage": stage, "round": round_})
    asked = bool(state.route.stages) and state.asked_at is not None
    return CardView(
        request=state.request,
        route=state.route,
        binding=binding_of(bound),
        deadline=deadline_of(bound) if asked else state.run,
        approvers=await resolved(directory, approvers_of(state.route.stages[stage], round_)) if asked else (),
        requester_user=state.requester.user if state.requester else None,
        approvals=state.approvals,
        reminders=state.reminded,
        outcome=state.outcome,
        outcome_sentence=outcome_sentence(state.outcome),
        ending=ending,
    )


def outcome_sentence(outcome: Outcome | None) -> str:
    """Return the sentence for an end that the machine decided by itself, empty for a person's words."""
    if outcome is None or outcome.by or outcome.reason not in set(Reason):
        return ""
    return sentence(Reason(outcome.reason))


def ending_of(kind: str, output: str | None) -> Ending:
    """Return an end that the workflow did not decide, as it was written down beside the row."""
    try:
        return Ending.model_validate_json(output or "")
    except ValueError:
        return Ending.model_validate({"kind": kind})
