"""The page in a real browser: cards, dialogs, threads, live changes, keyboard, accessibility."""

import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from local.slack import LocalSlack
from tests.end_to_end.browsing import CHROMIUM, FLAGS, PATIENCE_MS

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start one Chromium for the module and give its DevTools address; a start per test would cost seconds each."""
    profile = tmp_path_factory.mktemp("chromium")
    command = [str(CHROMIUM), "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}", *FLAGS]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        found = next(line for line in process.stderr if line.startswith("DevTools listening on "))
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield found.removeprefix("DevTools listening on ").strip()
        process.terminate()


expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        connected = await playwright.chromium.connect_over_cdp(chromium)
        yield connected
        for context in connected.contexts:
            await context.close()


@pytest.fixture
async def page(browser: Browser, slack: LocalSlack) -> AsyncIterator[Page]:
    tab = await browser.new_page(viewport={"width": 1200, "height": 800})
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    await tab.goto(slack.page_url)
    await tab.get_by_label("Act as").select_option("U0MANAGER")
    await expect(tab.locator("body[data-user=U0MANAGER]")).to_be_visible()
    yield tab
    assert errors == []


def card(kit: Any) -> list[dict[str, Any]]:
    confirm = {
        "title": kit.plain("Are you sure?"),
        "text": kit.plain("This is for good."),
        "confirm": kit.plain("Do it"),
        "deny": kit.plain("Not yet"),
    }
    fields = [{"type": "mrkdwn", "text": "*Amount*\n$5"}, {"type": "mrkdwn", "text": "<@U0VP> &lt;b&gt; `x`"}]
    leaf = {"type": "text", "text": "<script>alert(1)</script>", "style": {"bold": True}}
    options = [{"text": kit.plain("First"), "value": "1"}]
    return [
        {"type": "header", "text": kit.plain("A card to decide")},
        {"type": "section", "fields": fields},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [leaf]}]},
        {"type": "divider"},
        kit.actions(
            kit.button("approve", text=kit.plain("Approve"), style="primary", confirm=confirm),
            kit.button("reject", text=kit.plain("Reject"), style="danger"),
            {"type": "static_select", "action_id": "pick", "placeholder": kit.plain("Pick"), "options": options},
            {"type": "users_select", "action_id": "who", "placeholder": kit.plain("Delegate to")},
            {"type": "datepicker", "action_id": "day", "initial_date": "2030-01-31"},
        ),
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "Asked by <https://example.com|a system>"}]},
    ]


@pytest.fixture
async def app(bolt: AsyncApp, connect: Any, kit: Any) -> AsyncApp:
    @bolt.action("approve")
    async def on_approve(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        channel, ts = body["channel"]["id"], body["message"]["ts"]
        await client.chat_update(channel=channel, ts=ts, text="Approved by a person", blocks=[])
        await client.chat_postMessage(channel=channel, thread_ts=ts, text="It is decided.")
        await ack()

    @bolt.action("reject")
    async def on_reject(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await client.views_open(trigger_id=body["trigger_id"], view=kit.modal(title=kit.plain("Reject it")))
        await ack()

    @bolt.view("form")
    async def on_form(ack: Any, view: dict[str, Any]) -> None:
        short = len(view["state"]["values"]["why"]["reason"]["value"]) < 5
        await (ack(response_action="errors", errors={"why": "Please say more."}) if short else ack())

    @bolt.command("/lunch")
    async def on_lunch(ack: Any) -> None:
        await ack("Soup for *you*")

    await connect(bolt, "http")
    return bolt


async def no_violations(page: Page) -> None:
    results = await Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.usefixtures("app")
async def test_a_manager_approves_after_confirming(page: Page, client: AsyncWebClient, kit: Any) -> None:
    await client.chat_postMessage(channel="C0APPROVALS", text="A card to decide", blocks=card(kit))
    await expect(page.get_by_role("heading", name="A card to decide")).to_be_visible()
    await expect(page.get_by_text("<script>alert(1)</script>")).to_be_visible()
    await no_violations(page)
    await page.get_by_role("button", name="Approve").click()
    await page.get_by_role("button", name="Not yet").click()
    await expect(page.get_by_role("heading", name="A card to decide")).to_be_visible()
    await page.get_by_role("button", name="Approve").click()
    await no_violations(page)
    await page.get_by_role("button", name="Do it").click()
    await expect(page.get_by_text("Approved by a person")).to_be_visible()
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    await page.get_by_role("button", name="1 reply").click()
    await expect(page.get_by_role("complementary", name="Thread").get_by_text("It is decided.")).to_be_visible()
    await no_violations(page)


@pytest.mark.usefixtures("app")
async def test_a_form_shows_errors_and_gives_the_focus_back(
    page: Page, slack: LocalSlack, client: AsyncWebClient, kit: Any
) -> None:
    await client.chat_postMessage(channel="C0APPROVALS", text="A card", blocks=card(kit))
    await page.get_by_role("button", name="Reject").click()
    dialog = page.get_by_role("dialog", name="Reject it")
    await expect(dialog.get_by_label("Reason")).to_be_focused()
    await dialog.get_by_role("button", name="Send").click()
    await expect(dialog.get_by_text("Please complete this required field.")).to_be_visible()
    await dialog.get_by_label("Reason").fill("no")
    await dialog.get_by_role("button", name="Send").click()
    await expect(dialog.get_by_text("Please say more.")).to_be_visible()
    await expect(dialog.get_by_label("Reason")).to_have_value("no")
    await no_violations(page)
    await dialog.get_by_label("Reason").fill("too expensive")
    await dialog.get_by_role("button", name="Send").click()
    await expect(dialog).to_be_hidden()
    assert slack.modals("U0MANAGER") == []
    await page.get_by_role("button", name="Reject").click()
    await expect(dialog.get_by_label("Reason")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("button", name="Reject")).to_be_focused()


@pytest.mark.usefixtures("app")
async def test_commands_and_messages_are_typed(page: Page, slack: LocalSlack) -> None:
    field = page.get_by_label("Message #approvals")
    await field.fill("/lunch now")
    await field.press("Enter")
    await expect(page.get_by_text("Only visible to you")).to_be_visible()
    await field.fill("/dinner")
    await field.press("Enter")
    await expect(page.get_by_text("/dinner is not a valid command.")).to_be_visible()
    await page.get_by_role("button", name="Dismiss").click()
    await expect(page.get_by_text("/dinner is not a valid command.")).to_be_hidden()
    await field.fill("hello all")
    await field.press("Enter")
    await slack.wait_for(lambda: [message.text for message in slack.messages("approvals")] == ["hello all"])
    await page.get_by_label("Act as").select_option("U0VP")
    await expect(page.get_by_text("hello all")).to_be_visible()
    await expect(page.get_by_text("Soup for")).to_be_hidden()


async def test_the_home_shows_what_was_published(page: Page, client: AsyncWebClient, kit: Any) -> None:
    await page.get_by_role("button", name="App Home").click()
    await expect(page.get_by_text("The app has not shown anything here yet.")).to_be_visible()
    await client.views_publish(user_id="U0MANAGER", view={"type": "home", "blocks": card(kit)})
    await expect(page.get_by_role("heading", name="A card to decide")).to_be_visible()
    await no_violations(page)


async def test_a_guest_finds_fewer_channels_and_a_direct_message_is_announced(
    page: Page, client: AsyncWebClient
) -> None:
    await expect(page.get_by_role("button", name="general")).to_be_visible()
    await page.get_by_label("Act as").select_option("U0GUEST")
    await expect(page.get_by_role("button", name="general")).to_be_hidden()
    await client.chat_postMessage(channel="U0GUEST", text="psst")
    await page.get_by_role("button", name="Test app 1 new").click()
    await expect(page.get_by_text("psst")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone_in_light_and_dark(
    browser: Browser, slack: LocalSlack, client: AsyncWebClient, kit: Any, scheme: Any
) -> None:
    await client.chat_postMessage(channel="C0APPROVALS", text="A card", blocks=card(kit))
    tab = await browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    await tab.goto(f"{slack.page_url}#C0APPROVALS")
    await expect(tab.get_by_role("heading", name="A card to decide")).to_be_visible()
    await no_violations(tab)
    assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await tab.get_by_role("button", name="Conversations").click()
    await expect(tab.get_by_label("Act as")).to_be_visible()
    await no_violations(tab)


async def test_one_signs_in_by_choosing_who_one_is(browser: Browser, slack: LocalSlack) -> None:
    tab = await browser.new_page()
    query = "client_id=local-client-id&redirect_uri=http%3A%2F%2F127.0.0.1%2Fback&scope=openid&state=s"
    await tab.goto(f"{slack.page_url}openid/connect/authorize?{query}")
    await no_violations(tab)
    await tab.route("http://127.0.0.1/back*", lambda route: route.fulfill(status=200, body="back"))
    await tab.get_by_role("button", name="Vice President").click()
    await tab.wait_for_url("http://127.0.0.1/back?code=*")
