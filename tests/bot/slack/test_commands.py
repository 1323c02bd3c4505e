"""The slash command, in one loop: what each verb answers, who may not, and what a confirmed action does."""

import json
from typing import Any

from bot.engine.client import EngineUnavailableError
from cards import confirm_modal
from cards.paging import ACTIONS
from tests.in_process import Program, eventually


async def said(program: Program, user: str, text: str) -> str:
    """Return the answer to a command: its text and its blocks."""
    answer = await program.slack.act_as(user).slash("/approval", text)
    assert answer.ok, answer
    body: dict[str, Any] = json.loads(answer.body or "{}")
    return str(body.get("text", "")) + json.dumps(body.get("blocks", ""))


ANSWERS = [
    ("U0REQUESTER", "", "/approval"),
    ("U0REQUESTER", "help", "/approval"),
    ("U0REQUESTER", "mine", "order 42"),
    ("U0REQUESTER", "status 42", "order 42"),
    ("U0REQUESTER", "history 42", "history of 42"),
    ("U0MANAGER", "list", "order 42"),
    ("U0MANAGER", "list waiting", "order 42"),
    ("U0OPERATOR", "list running", "order 42"),
    ("U0OPERATOR", "list all", "order 42"),
    ("U0OPERATOR", "decided", "decided"),
    ("U0OPERATOR", "why 42", "managers"),
    ("U0OPERATOR", "history 42 engine", "taskscheduled"),
    ("U0OPERATOR", "stats", "time to a decision"),
    ("U0OPERATOR", "list nonsense", "there is no list"),
    ("U0OPERATOR", "status", "id is missing"),
    ("U0OPERATOR", "history", "id is missing"),
    ("U0OPERATOR", "why", "id is missing"),
    ("U0OPERATOR", "pause", "id is missing"),
    ("U0OPERATOR", "dance", "dance"),
    ("U0OPERATOR", "status never-heard-of", "never-heard-of"),
    ("U0REQUESTER", "pause 42", "role"),
    ("U0OPERATOR", "terminate --sideways", "there is no option"),
]


async def test_each_command_answers_its_asker(program: Program) -> None:
    await program.asked()
    for user, text, part in ANSWERS:
        assert part in (await said(program, user, text)).casefold(), f"{user}: /approval {text}"


async def test_an_engine_that_is_away_is_said(program: Program) -> None:
    await program.asked()
    program.engine.away = EngineUnavailableError("away")
    assert "does not answer now" in await said(program, "U0OPERATOR", "status 42")


async def test_a_confirmed_termination_ends_the_workflow(program: Program) -> None:
    order = await program.asked()
    await said(program, "U0OPERATOR", "terminate 42 wrong amount")
    await eventually(lambda: program.modals("U0OPERATOR"))
    operator = program.slack.act_as("U0OPERATOR")
    assert confirm_modal.ACTION in json.dumps(operator.modal.blocks)
    assert "wrong amount" in json.dumps(operator.modal.blocks)
    answer = await operator.submit(values={confirm_modal.ACTION: "wrong amount"})
    assert order in answer.body
    assert program.engine.instances[order].status == "TERMINATED"
    assert (await program.row(order)).phase == "terminated"


async def test_many_are_confirmed_by_what_the_dry_run_found(program: Program) -> None:
    for number in range(3):
        await program.asked(str(number))
    await program.later(hours=3)
    await said(program, "U0OPERATOR", "terminate --older-than 2h a recall")
    await eventually(lambda: program.modals("U0OPERATOR"))
    answer = await program.slack.act_as("U0OPERATOR").submit(values={confirm_modal.ACTION: "a recall"})
    assert "Terminate of 3 workflows has begun" in answer.body
    for number in range(3):
        await program.becomes(f"order-{number}-workflow", "terminated")


async def test_what_is_left_out_in_the_modal_goes_on(program: Program) -> None:
    for number in range(3):
        await program.asked(str(number))
    await program.later(hours=3)
    await said(program, "U0OPERATOR", "terminate --older-than 2h a recall")
    await eventually(lambda: program.modals("U0OPERATOR"))
    operator, every = program.slack.act_as("U0OPERATOR"), [f"order-{number}-workflow" for number in range(3)]
    kept = {confirm_modal.ACTION: "a recall", confirm_modal.WITHOUT_ACTION: every[1:2]}
    answer = await operator.submit(values=kept)
    assert "Terminate of 2 workflows has begun, 1 left out" in answer.body
    for instance_id in (every[0], every[2]):
        await program.becomes(instance_id, "terminated")
    assert program.engine.instances[every[1]].status == "RUNNING"


async def test_leaving_everything_out_of_a_bulk_does_nothing(program: Program) -> None:
    for number in range(2):
        await program.asked(str(number))
    await program.later(hours=3)
    await said(program, "U0OPERATOR", "terminate --older-than 2h a recall")
    await eventually(lambda: program.modals("U0OPERATOR"))
    every = [f"order-{number}-workflow" for number in range(2)]
    answer = await program.slack.act_as("U0OPERATOR").submit(
        values={confirm_modal.ACTION: "a recall", confirm_modal.WITHOUT_ACTION: every}
    )
    assert "Nothing was done" in answer.body
    assert {program.engine.instances[each].status for each in every} == {"RUNNING"}


async def test_a_page_is_turned_in_its_place(program: Program) -> None:
    for number in range(12):
        await program.start(str(number))
    answer = await program.slack.act_as("U0REQUESTER").slash("/approval", "mine")
    [message] = [each for each in program.slack.ephemerals("U0REQUESTER") if "order 11" in str(each.blocks)]
    buttons = [each for block in message.blocks if block["type"] == "actions" for each in block["elements"]]
    [older] = [each for each in buttons if ACTIONS.fullmatch(each["action_id"])]
    assert answer.ok
    await program.slack.act_as("U0REQUESTER").click(message.channel, message.ts, older["action_id"])

    async def shown() -> str:
        return str([each.blocks for each in program.slack.ephemerals("U0REQUESTER")])

    await eventually(shown, lambda found: "order 0" in found and "order 11" not in found)
