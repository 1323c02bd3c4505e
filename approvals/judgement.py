"""Eligibility to decide: the one check that the early answer at the click and the judge_decision activity share.

Pure: what depends on a key, a clock or Slack was looked up by the caller and comes in as values. What could not be
looked up comes in as a failure, and a failure is never a yes (law: fail closed).
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Literal

from pydantic import Field, ValidationError

from approvals.decision import (
    Decision,
    Judgement,
    Reason,
    SignedDecision,
    SignedSubmission,
    Submission,
    Submitted,
    Undo,
    Verdict,
    Withdrawal,
)
from approvals.digest import version_of
from approvals.people import EmailAddress, Person, Principal, Profile, SlackUser, UserGroup
from approvals.request import Binding, Delegation, Route
from approvals.seats import key_of, seats_of
from approvals.signing import KeyRing
from approvals.state import State, approvers_of
from approvals.values import Moment, Value

Failure = Literal["failed", "unknown"]
"""Why something could not be looked up: Slack could not be asked, or it knows no such person or group."""

Membership = AbstractSet[str] | Failure
"""The user ids in a group, or why they are not known."""

NOBODY_KNOWN = Person(team="sidecar", user="unsigned")
PROGRAM = "program"
"""The team of a person that is a program: the owner of an API key whom Slack does not know. It decides nothing."""

NO_REASON = "no reason given"
LONGEST_REASON = 3000
FAILURES: dict[str, Reason] = {"failed": Reason.LOOKUP_FAILED, "unknown": Reason.UNKNOWN_GROUP}


class Home(Value):
    """The workspace that the app is installed in."""

    team: str
    enterprise: str | None = None


class Asked(Value):
    """The facts of a request that decide who may answer it now."""

    route: Route
    stage: int = 0
    round: int = 0
    requester: str
    requester_person: Person | None = None
    requester_emails: tuple[str, ...] = ()


class DirectoryFacts(Value):
    """Slack's answers. `memberships` by the group's id or handle as in the route; a missing entry is a failed lookup.

    `approvers` are the profiles of the people who have delegated, by the name that the delegation gives them, and of
    those who are asked by e-mail.
    """

    home: Home
    memberships: Mapping[str, Membership] = Field(default_factory=dict)
    approvers: Mapping[str, Profile | Failure] = Field(default_factory=dict)


class Standing(Value):
    """Whether a person may decide, by which principal or delegation, and in whose place."""

    verdict: Verdict
    matched: str = ""
    acting_for: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()


WITHDRAWS = Standing(verdict=Verdict(allowed=True, reason=Reason.ALLOWED, rule="requester"), matched="requester")


class Payload(Value):
    """The content of an `approval_decision` event. `refused` says why it can't be trusted, if it can't."""

    decision: Decision | None = None
    refused: Reason | None = None
    key_id: str = ""
    submission: Submission | None = None
    unsigned: bool = Field(default=False, description="taken without a signature, because the setting allows it")

    @property
    def submitted(self) -> Decision | Submission | None:
        """Whatever it holds."""
        return self.decision or self.submission


class PlainRaise(Value):
    """The card and moment that an unsigned event is taken for, if accept_unsigned_decisions is on."""

    binding: Binding
    at: Moment


def asked_of(state: State) -> Asked:
    """Return what decides who may answer the request now."""
    return Asked(
        route=state.route,
        stage=state.stage,
        round=state.round,
        requester=state.request.requester,
        requester_person=state.requester,
        requester_emails=(*state.requester_emails, *filter(None, [state.request.submitted_by])),
    )


def read_payload(payload: Any, keys: KeyRing, plain: PlainRaise | None = None) -> Payload:
    """Return the event's decision and whether it can be trusted. It never raises: anything can arrive at the sidecar.

    `plain` is given only if accept_unsigned_decisions is on; a tutorial's `{"approved": true}` is a decision then.
    """
    if not isinstance(payload, dict):
        return Payload(refused=Reason.MALFORMED)
    if "submission" in payload:
        return _read_submission(payload, keys)
    if "decision" not in payload:
        return _read_unsigned(payload, plain)
    try:
        signed = SignedDecision.model_validate(payload)
    except ValidationError:
        return Payload(refused=Reason.MALFORMED)
    refused = None if keys.verify(signed) else Reason.BAD_SIGNATURE
    return Payload(decision=signed.decision, refused=refused, key_id=signed.key_id)


def _read_submission(payload: dict[str, Any], keys: KeyRing) -> Payload:
    try:
        signed = SignedSubmission.model_validate(payload)
    except ValidationError:
        return Payload(refused=Reason.MALFORMED)
    refused = None if keys.verify_submission(signed) else Reason.BAD_SIGNATURE
    return Payload(submission=signed.submission, refused=refused, key_id=signed.key_id)


def _read_unsigned(payload: dict[str, Any], plain: PlainRaise | None) -> Payload:
    approved, reason = payload.get("approved"), payload.get("reason") or NO_REASON
    if not isinstance(approved, bool) or not isinstance(reason, str):
        return Payload(refused=Reason.MALFORMED)
    if plain is None:
        return Payload(refused=Reason.UNSIGNED)
    decision = Decision(
        id=f"unsigned-{version_of([plain, approved, reason])}",
        binding=plain.binding,
        person=NOBODY_KNOWN,  # law: identity comes from signatures alone
        approved=approved,
        reason=reason[:LONGEST_REASON],
        through="sidecar",
        at=plain.at,
    )
    return Payload(decision=decision, unsigned=True)


def judge(  # noqa: PLR0913, PLR0917  # each comes from another lookup: bundled they would only be named twice
    payload: Payload,
    asked: Asked,
    profile: Profile | Failure,
    directory: DirectoryFacts,
    at: Moment,
    evidence: dict[str, Any] | None = None,
) -> Judgement:
    """Judge a submission at this moment: its signature, its person, their eligibility."""
    found = dict(evidence or {})
    submitted = payload.submitted
    if submitted is None or payload.refused is not None:
        verdict = _no(payload.refused or Reason.MALFORMED, "signature")
        return Judgement(verdict=verdict, decision=payload.decision, submission=payload.submission, evidence=found)
    if payload.unsigned:
        verdict = Verdict(allowed=True, reason=Reason.ALLOWED, rule="accept_unsigned_decisions")
        return Judgement(verdict=verdict, decision=payload.decision, evidence=found)
    standing = _standing(submitted, profile, asked, directory, at)
    known = profile if isinstance(profile, Profile) else None
    return Judgement(
        verdict=standing.verdict,
        decision=payload.decision,
        emails=_emails(known),
        matched=standing.matched,
        acting_for=standing.acting_for,
        name=known.name if known else "",
        evidence=found,
        submission=payload.submission,
        matches=standing.matches,
    )


def _standing(
    submitted: Submitted, profile: Profile | Failure, asked: Asked, directory: DirectoryFacts, at: Moment
) -> Standing:
    if isinstance(submitted, Decision):
        return may_decide(submitted.person, profile, asked, directory, at)
    if isinstance(submitted, Withdrawal):
        return may_withdraw(submitted.person, profile, asked, directory)
    if isinstance(submitted, Undo):
        return may_undo(submitted.person, profile, directory)
    return _refused(Reason.NOT_OFFERED, "submission")


def _not_found(failure: Failure) -> Standing:
    return _refused(Reason.LOOKUP_FAILED if failure == "failed" else Reason.UNKNOWN_PERSON, "directory")


def _not_this_person(person: Person, profile: Profile, directory: DirectoryFacts) -> Standing | None:
    """Return why a profile does not let this person act, None if it does."""
    if profile.person.user != person.user:
        return _refused(Reason.LOOKUP_FAILED, "directory")
    unfit = unfitness(person, profile, directory.home)
    return None if unfit is None else _refused(unfit, "person")


def may_undo(person: Person, profile: Profile | Failure, directory: DirectoryFacts) -> Standing:
    """Return whether this person may take back a yes. Whether it is theirs is the machine's to say."""
    if isinstance(profile, str):
        return _not_found(profile)
    if (other := _not_this_person(person, profile, directory)) is not None:
        return other
    return Standing(verdict=Verdict(allowed=True, reason=Reason.ALLOWED, rule="undo"), matched="own yes")


