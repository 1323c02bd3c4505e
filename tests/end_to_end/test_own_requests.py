"""Nobody decides their own request: not as a member of the asked group, as a delegate, or through an API key."""

from tests.end_to_end.control_room import key
from tests.end_to_end.system import MANAGER, REQUESTER, System, eventually

POLICY = """
version: 1
channel: approvals
currency: USD
groups: {managers: managers, vps: vps}
delegations:
  - {approver: vp@example.com, delegate: requester@example.com, since: 2020-01-01, until: 2099-12-31}
  - {approver: U0VP, delegate: U0AUDITOR, since: 2020-01-01, until: 2099-12-31}
  - {approver: manager@example.com, delegate: manager2@example.com, since: 2020-01-01, until: 2099-12-31}
rules:
  - name: the vp alone
    when: {currency: EUR}
    approve: [{email: vp@example.com}]
    within: 1 day
  - name: a vp, or the auditor who stands in for them
    when: {currency: GBP}
    approve: [{group: vps}]
    within: 1 day
  - name: a manager
    when: {currency: any}
    approve: [{group: managers}]
    within: 1 day
"""
SETTINGS = {"policy": POLICY}


def test_a_manager_does_not_approve_what_they_asked_for(system: System) -> None:
    order = system.order("by-group", by=MANAGER)
    with system.hears("U0MANAGER", "own request"):
        order.click("U0MANAGER")
    assert order.processed() == ()
    order.click("U0MANAGER2")
    assert order.result() == {"status": "completed"}


def test_a_delegate_does_not_approve_what_they_asked_for(system: System) -> None:
    order = system.order("by-delegation", currency="EUR")
    with system.hears("U0REQUESTER", "own request"):
        order.click("U0REQUESTER")
    assert order.processed() == ()
    order.click("U0VP")
    assert order.result() == {"status": "completed"}


def test_a_delegate_sees_and_decides_what_the_one_they_stand_in_for_is_asked(system: System) -> None:
    order = system.order("stands-in", currency="GBP")
    order.card()
    headers = {who: key(system, "approver", person=f"{who}@example.com") for who in ("auditor", "manager2")}
    seen = {
        who: system.http.get(f"/workflows/{order.instance_id}", headers=headers[who]).status_code for who in headers
    }
    assert seen == {"auditor": 200, "manager2": 404}
    assert order.approve_by_rest(by="auditor@example.com").is_success
    assert order.result() == {"status": "completed"}


def test_what_waits_for_a_delegate_is_what_they_may_decide_in_another_place(system: System) -> None:
    asked = [system.order("for-the-vps", currency="GBP"), system.order("for-the-vp", currency="EUR")]
    others = [system.order("for-the-managers"), system.order("by-the-vp", by="vp@example.com", currency="GBP")]
    for order in (*asked, *others):
        order.card()
    mine = {order.instance_id for order in asked}
    names = mine | {order.instance_id for order in others}
    assert waiting_for(system, "auditor@example.com") & names == mine
    headers = key(system, "approver", person="auditor@example.com")
    assert all(system.http.get(f"/workflows/{each}", headers=headers).is_success for each in mine)
    assert waiting_for(system, REQUESTER) & names == set()  # they are a delegate too, and it is they who asked
    assert waiting_for(system, "manager2@example.com") & names == {others[0].instance_id}
    auditor = system.slack.act_as("U0AUDITOR")
    system.act(auditor.open_home())
    eventually(lambda: auditor.home and all(order.id in str(auditor.home) for order in asked))
    asked[0].approve_by_rest(by="auditor@example.com")
    assert asked[0].result() == {"status": "completed"}
    assert waiting_for(system, "auditor@example.com") & names == {asked[1].instance_id}


def test_a_request_keeps_the_delegates_of_the_policy_that_it_was_asked_under(system: System) -> None:
    before = system.order("under-the-old", currency="GBP")
    before.card()
    try:
        system.settings.policy.write_text(POLICY.replace("U0AUDITOR", "manager2@example.com"))
        after = system.order("under-the-new", currency="GBP")
        after.card()
    finally:
        system.settings.policy.write_text(POLICY)
    both = {before.instance_id, after.instance_id}
    assert waiting_for(system, "auditor@example.com") & both == {before.instance_id}
    assert waiting_for(system, "manager2@example.com") & both == {after.instance_id}
    for order, delegate in ((before, "auditor@example.com"), (after, "manager2@example.com")):
        assert order.approve_by_rest(by=delegate).is_success
        assert order.result() == {"status": "completed"}


def waiting_for(system: System, person: str) -> set[str]:
    headers = key(system, "approver", person=person)
    found = system.http.get("/workflows", params={"waiting_on": "me", "limit": 200}, headers=headers)
    return {each["id"] for each in found.json()["workflows"]}


def test_whoever_submits_for_somebody_else_by_a_key_does_not_approve_it(system: System) -> None:
    order = system.order("by-key", by=MANAGER, requester="requester@example.com")
    order.card()
    refused = order.approve_by_rest(by=MANAGER)
    assert (refused.status_code, refused.json()["reason"]) == (403, "own_request")
    order.click("U0MANAGER")
    eventually(lambda: [entry.verdict for entry in order.audit() if entry.action == "decision.refused"][1:])
    assert {entry.verdict for entry in order.audit() if entry.action == "decision.refused"} == {"own_request"}
    assert order.processed() == ()
