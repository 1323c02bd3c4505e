"""Who may decide, and what an event's payload is worth."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.decision import Reason
from approvals.judgement import Asked, DirectoryFacts, Home, PlainRaise, asked_of, judge, may_decide, read_payload
from approvals.machine import binding_of, step
from approvals.people import EmailAddress, Person, Profile, SlackUser, UserGroup
from approvals.request import Delegation, Escalation
from approvals.signing import parse_key_ring
from tests.approvals.story import Story

KEYS = parse_key_ring("k" * 32)
HOME = Home(team="T1")
GRID = Home(team="T1", enterprise="E1")
MANAGERS = UserGroup(group="managers")
MEMBERS = {"managers": {"UANN", "UREQ", "U9"}, "vps": {"UVP"}}


def profile(user: Any = "UANN", **fields: Any) -> Any:
    known = {"person": Person(team="T1", user=user), "email": f"{user}@example.com", "name": user}
    return Profile(**{**known, **fields})


def asked(story: Story, *approvers: Any, **fields: Any) -> Any:
    stage = story.stage(
        approvers=approvers or (MANAGERS,), escalate=Escalation(after=story.hour, to=(UserGroup(group="vps"),))
    )
    delegations = fields.pop("delegations", ())
    known = {
        "route": story.route(stage, delegations=delegations),
        "requester": "req@example.com",
        "requester_person": story.requester,
        "requester_emails": ("req@example.com",),
    }
    return Asked(**{**known, **fields})


def standing(
    story: Story,
    who: Any,
    question: Any = None,
    *,
    home: Any = HOME,
    memberships: Any = None,
    approvers: Any = None,
    person: Any = None,
    at: Any = None,
) -> Any:
    directory = DirectoryFacts(
        home=home, memberships=MEMBERS if memberships is None else memberships, approvers=approvers or {}
    )
    whom = person or (who.person if isinstance(who, Profile) else story.ann)
    return may_decide(whom, who, question or asked(story), directory, at or story.now)


PEOPLE = [
    ("a member of the group", profile(), Reason.ALLOWED),
    ("somebody else", profile("UBOB"), Reason.NOT_AN_APPROVER),
    ("nobody Slack knows", "unknown", Reason.UNKNOWN_PERSON),
    ("somebody who could not be looked up", "failed", Reason.LOOKUP_FAILED),
    ("a bot", profile(bot=True), Reason.BOT),
    ("a deactivated account", profile(deactivated=True), Reason.DEACTIVATED),
    ("a guest", profile(guest=True), Reason.GUEST),
    ("a stranger", profile(stranger=True), Reason.STRANGER),
    ("somebody invited", profile(invited=True), Reason.INVITED),
    ("another team", profile(person=Person(team="T2", user="UANN")), Reason.OTHER_TEAM),
    ("another team's bot that is a guest", profile(person=Person(team="T2", user="UANN"), bot=True), Reason.OTHER_TEAM),
    ("the requester", profile("UREQ"), Reason.OWN_REQUEST),
    ("the requester's second account", profile("U9", email="REQ@example.com"), Reason.OWN_REQUEST),
]


@pytest.mark.parametrize(("description", "who", "reason"), PEOPLE, ids=[row[0] for row in PEOPLE])
def test_who_may_decide(story: Story, description: str, who: Any, reason: Any) -> None:
    found = standing(story, who)
    assert (found.verdict.reason, found.verdict.allowed) == (reason, reason is Reason.ALLOWED), description
    assert found.matched == ("group managers" if found.verdict.allowed else "")


TEAMS = [
    ("the team at home", "T1", "T1", None, HOME, True),
    ("a payload that names another team than the profile", "T1", "T2", None, HOME, False),
    ("another team of the enterprise", "T2", "T2", "E1", GRID, True),
    ("the enterprise itself", "E1", "T2", "E1", GRID, True),
    ("the enterprise itself, and a profile that names none", "E1", "T1", None, GRID, True),
    ("another enterprise", "T1", "T1", "E2", GRID, True),
    ("another enterprise's team", "T2", "T2", "E2", GRID, False),
    ("a profile of another enterprise under this one's id", "E1", "T2", "E2", GRID, False),
    ("an enterprise where the app knows none", "E1", "T1", "E1", HOME, False),
]


@pytest.mark.parametrize(
    ("description", "team", "who", "home", "allowed"),
    [(row[0], row[1], row[2:4], *row[4:]) for row in TEAMS],
    ids=[row[0] for row in TEAMS],
)
def test_which_team_belongs(story: Story, description: str, team: str, who: Any, home: Home, allowed: bool) -> None:  # noqa: FBT001  # a row of the table
    who = profile(person=Person(team=who[0], user="UANN"), enterprise=who[1])
    found = standing(story, who, home=home, person=Person(team=team, user="UANN"))
    assert found.verdict.reason is (Reason.ALLOWED if allowed else Reason.OTHER_TEAM), description


def test_the_profile_of_somebody_else_is_no_evidence(story: Story) -> None:
    assert standing(story, profile("UBOB"), person=story.ann).verdict.reason is Reason.LOOKUP_FAILED


def test_where_no_address_can_be_compared_it_may_be_ones_own_request(story: Story) -> None:
    question = asked(story, requester_person=None)
    assert standing(story, profile(email=None), question).verdict.reason is Reason.UNKNOWN_REQUESTER
    assert standing(story, profile(), question).verdict.allowed
    assert standing(story, profile(email=None)).verdict.allowed


ANN, EMAIL, VPS, GONE = (
    SlackUser(user="UANN"),
    EmailAddress(email="Uann@Example.com"),
    UserGroup(group="vps"),
    UserGroup(group="gone"),
)
PRINCIPALS = [
    ("by user id", (ANN,), {}, "user UANN"),
    ("by e-mail in another case", (EMAIL,), {}, "e-mail Uann@Example.com"),
    ("by the second group", (VPS, MANAGERS), MEMBERS, "group managers"),
    ("by one group while another could not be asked", (VPS, MANAGERS), {"managers": {"UANN"}}, "group managers"),
    ("as another user", (SlackUser(user="UBOB"),), {}, Reason.NOT_AN_APPROVER),
    ("in none", (VPS,), MEMBERS, Reason.NOT_AN_APPROVER),
    ("in a group that was not looked up", (MANAGERS,), {}, Reason.LOOKUP_FAILED),
    ("in a group whose lookup failed", (MANAGERS,), {"managers": "failed"}, Reason.LOOKUP_FAILED),
    ("in a group that Slack does not know", (GONE,), {"gone": "unknown"}, Reason.UNKNOWN_GROUP),
    (
        "in one that failed and one unknown",
        (MANAGERS, GONE),
        {"managers": "failed", "gone": "unknown"},
        Reason.LOOKUP_FAILED,
    ),
    ("in an empty group", (MANAGERS,), {"managers": set()}, Reason.NOT_AN_APPROVER),
]


@pytest.mark.parametrize(
    ("description", "principals", "members", "found"), PRINCIPALS, ids=[row[0] for row in PRINCIPALS]
)
def test_how_an_approver_is_found(story: Story, description: str, principals: Any, members: Any, found: Any) -> None:
    answer = standing(story, profile(), asked(story, *principals), memberships=members)
    assert found in {answer.matched, answer.verdict.reason}, (description, answer)
    assert answer.verdict.allowed is not isinstance(found, Reason)


def test_an_escalation_adds_people_and_takes_none_away(story: Story) -> None:
    vp = profile("UVP")
    assert standing(story, vp).verdict.reason is Reason.NOT_AN_APPROVER
    assert standing(story, vp, asked(story, round=1)).matched == "group vps"
    assert standing(story, profile(), asked(story, round=1)).matched == "group managers"


def test_a_stage_that_is_not_there_has_no_approvers(story: Story) -> None:
    assert standing(story, profile(), asked(story, stage=5)).verdict.reason is Reason.NO_APPROVERS


def delegation(
    story: Story, approver: Any = "ann@example.com", delegate: Any = "UBOB", since: Any = -1, until: Any = 1
) -> Any:
    return Delegation(
        approver=approver, delegate=delegate, since=story.now + since * story.hour, until=story.now + until * story.hour
    )


ANNS = {"ann@example.com": profile(email="ann@example.com")}
DELEGATIONS = [
    ("in time", {}, ANNS, Reason.ALLOWED),
    ("by the delegate's e-mail", {"delegate": "Ubob@example.com"}, ANNS, Reason.ALLOWED),
    ("from its first moment", {"since": 0}, ANNS, Reason.ALLOWED),
    ("before its time", {"since": 1, "until": 2}, ANNS, Reason.NOT_AN_APPROVER),
    ("at its end", {"until": 0}, ANNS, Reason.NOT_AN_APPROVER),
    ("to somebody else", {"delegate": "UEVE"}, ANNS, Reason.NOT_AN_APPROVER),
    ("by somebody who is no approver", {}, {"ann@example.com": profile("UEVE")}, Reason.NOT_AN_APPROVER),
    ("by somebody who has left", {}, {"ann@example.com": profile(deactivated=True)}, Reason.NOT_AN_APPROVER),
    ("by somebody Slack does not know", {}, {"ann@example.com": "unknown"}, Reason.NOT_AN_APPROVER),
    ("by somebody who could not be looked up", {}, {}, Reason.LOOKUP_FAILED),
    ("by the requester", {}, {"ann@example.com": profile("UREQ")}, Reason.OWN_REQUEST),
    (
        "by the requester's second account",
        {},
        {"ann@example.com": profile(email="req@example.com")},
        Reason.OWN_REQUEST,
    ),
]


@pytest.mark.parametrize(
    ("description", "change", "approvers", "reason"), DELEGATIONS, ids=[row[0] for row in DELEGATIONS]
)
def test_a_delegate_decides_in_an_approvers_place(
    story: Story, description: str, change: Any, approvers: Any, reason: Any
) -> None:
    question = asked(story, delegations=(delegation(story, **change),))
    found = standing(story, profile("UBOB"), question, approvers=approvers)
    assert found.verdict.reason is reason, description
    if found.verdict.allowed:
        assert found.matched == "delegation by ann@example.com, group managers"
        assert found.acting_for == ("UANN", "ann@example.com")


def test_no_delegation_lets_the_requester_decide(story: Story) -> None:
    question = asked(story, delegations=(delegation(story, delegate="UREQ"),))
    assert standing(story, profile("UREQ"), question, approvers=ANNS).verdict.reason is Reason.OWN_REQUEST


def test_one_good_delegation_is_enough_and_a_group_that_failed_is_told_first(story: Story) -> None:
    both = (delegation(story, "eve@example.com"), delegation(story))
    assert standing(story, profile("UBOB"), asked(story, delegations=both), approvers=ANNS).verdict.allowed
    failed = standing(story, profile("UBOB"), asked(story, delegations=both), approvers=ANNS, memberships={})
    assert failed.verdict.reason is Reason.LOOKUP_FAILED


def test_an_approver_in_their_own_right_acts_for_nobody_else(story: Story) -> None:
    question = asked(story, delegations=(delegation(story, delegate="U9"),))
    assert standing(story, profile("U9"), question, approvers=ANNS).acting_for == ()


# ---- payloads


def signed(story: Story, **fields: Any) -> Any:
    return KEYS.sign(story.decision(story.waiting(), **fields))


def test_a_signed_payload_is_read_and_its_key_kept_as_evidence(story: Story) -> None:
    whole = signed(story)
    found = read_payload(whole.model_dump(mode="json"), KEYS)
    assert (found.decision, found.refused, found.key_id) == (whole.decision, None, "k1")


PAYLOADS = [
    ("nothing", None, Reason.MALFORMED),
    ("a text", "approved", Reason.MALFORMED),
    ("a list", [1], Reason.MALFORMED),
    ("an empty object", {}, Reason.MALFORMED),
    ("a tutorial's answer", {"approved": True}, Reason.UNSIGNED),
    ("an answer that is a text", {"approved": "true"}, Reason.MALFORMED),
    ("a reason that is a number", {"approved": True, "reason": 5}, Reason.MALFORMED),
    ("a decision that is none", {"decision": {"id": 1}, "key_id": "k1", "mac": ""}, Reason.MALFORMED),
]


@pytest.mark.parametrize(("description", "payload", "reason"), PAYLOADS, ids=[row[0] for row in PAYLOADS])
def test_what_is_not_signed_is_refused(story: Story, description: str, payload: Any, reason: Any) -> None:
    found = read_payload(payload, KEYS)
    judgement = judge(found, asked(story), profile(), DirectoryFacts(home=HOME, memberships=MEMBERS), story.now)
    assert (judgement.verdict.allowed, judgement.verdict.reason) == (False, reason), description


@pytest.mark.parametrize("change", [{"mac": "0" * 64}, {"key_id": "gone"}])
def test_a_wrong_signature_is_refused_before_anything_is_looked_up(story: Story, change: Any) -> None:
    payload = {**signed(story).model_dump(mode="json"), **change}
    judgement = judge(read_payload(payload, KEYS), asked(story), "failed", DirectoryFacts(home=HOME), story.now)
    assert judgement.verdict.reason is Reason.BAD_SIGNATURE
    assert judgement.decision.person == story.ann


def test_a_judgement_holds_who_it_is_and_what_was_looked_up(story: Story) -> None:
    found = read_payload(signed(story).model_dump(mode="json"), KEYS)
    directory = DirectoryFacts(home=HOME, memberships=MEMBERS)
    judgement = judge(found, asked(story), profile(), directory, story.now, {"groups": "fresh"})
    assert judgement.verdict.allowed
    assert (judgement.emails, judgement.matched, judgement.name) == (("uann@example.com",), "group managers", "UANN")
    assert judgement.evidence == {"groups": "fresh"}
    unknown = judge(found, asked(story), "unknown", directory, story.now)
    assert (unknown.verdict.reason, unknown.emails) == (Reason.UNKNOWN_PERSON, ())


ANSWERS = [
    ({"approved": True, "person": {"user": "UVP"}}, True, "no reason given"),
    ({"approved": False}, False, "no reason given"),
    ({"approved": False, "reason": "x" * 5000}, False, "x" * 3000),
]


@pytest.mark.parametrize(("payload", "approved", "reason"), ANSWERS)
def test_where_unsigned_answers_are_taken_a_tutorials_payload_counts_and_names_nobody(
    story: Story, payload: Any, approved: Any, reason: Any
) -> None:
    state = story.waiting()
    plain = PlainRaise(binding=binding_of(state), at=story.now)
    found = read_payload(payload, KEYS, plain)
    assert found.decision.person == Person(team="sidecar", user="unsigned")
    judgement = judge(found, asked_of(state), "failed", DirectoryFacts(home=HOME), story.now)
    assert judgement.verdict.rule == "accept_unsigned_decisions"
    after, _ = step(state, story.judged(judgement.decision, judgement.verdict, emails=()))
    assert (after.outcome.approved, after.outcome.reason) == (approved, reason)


def test_two_unsigned_answers_at_two_moments_are_two_decisions(story: Story) -> None:
    binding = binding_of(story.waiting())
    ids = {
        read_payload(
            {"approved": True}, KEYS, PlainRaise(binding=binding, at=story.now + timedelta(seconds=n))
        ).decision.id
        for n in range(2)
    }
    assert len(ids) == 2


def test_whoever_submitted_a_request_is_asked_for_as_its_requester(story: Story) -> None:
    state = story.waiting()
    state = state.model_copy(update={"request": story.request(submitted_by="uann@example.com")})
    assert standing(story, profile(), asked_of(state)).verdict.reason is Reason.OWN_REQUEST


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["decision", "mac", "key_id", "approved", "reason", "id"]) | st.text(), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_whatever_arrives_at_the_sidecar_is_read_and_never_trusted(payload: Any) -> None:
    assert read_payload(payload, KEYS).refused is not None


NOT_BY_ID = {
    "another group's member": ((MANAGERS,), (), None, True),
    "another user": ((SlackUser(user="UBOB"),), (), None, True),
    "a member": ((UserGroup(group="others"),), (), {"others": {"UANN"}}, False),
    "a group that is not known": ((MANAGERS,), (), {"managers": "failed"}, False),
    "an e-mail": ((EmailAddress(email="a@example.com"),), (), None, False),
    "another's e-mail": ((EmailAddress(email="UBOB@example.com"),), (), None, True),
    "an e-mail of their own": ((EmailAddress(email="UANN@example.com"),), (), None, False),
    "a delegate by e-mail": ((MANAGERS,), ("someone@example.com",), None, False),
    "a delegate by id": ((MANAGERS,), ("UANN",), None, False),
    "another's delegate by id": ((MANAGERS,), ("UBOB",), None, True),
}


@pytest.mark.parametrize(("approvers", "delegates", "members", "no"), NOT_BY_ID.values(), ids=NOT_BY_ID)
def test_who_may_not_decide_by_ids_alone_is_refused_without_a_profile(
    story: Story, approvers: Any, delegates: Any, members: Any, no: Any
) -> None:
    delegations = tuple(
        Delegation(approver="U9", delegate=each, since=story.now, until=story.now + story.hour) for each in delegates
    )
    question = asked(story, *approvers, delegations=delegations)
    memberships = {"managers": {"UBOB"}} if members is None else members
    owners = {f"{each}@example.com": profile(each) for each in ("UANN", "UBOB")}
    found = standing(story, "failed", question, memberships=memberships, approvers=owners)
    assert found.verdict.reason is (Reason.NOT_AN_APPROVER if no else Reason.LOOKUP_FAILED)


def test_the_requester_is_looked_up_all_the_same(story: Story) -> None:
    question = asked(story, SlackUser(user="UBOB"))
    found = standing(story, "failed", question, person=story.requester)
    assert found.verdict.reason is Reason.LOOKUP_FAILED