def may_withdraw(person: Person, profile: Profile | Failure, asked: Asked, directory: DirectoryFacts) -> Standing:
    """Return whether this person may take the request back: who it is for, and who submitted it."""
    if person.team == PROGRAM:
        ours = person.user.casefold() in _requester_names(asked)
        return WITHDRAWS if ours else _refused(Reason.NOT_THE_REQUESTER, "requester")
    if isinstance(profile, str):
        return _not_found(profile)
    if (other := _not_this_person(person, profile, directory)) is not None:
        return other
    if not _is_requester(person, profile, asked):
        return _refused(Reason.NOT_THE_REQUESTER, "requester")
    return WITHDRAWS


def may_decide(
    person: Person, profile: Profile | Failure, asked: Asked, directory: DirectoryFacts, at: Moment
) -> Standing:
    """Return whether this person may answer the request now. Whether an answer counts is still the machine's to say."""
    if isinstance(profile, str):
        return _unknown(person, profile, asked, directory, at)
    if (other := _not_this_person(person, profile, directory)) is not None:
        return other
    if _is_requester(person, profile, asked):
        return _refused(Reason.OWN_REQUEST, "requester")
    if asked.requester_person is None and profile.email is None:
        return _refused(Reason.UNKNOWN_REQUESTER, "requester")
    return _as_approver(profile, asked, directory, at)


