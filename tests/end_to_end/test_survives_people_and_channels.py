"""While requests wait: a group is emptied, an approver leaves, a channel is archived or renamed. Seen, told."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bot.control.reconciling.doctor import Finding, IssueKind
from bot.services import doctor_of
from cards import request_card
from local.slack import Message
from tests.end_to_end.conftest import STORY
from tests.end_to_end.system import Order, System, eventually

OPERATORS = "roles: {operator: {group: operators}}\n"
ONE_PERSON = """  - name: one person
    when: {currency: PLN}
    approve: [{email: manager@example.com}]
    within: 1 day
"""


HEAD, RULES, REST = STORY.partition("rules:\n")
SETTINGS = {"policy": HEAD + OPERATORS + RULES + ONE_PERSON + REST, "reconcile_every_seconds": 0.5}


def change(system: System, what: str, named: str, /, **fields: Any) -> None:
    system.act(getattr(system.slack, f"change_{what}")(named, **fields))


def told(system: System, user: str, *parts: str) -> str:
    def found() -> str:
        return next((text for text in system.private(user) if all(part in text for part in parts)), "")

    return eventually(found, 20)


async def examined(system: System) -> tuple[Finding, ...]:
    async with doctor_of(system.settings, timedelta()) as doctor:
        return await doctor.examine()


def test_an_emptied_group_is_told_and_who_joins_it_decides(alone: Callable[..., System]) -> None:
    system = alone()
    order = system.order("emptied")
    order.card()
    change(system, "group", "S0MANAGERS", members=())
    text = told(system, "U0OPERATOR", "group managers has no member", order.id)
    assert "added to the Slack group can decide at once" in text
    told(system, "U0REQUESTER", "nobody can decide it", order.id)
    eventually(lambda: [each for each in order.thread() if "has no member any more" in each])
    named = [each for each in system.act(examined(system)) if each.kind is IssueKind.UNREACHED]
    assert [(each.instance_id, "no member" in each.sentence) for each in named] == [(order.instance_id, True)]
    change(system, "group", "S0MANAGERS", members=("U0VP",))
    time.sleep(2)  # the look that finds the new member
    order.click("U0VP")
    assert order.result() == {"status": "completed"}
    assert len([each for each in system.private("U0OPERATOR") if "has no member" in each]) == 1


def test_an_approver_who_left_is_told_with_what_can_be_done(alone: Callable[..., System]) -> None:
    system = alone()
    order = system.order("left", currency="PLN")
    order.card()
    change(system, "user", "U0MANAGER", deleted=True)
    text = told(system, "U0OPERATOR", "has no active account", order.id)
    assert "/approval terminate" in text
    told(system, "U0REQUESTER", "has no active account")


def test_an_archived_channel_is_told_to_the_approvers_with_the_request_s_page(alone: Callable[..., System]) -> None:
    system = alone()
    order = system.order("archived")
    order.card()
    change(system, "channel", "C0APPROVALS", is_archived=True)
    told(system, "U0OPERATOR", "is archived", order.id)
    page = told(system, "U0MANAGER", "is archived", order.id).rpartition("its page: ")[2]
    assert page.endswith(f"/w/{order.instance_id}")
    assert order.approve_by_rest().status_code == 200
    assert order.result() == {"status": "completed"}


def test_a_renamed_channel_takes_the_next_stage_s_card(alone: Callable[..., System]) -> None:
    system = alone()
    order = system.order("renamed", "500", currency="GBP")
    first = order.card()
    change(system, "channel", "C0APPROVALS", name="decisions")

    def click(user: str, ts: str) -> None:
        system.act(system.slack.act_as(user).click("C0APPROVALS", ts, request_card.APPROVE))

    click("U0MANAGER", first.ts)
    second = eventually(lambda: [each for each in system.slack.messages("C0APPROVALS") if is_card(each, order, 1)])[0]
    click("U0VP", second.ts)
    assert order.result() == {"status": "completed"}


def is_card(message: Message, order: Order, stage: int) -> bool:
    about = (message.metadata or {}).get("event_payload") or {}
    return (about.get("instance_id"), about.get("stage")) == (order.instance_id, stage)
