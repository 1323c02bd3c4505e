"""The dashboard's forms in a real browser: run again, raise an event, go on in bulk, reject. What was typed is kept."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, StorageState, expect
from sqlalchemy.ext.asyncio import AsyncConnection

from records import tables
from tests.end_to_end.browsing import accessible, fits, picture, tab
from tests.end_to_end.system import MANAGER, System, eventually

pytestmark = pytest.mark.browser
OPERATOR = "operator@example.com"
ROLES = ("operator", "auditor")
PHONE = {"width": 390, "height": 800}
DESK = {"width": 1280, "height": 800}
SETTINGS = {"slack_client_id": "local-client-id", "slack_client_secret": "local-client-secret"}
AWAY = "It did not work: the sidecar is away. Continue the operation to try again."


@pytest.fixture(scope="module")
def session(browser: Browser, system: System) -> StorageState:
    """Sign an operator in once, and give the cookies."""
    with tab(browser) as page:
        page.goto(system.url)
        page.get_by_label("API key").fill(system.token(OPERATOR, *ROLES))
        page.get_by_role("button", name="Sign in with the key").click()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        return page.context.storage_state()


@pytest.fixture
def operator(browser: Browser, session: StorageState) -> Iterator[Page]:
    with tab(browser, storage_state=session) as page:
        yield page


def sound(page: Page, name: str = "") -> None:
    """Hold a page against axe and against a phone's width; keep a picture of it where it has a name."""
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    fits(page)
    page.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
    accessible(page)
    if name:
        picture(page, name)


def told(page: Page, text: str) -> None:
    """Wait until the form says what was wrong with it, to the eye and to a screen reader at its field."""
    expect(page.get_by_role("alert")).to_contain_text(text)
    expect(page.get_by_label("Reason")).to_have_accessible_description(text_of(page))


def text_of(page: Page) -> str:
    return f"The audit keeps it with your name. {page.get_by_role('alert').inner_text()}"


def test_a_finished_instance_runs_again_from_the_event_that_is_chosen(operator: Page, system: System) -> None:
    order, waiting = system.order("pens", "120", description="Pens"), system.order("desk", "2400")
    assert order.output()["status"] == "completed"
    waiting.card()
    operator.goto(f"{system.url}/w/{order.instance_id}")
    expect(operator.get_by_role("link", name="Raise an event…")).to_have_count(0)
    operator.get_by_role("link", name="Run again…").click()
    expect(operator.get_by_role("heading", name=f"Run order {order.id} again?")).to_be_visible()
    sound(operator, "run-again")

    wanted = operator.get_by_label("Id of the new instance (optional)")
    point = operator.get_by_label("From which event")
    number = point.locator("option", has_text="activity process_order").get_attribute("value") or ""
    point.select_option(number)
    operator.get_by_label("Reason").fill("The ledger was down")
    for taken, says in (
        (order.instance_id, f"{order.instance_id} is taken"),
        (waiting.instance_id, f"{waiting.instance_id} is taken"),
        ("pens/again", "An instance id has 1 to 128 characters"),
    ):
        wanted.fill(taken)
        operator.get_by_role("button", name="Run again").click()
        told(operator, says)
        expect(wanted).to_have_value(taken)
        expect(operator.get_by_label("Reason")).to_have_value("The ledger was down")
        expect(point).to_have_value(number)
    sound(operator)

    again = system.order_id("pens-again")
    wanted.fill(again)
    operator.get_by_role("button", name="Run again").click()
    said = f"{order.instance_id} runs again from its event {number}, as the new instance {again}."
    expect(operator.get_by_role("status").filter(has_text=said)).to_be_visible()
    expect(operator.get_by_role("heading", name=again)).to_be_visible()
    expect(operator.get_by_role("heading", name="What is the case")).to_be_visible()
    sound(operator)
    assert len(order.processed()) == 1, "an order is processed once, however often its workflow runs"


def test_an_event_is_raised_with_a_payload_and_what_is_wrong_with_it_is_said(operator: Page, system: System) -> None:
    order = system.order("shelf", "2400", description="A shelf")
    order.card()
    operator.goto(f"{system.url}/w/{order.instance_id}")
    operator.get_by_role("link", name="Raise an event…").click()
    expect(operator.get_by_role("heading", name=f"Raise an event at order {order.id}?")).to_be_visible()
    name, payload = operator.get_by_label("Name of the event"), operator.get_by_label("Payload, a JSON object")
    expect(payload).to_have_accessible_description(
        "An object with something in it: the engine delivers an empty one as nothing."
    )
    sound(operator, "raise-event")
    operator.get_by_label("Reason").fill("The bank called")
    for event, sent, says in (
        ("payment_confirmed", "{'paid': true}", "The payload is not JSON"),
        ("payment_confirmed", "{}", "with something in it"),
        ("payment_confirmed", "[1]", "must be a JSON object"),
        ("Approval_Decision", '{"approved": true}', "A decision is not raised as a bare event"),
    ):
        name.fill(event)
        payload.fill(sent)
        operator.get_by_role("button", name="Raise an event").click()
        told(operator, says)
        expect(name).to_have_value(event)
        expect(payload).to_have_value(sent)
    sound(operator)
    name.fill("payment_confirmed")
    payload.fill('{"paid": true}')
    operator.get_by_role("button", name="Raise an event").click()
    said = operator.get_by_role("status").filter(has_text="The event payment_confirmed is raised.")
    expect(said).to_be_visible()
    raised = operator.get_by_role("listitem").filter(has_text="The bank called")
    expect(raised).to_contain_text("event payment_confirmed raised")
    operator.get_by_role("link", name="The workflow engine's own events").click()
    expect(operator.get_by_role("listitem").filter(has_text="EventRaised")).to_contain_text("payment_confirmed")
    sound(operator)
    assert order.status() == "RUNNING"