def _unknown(person: Person, failure: Failure, asked: Asked, directory: DirectoryFacts, at: Moment) -> Standing:
    if failure == "unknown":
        return _refused(Reason.UNKNOWN_PERSON, "directory")
    if is_no_approver(person, asked, directory, at):
        return _refused(Reason.NOT_AN_APPROVER, asked.route.rule)
    return _refused(Reason.LOOKUP_FAILED, "directory")


def is_no_approver(person: Person, asked: Asked, directory: DirectoryFacts, at: Moment) -> bool:
    """Return whether ids alone say that a person may not decide: then nobody needs to know who it is.

    An e-mail or a group that is not known, or a delegation, may still let them; the requester hears another reason.
    """
    if asked.stage >= len(asked.route.stages) or person.user.casefold() in {
        name.rpartition("/")[2] for name in _requester_names(asked)
    }:
        return False
    mine = person.user.casefold()
    stands_in = any(
        "@" in each.delegate or each.delegate.strip().casefold() == mine
        for each in asked.route.delegations
        if each.since <= at < each.until
    )
    principals = approvers_of(asked.route.stages[asked.stage], asked.round)
    return not stands_in and all(_is_another(person, each, directory) for each in principals)


def _is_another(person: Person, principal: Principal, directory: DirectoryFacts) -> bool:
    match principal:
        case SlackUser():
            return principal.user != person.user
        case UserGroup():
            members = directory.memberships.get(principal.group, "failed")
            return not isinstance(members, str) and person.user not in members
        case EmailAddress():
            owner = directory.approvers.get(principal.email, "failed")
            return isinstance(owner, Profile) and owner.person.user != person.user


def unfitness(person: Person, profile: Profile, home: Home) -> Reason | None:
    """Return why a person may not decide anything here. None for a full member of this workspace."""
    if not _belongs(person, profile, home):
        return Reason.OTHER_TEAM
    flags = (
        (profile.bot, Reason.BOT),
        (profile.deactivated, Reason.DEACTIVATED),
        (profile.guest, Reason.GUEST),
        (profile.stranger, Reason.STRANGER),
        (profile.invited, Reason.INVITED),
    )
    return next((reason for flag, reason in flags if flag), None)


def _belongs(person: Person, profile: Profile, home: Home) -> bool:
    # The ids decide: docs/explanation/slack.md#not-a-stranger-does-not-mean-internal
    if home.enterprise is not None and home.enterprise in {profile.enterprise, person.team}:
        return profile.enterprise in {None, home.enterprise}
    return person.team == home.team == profile.person.team


def _refused(reason: Reason, rule: str) -> Standing:
    return Standing(verdict=_no(reason, rule))


def _no(reason: Reason, rule: str) -> Verdict:
    return Verdict(allowed=False, reason=reason, rule=rule)


def _emails(profile: Profile | None) -> tuple[str, ...]:
    return (profile.email.strip().casefold(),) if profile is not None and profile.email else ()


def _names(person: Person, profile: Profile) -> set[str]:
    return {person.key.casefold(), person.user.casefold(), profile.person.key.casefold(), *_emails(profile)}


def _is_requester(person: Person, profile: Profile, asked: Asked) -> bool:
    return not _requester_names(asked).isdisjoint(_names(person, profile))


def _requester_names(asked: Asked) -> set[str]:
    names = {name.strip().casefold() for name in (asked.requester, *asked.requester_emails)}
    if asked.requester_person is not None:
        names |= {asked.requester_person.key.casefold(), asked.requester_person.user.casefold()}
    return names


