"""What callers see: lists, one request, its history and why it waits; what they may not see is not in the answer."""

from datetime import timedelta

import pytest

from approvals.authority import Role
from bot.access.authenticating import Caller
from bot.access.refusals import Kind, Refused
from bot.control.reading.list_query import ListQuery
from bot.control.reading.overview import Listed, listed
from records import listing
from tests.in_process import Program, caller

OPERATOR = caller(Role.OPERATOR)
MANAGER = caller(Role.APPROVER, email="manager@example.com")
REQUESTER = caller(Role.REQUESTER, email="requester@example.com")


def ids(page: Listed) -> list[str]:
    return [each.id.removeprefix("order-").removesuffix("-workflow") for each in page.lines]


async def asked(program: Program, who: Caller, **query: object) -> Listed:
    return await listed(program.services.overview, who, ListQuery.model_validate(query), program.clock())


async def test_each_list_holds_what_its_reader_may_see(program: Program) -> None:
    for subject, amount in (("small", "600"), ("large", "9000"), ("own", "700")):
        await program.asked(subject, amount, requester="manager@example.com" if subject == "own" else "vp@example.com")
    assert sorted(ids(await asked(program, OPERATOR))) == ["large", "own", "small"]
    assert ids(await asked(program, MANAGER, waiting_on="me")) == ["small"]
    assert ids(await asked(program, MANAGER, mine=True)) == ["own"]
    assert ids(await asked(program, MANAGER)) == ["own"]
    assert ids(await asked(program, REQUESTER)) == []
    assert ids(await asked(program, REQUESTER, waiting_on="me")) == []


async def test_pages_follow_each_other_and_say_where_they_are(program: Program) -> None:
    for number in range(5):
        await program.start(str(number))
    first = await asked(program, OPERATOR, limit=2)
    second = await asked(program, OPERATOR, limit=2, cursor=first.cursor)
    assert (first.place, second.place) == ("1-2 of 5", "3-4 of 5")
    back = await asked(program, OPERATOR, limit=2, cursor=second.previous)
    assert ids(back) == ids(first)
    assert Listed().place == "0 of 0"
    assert Listed(lines=first.lines, total=listing.MOST_COUNTED + 1).place == "1-2 of more than 10,000"


async def test_a_line_links_its_card_and_says_who_decided(program: Program) -> None:
    order = await program.asked()
    await program.click("U0MANAGER", order)
    await program.ended(order)
    [line] = (await asked(program, OPERATOR)).lines
    assert line.id == order
    assert line.card_link is not None
    assert [each.name for each in line.decided_by] == ["manager"]


async def test_a_list_is_refused_to_those_without_a_role(program: Program) -> None:
    for query in ({}, {"waiting_on": "me"}):
        with pytest.raises(Refused) as raised:
            await asked(program, caller(), **query)
        assert raised.value.kind is Kind.NOT_ALLOWED
    assert await program.audited() == ["access.refused"] * 2


async def test_a_delegate_sees_what_they_may_decide_in_anothers_place(program: Program) -> None:
    today = program.clock().date()
    text = program.policy.read_text().replace(
        "delegations: []",
        f"delegations: [{{approver: vp@example.com, delegate: auditor@example.com, since: {today - timedelta(days=1)}, "
        f"until: {today + timedelta(days=1)}}}]",
    )
    program.policy.write_text(text)
    await program.asked("large", "9000")
    await program.asked("small", "900")
    deputy = caller(Role.APPROVER, email="auditor@example.com")
    assert ids(await asked(program, deputy, waiting_on="me")) == ["large"]
    subject = await program.services.overview.get(deputy, "large")
    assert subject.status == "RUNNING"
    program.slack.fault(method="users.info", kind="http_500", count=None)
    program.slack.fault(method="users.lookupByEmail", kind="http_500", count=None)
    await program.later(hours=30)
    assert ids(await asked(program, deputy, waiting_on="me")) == []


async def test_the_history_tells_both_sides_in_their_order(program: Program) -> None:
    order = await program.asked()
    await program.click("U0MANAGER", order)
    await program.ended(order)
    overview = program.services.overview
    both = await overview.history(OPERATOR, "42")
    assert [each.at for each in both] == sorted(each.at for each in both)
    assert {each.source for each in both} == {"business", "engine"}
    business = await overview.history(MANAGER, "42", "business")
    assert {each.source for each in business} == {"business"}
    assert "request.approved" in {each.type for each in business}
    assert "manager" in {each.actor_name for each in business}
    engine = await overview.history(OPERATOR, "42", "engine")
    assert any(each.payload for each in engine)
    in_slack = caller(Role.OPERATOR, through="slack")
    assert not any(each.payload for each in await overview.history(in_slack, "42", "engine"))


async def test_the_story_names_people_and_keys(program: Program) -> None:
    order = await program.asked()
    await program.click("U0MANAGER", order)
    await program.ended(order)
    told = await program.services.overview.story(order)
    assert "manager" in {each.name for each in told}
    assert await program.services.overview.actor_names(["T0LOCAL/U0NOBODY", "key:none", "workflow"]) == {}


async def test_an_end_is_waited_for(program: Program) -> None:
    order = await program.asked()
    await program.services.overview.ended(order, 0.01)
    await program.click("U0MANAGER", order)
    await program.services.overview.ended(order, 5.0)
    assert (await program.row(order)).ended_as is not None
    await program.services.overview.ended("never heard of", 5.0)


async def test_a_diagnosis_says_whom_a_request_waits_for(program: Program) -> None:
    order = await program.asked()
    found = await program.services.overview.diagnosis(OPERATOR, "42")
    assert "managers" in str(found)
    assert "managers" in str(await program.services.overview.diagnosis(REQUESTER, "42"))
    await program.engine.pause(order)
    assert str(await program.services.overview.diagnosis(OPERATOR, "42")) != str(found)
    near = await program.services.overview.diagnosis(OPERATOR, "order-43-workflow")
    assert "order-42-workflow" in str(near)
    with pytest.raises(Refused):
        await program.services.overview.diagnosis(REQUESTER, "order-43-workflow")


async def test_an_instance_without_a_row_is_shown_as_the_engine_has_it(program: Program) -> None:
    program.engine.put("foreign", "RUNNING", "somebody_elses", custom_status='"half way"')
    overview = program.services.overview
    line = await overview.line(await overview.get(OPERATOR, "foreign"))
    assert (line.name, line.status, line.custom_status, line.phase) == (
        "somebody_elses",
        "RUNNING",
        "half way",
        "unknown",
    )
    assert await overview.history(OPERATOR, "foreign") == ()


async def test_statistics_count_what_waits_and_are_for_operators(program: Program) -> None:
    await program.asked()
    found = await program.services.overview.statistics(OPERATOR, program.clock() - timedelta(days=1))
    assert found.waiting == 1
    with pytest.raises(Refused):
        await program.services.overview.statistics(REQUESTER, program.clock())
