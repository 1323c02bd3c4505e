"""A real Bolt app, clicked and typed at over both transports: what the user sees is the same."""
# fixtures are parameters, and pytest passes them by name

from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack, UsageError

pytestmark = pytest.mark.parametrize("transport", ["http", "socket"])


async def post(client: AsyncWebClient, *blocks: dict[str, Any]) -> str:
    posted = await client.chat_postMessage(channel="C0APPROVALS", text="A card", blocks=list(blocks))
    return str(posted["ts"])


async def test_a_click_arrives_with_all_that_slack_tells(
    slack: LocalSlack, client: AsyncWebClient, bolt: AsyncApp, connect: Any, kit: Any, transport: str
) -> None:
    seen: list[dict[str, Any]] = []

    @bolt.action("yes")
    async def on_yes(ack: Any, body: dict[str, Any]) -> None:
        seen.append(body)
        await ack()

    await connect(bolt, transport)
    ts = await post(client, kit.actions(kit.button(value="42", style="primary")))
    outcome = await slack.act_as("manager@example.com").click("approvals", ts, "yes")
    assert (outcome.ok, outcome.status, slack.deliveries("interactive")[0].transport) == (True, 200, transport)
    body = seen[0]
    assert body["user"] == {"id": "U0MANAGER", "username": "manager", "name": "manager", "team_id": "T0LOCAL"}
    assert body["container"]["message_ts"] == ts
    assert body["message"]["text"] == "A card"
    action = body["actions"][0]
    assert (action["value"], action["style"], action["block_id"]) == ("42", "primary", "choices")


async def test_a_stranger_is_known_by_the_team(
    slack: LocalSlack, client: AsyncWebClient, bolt: AsyncApp, connect: Any, kit: Any, transport: str
) -> None:
    teams: list[str] = []

    @bolt.action("yes")
    async def on_yes(ack: Any, body: dict[str, Any]) -> None:
        teams.append(body["user"]["team_id"])
        await ack()

    await connect(bolt, transport)
    await slack.act_as("stranger").click("approvals", await post(client, kit.actions()), "yes")
    assert teams == ["T0PARTNER"]


SELECTED: list[tuple[dict[str, Any], str, str, Any]] = [
    ({"type": "users_select", "action_id": "e"}, "U0VP", "selected_user", "U0VP"),
    ({"type": "datepicker", "action_id": "e"}, "2030-01-31", "selected_date", "2030-01-31"),
    (
        {
            "type": "static_select",
            "action_id": "e",
            "options": [{"text": {"type": "plain_text", "text": "One"}, "value": "1"}],
        },
        "1",
        "selected_option",
        {"text": {"type": "plain_text", "text": "One"}, "value": "1"},
    ),
]


@pytest.mark.parametrize(("element", "value", "field", "expected"), SELECTED, ids=[row[0]["type"] for row in SELECTED])
async def test_a_choice_arrives_in_its_own_field(
    slack: LocalSlack,
    client: AsyncWebClient,
    bolt: AsyncApp,
    connect: Any,
    kit: Any,
    transport: str,
    element: dict[str, Any],
    value: str,
    field: str,
    expected: Any,
) -> None:
    seen: list[Any] = []

    @bolt.action("e")
    async def on_choice(ack: Any, action: dict[str, Any]) -> None:
        seen.append(action[field])
        await ack()

    await connect(bolt, transport)
    await slack.act_as("manager").click("approvals", await post(client, kit.actions(element)), "e", value)
    assert seen == [expected]