def _as_approver(profile: Profile, asked: Asked, directory: DirectoryFacts, at: Moment) -> Standing:
    if asked.stage >= len(asked.route.stages):
        return _refused(Reason.NO_APPROVERS, asked.route.rule)
    principals = approvers_of(asked.route.stages[asked.stage], asked.round)
    if asked.route.stages[asked.stage].seats and _is_unknown(principals, directory):
        return _refused(Reason.LOOKUP_FAILED, asked.route.rule)  # the seats that a yes fills stay as they are found now
    matched, missed = _match(profile, principals, directory)
    if not missed:
        return _allowed(asked, matched, matches=_matches(profile, asked, directory))
    found = [
        standing
        for delegation in asked.route.delegations
        if delegates_to(delegation, profile, at)
        for standing in [_as_delegate(delegation.approver, principals, asked, directory)]
    ]
    allowed = (standing for standing in found if standing.verdict.allowed)
    telling = (standing for standing in found if standing.verdict.reason is not Reason.NOT_AN_APPROVER)
    return next(allowed, None) or next(telling, None) or _refused(missed, asked.route.rule)


def _match(profile: Profile, principals: tuple[Principal, ...], directory: DirectoryFacts) -> tuple[str, Reason | None]:
    """Return by which principal the person is an approver, or why they are not."""
    missed = Reason.NOT_AN_APPROVER
    for principal in principals:
        match principal:
            case SlackUser() if principal.user == profile.person.user:
                return f"user {principal.user}", None
            case EmailAddress() if principal.email.strip().casefold() in _emails(profile):
                return f"e-mail {principal.email}", None
            case UserGroup():
                members = directory.memberships.get(principal.group, "failed")
                if isinstance(members, str):
                    # Another principal may still match; if none does, this is what the person hears.
                    missed = Reason.LOOKUP_FAILED if missed is Reason.LOOKUP_FAILED else FAILURES[members]
                elif profile.person.user in members:
                    return f"group {principal.group}", None
    return "", missed


def delegates_to(delegation: Delegation, profile: Profile, at: Moment) -> bool:
    """Return whether a delegation is to this person at this moment."""
    mine = {profile.person.user.casefold(), *_emails(profile)}
    return delegation.delegate.strip().casefold() in mine and delegation.since <= at < delegation.until


def _as_delegate(approver: str, principals: tuple[Principal, ...], asked: Asked, directory: DirectoryFacts) -> Standing:
    rule = f"delegation by {approver}"
    profile = directory.approvers.get(approver, "failed")
    if isinstance(profile, str):
        return _refused(Reason.LOOKUP_FAILED if profile == "failed" else Reason.NOT_AN_APPROVER, rule)
    if unfitness(profile.person, profile, directory.home) is not None:
        return _refused(Reason.NOT_AN_APPROVER, rule)
    if _is_requester(profile.person, profile, asked):
        return _refused(Reason.OWN_REQUEST, rule)
    matched, missed = _match(profile, principals, directory)
    if missed:
        return _refused(missed, rule)
    acting_for = (profile.person.user, *_emails(profile))
    return _allowed(asked, f"{rule}, {matched}", acting_for, _matches(profile, asked, directory))


def _allowed(asked: Asked, matched: str, acting_for: tuple[str, ...] = (), matches: tuple[str, ...] = ()) -> Standing:
    verdict = Verdict(allowed=True, reason=Reason.ALLOWED, rule=asked.route.rule)
    return Standing(verdict=verdict, matched=matched, acting_for=acting_for, matches=matches)


def _is_unknown(principals: tuple[Principal, ...], directory: DirectoryFacts) -> bool:
    groups = [one.group for one in principals if isinstance(one, UserGroup)]
    return any(isinstance(directory.memberships.get(group, "failed"), str) for group in groups)


def _matches(profile: Profile, asked: Asked, directory: DirectoryFacts) -> tuple[str, ...]:
    """Return all of the stage's principals that match the person, if it has seats to fill."""
    stage = asked.route.stages[asked.stage]
    if not stage.seats:
        return ()
    principals = dict.fromkeys(principal for seat in seats_of(stage, asked.round) for principal in seat.any_of)
    return tuple(key_of(one) for one in principals if not _match(profile, (one,), directory)[1])