def test_a_bulk_operation_with_failures_says_so_and_goes_on_with_only_those(operator: Page, system: System) -> None:
    orders = [system.order(f"torn{number}", "900", description="torn") for number in range(3)]
    for order in orders:
        order.card()
    operator.goto(f"{system.url}/bulk?action=pause&q=torn&status=RUNNING")
    operator.get_by_role("button", name="Dry run").click()
    operator.get_by_label("Reason").fill("Stocktaking")
    operator.get_by_role("button", name="Pause these 3").click()
    expect(operator.get_by_role("heading", name="Pause: done", exact=True)).to_be_visible()
    expect(operator.get_by_role("button", name="Continue with what failed or is left")).to_have_count(0)
    address, operation_id = operator.url, operator.url.rpartition("/")[2]
    eventually(lambda: status(system, f"bulk-{operation_id}") == "COMPLETED")
    # As if the sidecar had been away when the first one's turn came.
    system.records(lambda connection: fail(connection, operation_id, orders[0].instance_id), write=True)
    resumed = system.post(f"/workflows/{orders[0].instance_id}/resume", {}, by=OPERATOR, roles=ROLES)
    assert resumed.status_code == 200

    operator.goto(address)
    expect(operator.get_by_role("heading", name="Pause: done, but 1 failed")).to_be_visible()
    expect(operator.get_by_text("1 of 3 is not done yet.")).to_be_visible()
    sound(operator, "bulk-failed")
    operator.get_by_role("link", name="failed", exact=True).click()
    expect(operator.get_by_role("row").filter(has_text=AWAY)).to_have_count(1)
    expect(operator.get_by_role("row")).to_have_count(2)
    sound(operator)
    operator.get_by_label("Reason to go on (optional)").fill("The sidecar is back")
    operator.get_by_role("button", name="Continue with what failed or is left").click()
    expect(operator.get_by_role("status").filter(has_text="It goes on with what was left.")).to_be_visible()
    expect(operator.get_by_role("heading", name="Pause: done", exact=True)).to_be_visible()
    expect(operator.get_by_role("row").filter(has_text="It is paused.")).to_have_count(3)
    sound(operator)
    eventually(lambda: [order.status() for order in orders] == ["SUSPENDED"] * 3)
    assert orders[1].actions().count("workflow.pause") == 1
    assert orders[0].actions().count("workflow.pause") == 2


def test_a_manager_rejects_through_the_page_with_a_reason_that_the_requester_reads(
    browser: Browser, system: System
) -> None:
    order = system.order("sofa", "1900", description="A sofa for the corridor")
    order.card()
    with tab(browser) as page:
        page.goto(f"{system.url}/w/{order.instance_id}")
        page.get_by_role("link", name="Sign in with Slack").click()
        page.get_by_role("button", name=MANAGER).click()
        page.goto(f"{system.url}/w/{order.instance_id}")
        sound(page, "your-decision")
        page.get_by_role("region", name="Your decision").get_by_role("link", name="Reject…").click()
        reason = page.get_by_label("Reason")
        sound(page, "reject")
        page.get_by_role("button", name="Reject").click()
        assert reason.evaluate("each => each.validity.valueMissing"), "the browser itself asks for it"
        page.locator("form:has(#reason)").evaluate("form => { form.noValidate = true }")
        page.get_by_role("button", name="Reject").click()
        expect(page.get_by_role("alert")).to_contain_text("reason")
        sound(page)
        assert order.status() == "RUNNING"
        reason.evaluate("each => each.removeAttribute('maxlength')")
        reason.fill("x" * 1001)
        page.get_by_role("button", name="Reject").click()
        expect(page.get_by_role("alert")).to_contain_text("Shorten it to 1000 characters")
        expect(reason).to_have_value("x" * 1001)
        # A browser lets a thousand characters in and sends each new line as two: none of them is lost.
        written = "Too dear.\n" * 99 + "And brown."
        reason.fill(written)
        page.get_by_role("button", name="Reject").click()
        expect(page.get_by_role("status").filter(has_text="Your answer is recorded and counts")).to_be_visible()
        expect(page.get_by_role("article")).to_contain_text("Rejected")
        sound(page)
    assert order.output()["status"] == "rejected"
    order.card_says("Rejected", "Too dear.")
    assert [each.reason for each in order.audit() if each.action == "request.rejected"] == [written]


def status(system: System, instance_id: str) -> str:
    found = system.engine.get_workflow_state(instance_id)
    return found.runtime_status.name if found else ""


async def fail(connection: AsyncConnection, operation_id: str, instance_id: str) -> None:
    items = tables.bulk_items.c
    chosen = sa.update(tables.bulk_items).where(items.operation_id == operation_id, items.instance_id == instance_id)
    await connection.execute(chosen.values(state="failed", result=AWAY))