async def test_a_modal_is_opened_refused_corrected_and_submitted(
    slack: LocalSlack, client: AsyncWebClient, bolt: AsyncApp, connect: Any, kit: Any, transport: str
) -> None:
    @bolt.action("yes")
    async def on_yes(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await client.views_open(trigger_id=body["trigger_id"], view=kit.modal(private_metadata="42"))
        await ack()

    @bolt.view("form")
    async def on_form(ack: Any, view: dict[str, Any]) -> None:
        reason = view["state"]["values"]["why"]["reason"]["value"]
        assert view["private_metadata"] == "42"
        if len(reason) < 5:
            await ack(response_action="errors", errors={"why": "Please say more."})
        else:
            await ack()

    await connect(bolt, transport)
    manager = slack.act_as("manager")
    await manager.click("approvals", await post(client, kit.actions()), "yes")
    empty = await manager.submit()
    short = await manager.submit(values={"reason": "no"})
    assert (empty.errors, empty.status) == ({"why": "Please complete this required field."}, None)
    assert (short.errors, manager.modal.errors) == ({"why": "Please say more."}, {"why": "Please say more."})
    done = await manager.submit(values={"why": "too expensive"})
    assert (done.ok, manager.modals()) == (True, [])


ANSWERS = [
    ("update", ["Next"]),
    ("push", ["A form", "Next"]),
    ("clear", []),
]


@pytest.mark.parametrize(("action", "titles"), ANSWERS, ids=[row[0] for row in ANSWERS])
async def test_a_submission_can_be_answered_with_another_view(
    slack: LocalSlack,
    client: AsyncWebClient,
    bolt: AsyncApp,
    connect: Any,
    kit: Any,
    transport: str,
    action: str,
    titles: list[str],
) -> None:
    @bolt.action("yes")
    async def on_yes(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await client.views_open(trigger_id=body["trigger_id"], view=kit.modal({"type": "divider"}))
        await ack()

    @bolt.view("form")
    async def on_form(ack: Any) -> None:
        view = None if action == "clear" else kit.modal({"type": "divider"}, title=kit.plain("Next"))
        await ack(response_action=action, view=view)

    await connect(bolt, transport)
    manager = slack.act_as("manager")
    await manager.click("approvals", await post(client, kit.actions()), "yes")
    await manager.submit()
    assert [view.body["title"]["text"] for view in manager.modals()] == titles


async def test_a_bad_view_in_an_answer_is_shown_as_trouble(
    slack: LocalSlack, client: AsyncWebClient, bolt: AsyncApp, connect: Any, kit: Any, transport: str
) -> None:
    @bolt.action("yes")
    async def on_yes(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await client.views_open(trigger_id=body["trigger_id"], view=kit.modal({"type": "divider"}))
        await ack()

    @bolt.view("form")
    async def on_form(ack: Any) -> None:
        await ack(response_action="update", view=kit.modal(title=kit.plain("x" * 25)))

    await connect(bolt, transport)
    manager = slack.act_as("manager")
    await manager.click("approvals", await post(client, kit.actions()), "yes")
    outcome = await manager.submit()
    assert (outcome.error, len(manager.modals())) == ("invalid_arguments", 1)
    assert slack.notices("U0MANAGER")[0].text == "We had some trouble connecting. Try again?"


async def test_closing_tells_the_app_only_on_request(
    slack: LocalSlack, client: AsyncWebClient, bolt: AsyncApp, connect: Any, kit: Any, transport: str
) -> None:
    closed: list[bool] = []

    @bolt.action("yes")
    async def on_yes(ack: Any, body: dict[str, Any], action: dict[str, Any], client: AsyncWebClient) -> None:
        view = kit.modal(notify_on_close=action["value"] == "loud")
        await client.views_open(trigger_id=body["trigger_id"], view=view)
        await ack()

    @bolt.view_closed("form")
    async def on_closed(ack: Any, body: dict[str, Any]) -> None:
        closed.append(body["is_cleared"])
        await ack()

    await connect(bolt, transport)
    manager = slack.act_as("manager")
    for value in ("quiet", "loud"):
        ts = await post(client, kit.actions(kit.button(value=value)))
        await manager.click("approvals", ts, "yes")
        await manager.close()
    assert (closed, manager.modals()) == ([False], [])


async def test_a_slash_command_is_answered_privately_or_in_the_channel(
    slack: LocalSlack, bolt: AsyncApp, connect: Any, transport: str
) -> None:
    @bolt.command("/lunch")
    async def on_lunch(ack: Any, command: dict[str, Any]) -> None:
        if command["text"] == "for everyone":
            await ack(response_type="in_channel", text="Lunch is ready")
        elif command["text"]:
            await ack(f"{command['user_id']} eats {command['text']} in {command['channel_name']}")
        else:
            await ack()

    await connect(bolt, transport)
    manager = slack.act_as("manager")
    for text in ("soup", "", "for everyone"):
        assert (await manager.slash("/lunch", text, "general")).ok
    assert [message.text for message in manager.ephemerals()] == ["U0MANAGER eats soup in general"]
    assert [message.text for message in slack.messages("general")] == ["/lunch for everyone", "Lunch is ready"]


async def test_an_unknown_command_never_reaches_the_app(
    slack: LocalSlack, bolt: AsyncApp, connect: Any, transport: str
) -> None:
    await connect(bolt, transport)
    outcome = await slack.act_as("manager").slash("/dinner")
    assert (outcome.error, slack.deliveries()) == ("invalid_command", [])
    assert slack.notices("U0MANAGER")[0].text == "/dinner is not a valid command."


async def test_mentions_are_escaped_where_the_manifest_asks_for_it(
    slack: LocalSlack, bolt: AsyncApp, connect: Any, transport: str
) -> None:
    texts: list[str] = []

    async def on_command(ack: Any, command: dict[str, Any]) -> None:
        texts.append(command["text"])
        await ack()

    bolt.command("/lunch")(on_command)
    bolt.command("/escape")(on_command)
    await connect(bolt, transport)
    for command in ("/lunch", "/escape"):
        await slack.act_as("vp").slash(command, "@manager @vps <b>")
    assert texts == ["@manager @vps <b>", "<@U0MANAGER|manager> <!subteam^S0VPS|@vps> &lt;b&gt;"]


async def test_respond_answers_replaces_and_deletes(
    slack: LocalSlack, client: AsyncWebClient, bolt: AsyncApp, connect: Any, kit: Any, transport: str
) -> None:
    @bolt.action("yes")
    async def on_yes(ack: Any, respond: Any, action: dict[str, Any]) -> None:
        await ack()
        how = {} if action["value"] == "beside" else {action["value"]: True}
        await respond("answer", **how)

    await connect(bolt, transport)
    manager = slack.act_as("manager")
    for value in ("beside", "replace_original", "delete_original"):
        await manager.click("approvals", await post(client, kit.actions(kit.button(value=value))), "yes")
    assert [message.text for message in slack.messages("approvals")] == ["A card", "answer"]
    assert [message.text for message in manager.ephemerals()] == ["answer"]


async def test_a_response_url_is_good_five_times_in_thirty_minutes(
    slack: LocalSlack, client: AsyncWebClient, bolt: AsyncApp, connect: Any, kit: Any, transport: str
) -> None:
    kept: list[Any] = []

    @bolt.action("yes")
    async def on_yes(ack: Any, respond: Any) -> None:
        kept.append(respond)
        await ack()

    await connect(bolt, transport)
    manager = slack.act_as("manager")
    ts = await post(client, kit.actions())
    for _ in range(2):
        await manager.click("approvals", ts, "yes")
    answers = [await kept[0]("answer") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 404]
    assert "used_url" in answers[-1].body
    assert [message.text for message in manager.ephemerals()] == ["answer"] * 5
    slack.advance(1801)
    assert "expired_url" in (await kept[1]("answer")).body


async def test_what_nobody_could_do_is_a_usage_error(
    slack: LocalSlack, client: AsyncWebClient, bolt: AsyncApp, connect: Any, kit: Any, transport: str
) -> None:
    await connect(bolt, transport)
    ts = await post(client, kit.actions())
    with pytest.raises(UsageError, match="there is no element no here; there is: yes"):
        await slack.act_as("manager").click("approvals", ts, "no")
    with pytest.raises(UsageError, match="sees no message"):
        await slack.act_as("manager").click("approvals", "1.0", "yes")
    with pytest.raises(UsageError, match="there is no user ghost"):
        slack.act_as("ghost")
