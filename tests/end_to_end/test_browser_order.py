"""An order's way in a real browser: the card in Slack, a manager's click, the confirmation, the end."""

import pytest
from playwright.sync_api import Browser, expect

from tests.end_to_end.browsing import picture, tab
from tests.end_to_end.system import System

pytestmark = pytest.mark.browser


def test_a_manager_approves_an_order_in_slack_and_it_is_completed(browser: Browser, system: System) -> None:
    order = system.order("42", "2400", description="Twelve standing desks for the second floor")
    order.card()
    with tab(browser, viewport={"width": 1200, "height": 800}) as page:
        page.goto(system.slack.page_url)
        page.get_by_label("Act as").select_option("U0MANAGER")
        page.get_by_role("button", name="approvals").or_(page.get_by_role("link", name="approvals")).first.click()
        expect(page.get_by_role("heading", name=f"Approval needed: order {order.id}, $2,400.00")).to_be_visible()
        picture(page, "approve")
        page.get_by_role("button", name=f"Approve $2,400.00 for order {order.id}").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Your approval cannot be taken back")
        dialog.get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_role("heading", name=f"Approved: order {order.id}, $2,400.00")).to_be_visible()
        expect(page.get_by_role("button", name=f"Approve $2,400.00 for order {order.id}")).to_have_count(0)
        picture(page, "approved")
    assert order.output()["status"] == "completed"
    assert order.status() == "COMPLETED"
    assert len(order.processed()) == 1
