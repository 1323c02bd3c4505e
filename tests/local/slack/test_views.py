"""Modals and App Homes: triggers, stacks, hashes."""

from typing import Any

import pytest
from aiohttp import web
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack


@pytest.fixture
async def trigger(slack: LocalSlack, client: AsyncWebClient, answering: Any, kit: Any) -> Any:
    """Give a function that makes the manager click and hands over the fresh trigger_id."""
    await answering(lambda _request: web.Response())
    posted = await client.chat_postMessage(channel="C0APPROVALS", text="x", blocks=[kit.actions()])

    async def fresh() -> str:
        outcome = await slack.act_as("manager").click("approvals", posted["ts"], "yes")
        assert outcome.payload
        return str(outcome.payload["trigger_id"])

    return fresh


def error_in(caught: pytest.ExceptionInfo[SlackApiError]) -> str:
    return str(caught.value.response["error"])


async def test_a_trigger_opens_one_modal_and_no_second(
    slack: LocalSlack, client: AsyncWebClient, trigger: Any, kit: Any
) -> None:
    trigger_id = await trigger()
    opened = await client.views_open(trigger_id=trigger_id, view=kit.modal())
    assert [view.id for view in slack.modals("U0MANAGER")] == [opened["view"]["id"]]
    with pytest.raises(SlackApiError) as caught:
        await client.views_open(trigger_id=trigger_id, view=kit.modal())
    assert error_in(caught) == "exchanged_trigger_id"


async def test_a_trigger_is_good_for_three_seconds(
    slack: LocalSlack, client: AsyncWebClient, trigger: Any, kit: Any
) -> None:
    trigger_id = await trigger()
    slack.advance(3.1)
    with pytest.raises(SlackApiError) as caught:
        await client.views_open(trigger_id=trigger_id, view=kit.modal())
    assert error_in(caught) == "expired_trigger_id"


async def test_a_made_up_trigger_opens_nothing(client: AsyncWebClient, kit: Any) -> None:
    with pytest.raises(SlackApiError) as caught:
        await client.views_open(trigger_id="made.up", view=kit.modal())
    assert error_in(caught) == "invalid_trigger"


async def test_a_bad_view_does_not_use_the_trigger_up(client: AsyncWebClient, trigger: Any, kit: Any) -> None:
    trigger_id = await trigger()
    with pytest.raises(SlackApiError) as caught:
        await client.views_open(trigger_id=trigger_id, view=kit.modal(title=kit.plain("x" * 25)))
    complaint = "[ERROR] must be less than 25 characters [json-pointer:/view/title/text]"
    assert caught.value.response["response_metadata"]["messages"] == [complaint]
    await client.views_open(trigger_id=trigger_id, view=kit.modal())


async def test_three_modals_can_be_stacked(slack: LocalSlack, client: AsyncWebClient, trigger: Any, kit: Any) -> None:
    root = await client.views_open(trigger_id=await trigger(), view=kit.modal())
    for _ in range(2):
        top = await client.views_push(trigger_id=await trigger(), view=kit.modal())
    assert top["view"]["root_view_id"] == root["view"]["id"]
    assert len(slack.modals("U0MANAGER")) == 3
    with pytest.raises(SlackApiError) as caught:
        await client.views_push(trigger_id=await trigger(), view=kit.modal())
    assert error_in(caught) == "push_limit_reached"


async def test_an_update_with_an_old_hash_is_refused(
    slack: LocalSlack, client: AsyncWebClient, trigger: Any, kit: Any
) -> None:
    view = (await client.views_open(trigger_id=await trigger(), view=kit.modal(external_id="mine")))["view"]
    await client.views_update(external_id="mine", hash=view["hash"], view=kit.modal(title=kit.plain("Newer")))
    with pytest.raises(SlackApiError) as caught:
        await client.views_update(view_id=view["id"], hash=view["hash"], view=kit.modal())
    assert error_in(caught) == "hash_conflict"
    assert slack.act_as("manager").modal.body["title"]["text"] == "Newer"


async def test_an_external_id_is_unique(client: AsyncWebClient, trigger: Any, kit: Any) -> None:
    await client.views_open(trigger_id=await trigger(), view=kit.modal(external_id="mine"))
    with pytest.raises(SlackApiError) as caught:
        await client.views_push(trigger_id=await trigger(), view=kit.modal(external_id="mine"))
    assert error_in(caught) == "duplicate_external_id"


async def test_an_unknown_view_is_not_found(client: AsyncWebClient, kit: Any) -> None:
    with pytest.raises(SlackApiError) as caught:
        await client.views_update(view_id="V0NONE", view=kit.modal())
    assert error_in(caught) == "not_found"


async def test_a_home_is_published_and_guarded_by_its_hash(slack: LocalSlack, client: AsyncWebClient) -> None:
    home: dict[str, Any] = {"type": "home", "blocks": [{"type": "divider"}]}
    first = (await client.views_publish(user_id="U0MANAGER", view=home))["view"]
    again = (await client.views_publish(user_id="U0MANAGER", view=home, hash=first["hash"]))["view"]
    assert again["id"] == first["id"]
    shown = slack.home("U0MANAGER")
    assert shown
    assert shown.hash == again["hash"]
    with pytest.raises(SlackApiError) as caught:
        await client.views_publish(user_id="U0MANAGER", view=home, hash=first["hash"])
    assert error_in(caught) == "hash_conflict"


async def test_a_home_needs_the_tab_in_the_manifest() -> None:
    with LocalSlack(manifest={}) as bare:
        client = AsyncWebClient(token=bare.bot_token, base_url=bare.api_url)
        with pytest.raises(SlackApiError) as caught:
            await client.views_publish(user_id="U0MANAGER", view={"type": "home", "blocks": []})
    assert error_in(caught) == "not_enabled"
