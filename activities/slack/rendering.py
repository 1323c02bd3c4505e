"""From the machine's state to what cards need: the same view when posting, when rewriting and after a repair."""

from datetime import timedelta

from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError
from approvals.decision import Outcome, Reason
from approvals.messages import message_for
from approvals.people import EmailAddress, Principal, SlackUser, UserGroup
from approvals.request import Seat
from approvals.seats import seats_of, standings
from approvals.state import State, approvers_now, approvers_of, binding_of, current_stage, deadline_of, yeses_of
from cards.card_view import CardView, Ending
from cards.links import card_link


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
    """Return the content of one stage's card for this state."""
    bound = state.model_copy(update={"stage": stage, "round": round_})
    asked = bool(state.route.stages) and state.asked_at is not None
    return CardView(
        request=state.request,
        route=state.route,
        binding=binding_of(bound),
        deadline=deadline_of(bound) if asked else state.run,
        approvers=await resolved(directory, approvers_of(state.route.stages[stage], round_)) if asked else (),
        seats=await _seats(directory, seats_of(state.route.stages[stage], round_)) if asked else (),
        requester_user=state.requester.user if state.requester else None,
        from_a_door=state.origin == "door",
        approvals=state.approvals,
        links=await _links(directory, state),
        reminders=state.reminded,
        outcome=state.outcome,
        outcome_sentence=outcome_sentence(state.outcome),
        ending=ending,
    )


async def _seats(directory: Directory, seats: tuple[Seat, ...]) -> tuple[Seat, ...]:
    return tuple([seat.model_copy(update={"any_of": await resolved(directory, seat.any_of)}) for seat in seats])


async def _links(directory: Directory, state: State) -> tuple[str, ...]:
    """Return the addresses of the request's cards by stage; none while the workspace's is not known."""
    if len(state.cards) < 2:  # noqa: PLR2004 one card links to no other
        return ()
    try:
        url = str((await directory.team()).get("url") or "")
    except LookupFailedError:
        return ()
    return tuple(card_link(card, url) for card in state.cards)


async def still_asked(directory: Directory, state: State) -> tuple[Principal, ...]:
    """Return whom a reminder has to mention: the approvers, without the people of a group who have answered.

    Once one person has answered, a group's mention would notify them too, so its other members are mentioned by name. A
    group that cannot be looked up is mentioned as it is.
    """
    approvers = await resolved(directory, _for_open_seats(state))
    answered = {one.person.user for one in state.approvals if one.stage == state.stage}
    if not answered:
        return approvers
    answered |= {state.requester.user} if state.requester else set()
    left: list[Principal] = []
    for each in approvers:
        left += await _others(directory, each, answered)
    return tuple(dict.fromkeys(left)) or approvers


def _for_open_seats(state: State) -> tuple[Principal, ...]:
    stage = current_stage(state)
    standing = zip(seats_of(stage, state.round), standings(stage, state.round, yeses_of(state)), strict=True)
    left = [one for seat, found in standing if len(found.by) < seat.needed for one in seat.any_of]
    return tuple(dict.fromkeys(left)) or approvers_now(state)


async def _others(directory: Directory, each: Principal, answered: set[str]) -> list[Principal]:
    if isinstance(each, SlackUser):
        return [] if each.user in answered else [each]
    if not isinstance(each, UserGroup):
        return [each]
    try:
        members = await directory.members(each.group)
    except LookupFailedError:
        members = None
    return [each] if members is None else [SlackUser(user=user) for user in sorted(members - answered)]


def time_left(state: State, number: int) -> timedelta | None:
    """Return what was left until the deadline when a stage's reminder `number` (from 1) was due."""
    stage = current_stage(state)
    waits = sorted(stage.remind)
    return stage.within - waits[number - 1] if 0 < number <= len(waits) else None


def outcome_sentence(outcome: Outcome | None) -> str:
    """Return the message for an end that the machine decided by itself, empty for a person's words."""
    if outcome is None or outcome.by or outcome.reason not in set(Reason):
        return ""
    return message_for(Reason(outcome.reason))


def ending_of(kind: str, output: str | None) -> Ending:
    """Return an end that the workflow did not decide, as it was written down beside the row."""
    try:
        return Ending.model_validate_json(output or "")
    except ValueError:
        return Ending.model_validate({"kind": kind})
