"""The dashboard in a real browser: each page, from sign-in to a bulk terminate, and what a role does not include."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from bot.dashboard.waiting import SORTS
from records import instances, keys
from tests.end_to_end.browsing import accessible, fits, picture, tab
from tests.end_to_end.system import MANAGER, REQUESTER, Order, System

pytestmark = pytest.mark.browser
OPERATOR = "operator@example.com"
ROLES = ("operator", "auditor", "admin")
PHONE = {"width": 360, "height": 740}
SETTINGS = {"slack_client_id": "local-client-id", "slack_client_secret": "local-client-secret"}


@pytest.fixture(scope="module", autouse=True)
def _weeks_of_decisions(system: System) -> None:
    past_decisions(system)


@pytest.fixture(scope="module")
def orders(system: System) -> dict[str, Order]:
    """Orders that wait, of both rules."""
    named = {
        "desks": system.order("desks", "2400", description="Twelve standing desks for the second floor"),
        "server": system.order("server", "9800", description="A second database server"),
        "chairs": system.order("chairs", "1250.50", description="Chairs that go with the desks"),
    }
    for order in named.values():
        order.card()
    return named


def past_decisions(system: System) -> None:
    """Write down some weeks of ended requests, as the read model keeps them."""
    now = datetime.now(UTC)
    ends: tuple[instances.Phase, ...] = ("approved", "approved", "rejected", "approved", "timed_out", "approved")

    async def write(connection: object) -> None:
        for number in range(90):
            asked = now - timedelta(days=number % 29, hours=7 + number % 5)
            ended: instances.Phase = ends[(number * 7) % len(ends)]
            decided = asked + timedelta(hours=1 + (number * 5) % 6, minutes=number)
            known = instances.Known(
                instance_id=f"order-old-{number}-workflow",
                name="approval_workflow",
                kind="order",
                subject=f"old-{number}",
                amount=Decimal(600 + 37 * number),
                currency="USD",
                requester=REQUESTER,
                engine_status="COMPLETED",
                phase=ended,
                asked_at=asked,
                decided_at=decided,
                finished_at=decided,
            )
            await instances.insert(connection, known, decided, created_at=asked)  # type: ignore[arg-type]

    system.records(write, write=True)


def sign_in(page: Page, system: System, person: str, *roles: str, to: str = "/") -> None:
    page.goto(f"{system.url}{to}")
    page.get_by_label("API key").fill(system.token(person, *roles))
    page.get_by_role("button", name="Sign in with the key").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


@pytest.fixture(scope="module")
def session(browser: Browser, system: System) -> StorageState:
    """Sign an operator in, once for all tests that are not about it, and give the cookies."""
    with tab(browser) as page:
        sign_in(page, system, OPERATOR, *ROLES)
        return page.context.storage_state()


@pytest.fixture
def operator(browser: Browser, system: System, session: StorageState, orders: dict[str, Order]) -> Iterator[Page]:
    with tab(browser, storage_state=session) as page:
        page.goto(system.url)
        yield page


def test_signing_in_with_a_wrong_key_says_so_and_with_a_right_one_leads_on(browser: Browser, system: System) -> None:
    with tab(browser) as page:
        page.goto(f"{system.url}/policy")
        accessible(page)
        picture(page, "sign-in")
        page.get_by_label("API key").fill("cs_000000000000_wrong")
        page.get_by_role("button", name="Sign in with the key").click()
        expect(page.get_by_role("alert")).to_contain_text("not valid")
        accessible(page)
        page.get_by_label("API key").fill(system.token(OPERATOR, *ROLES))
        page.get_by_role("button", name="Sign in with the key").click()
        expect(page.get_by_role("heading", name="Policy", exact=True)).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("You are signed out.")).to_be_visible()
        page.goto(system.url)
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_list_shows_what_waits_and_follows_what_happens(
    operator: Page, system: System, orders: dict[str, Order]
) -> None:
    for order in orders.values():
        expect(operator.get_by_role("link", name=f"order {order.id}")).to_be_visible()
    accessible(operator)
    picture(operator, "waiting")
    operator.emulate_media(color_scheme="dark")
    picture(operator, "waiting-dark")
    operator.emulate_media(color_scheme="light")
    late = system.order("late", "777")
    expect(operator.get_by_role("link", name=f"order {late.id}")).to_be_visible()
    late.click("U0MANAGER")
    expect(operator.get_by_role("link", name=f"order {late.id}")).to_have_count(0)
    operator.get_by_label("Search").fill("database")
    operator.get_by_role("button", name="Show").click()
    expect(operator.get_by_role("link", name=f"order {orders['server'].id}")).to_be_visible()
    expect(operator.get_by_role("link", name=f"order {orders['desks'].id}")).to_have_count(0)
    assert "q=database" in operator.url
    operator.get_by_label("Search").fill("nothing like this")
    operator.get_by_role("button", name="Show").click()
    expect(operator.get_by_text("Nothing fits these filters.")).to_be_visible()
    accessible(operator)


def test_an_operator_pauses_and_resumes_with_a_reason(operator: Page, orders: dict[str, Order]) -> None:
    operator.get_by_label("Go to an order or workflow").fill(orders["chairs"].id)
    operator.get_by_role("button", name="Go", exact=True).click()
    expect(operator.get_by_role("article", name="The card as it stands in Slack")).to_contain_text("$1,250.50")
    accessible(operator)
    picture(operator, "instance")
    operator.get_by_role("link", name="Pause…").click()
    accessible(operator)
    picture(operator, "confirm")
    operator.get_by_label("Reason").fill("Stocktaking")
    operator.get_by_role("button", name="Pause").click()
    expect(operator.get_by_role("status").filter(has_text="It is paused")).to_be_visible()
    expect(operator.get_by_role("list").filter(has_text="Stocktaking").last).to_be_visible()
    operator.get_by_role("link", name="Resume…").click()
    operator.get_by_label("Reason").fill("Done counting")
    operator.get_by_role("button", name="Resume").click()
    expect(operator.get_by_role("status").filter(has_text="It goes on")).to_be_visible()
    assert orders["chairs"].status() == "RUNNING"


def test_a_manager_signs_in_with_slack_and_decides_what_waits_for_them(browser: Browser, system: System) -> None:
    order = system.order("lamps", "640", description="Lamps")
    order.card()
    with tab(browser) as page:
        page.goto(system.url)
        page.get_by_role("link", name="Sign in with Slack").click()
        page.get_by_role("button", name=MANAGER).click()
        mine = page.get_by_role("region", name="Waits for you")
        mine.get_by_role("link", name=f"order {order.id}").click()
        page.get_by_role("link", name="Approve…").click()
        expect(page.get_by_role("heading", name=f"Approve order {order.id}, $640.00?")).to_be_visible()
        accessible(page)
        picture(page, "decide")
        page.get_by_label("Reason (optional)").fill("We need light")
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("status").filter(has_text="Your answer is recorded and counts")).to_be_visible()
        order.card_says("Approved", "We need light")
        assert order.output()["status"] == "completed"
        expect(page.get_by_role("article")).to_contain_text("Approved")


def test_bulk_terminate_hits_what_the_dry_run_showed_and_nothing_else(operator: Page, system: System) -> None:
    surplus = [system.order(f"surplus{number}", "900", description="surplus stock") for number in range(3)]
    for order in surplus:
        order.card()
    operator.get_by_role("link", name="Bulk").click()
    accessible(operator)
    expect(operator.get_by_label("stuck")).not_to_be_checked()
    expect(operator.get_by_label("Longer than")).to_have_value("")
    expect(operator.get_by_label("Do what")).to_have_value("")
    operator.get_by_label("Do what").select_option("terminate")
    operator.get_by_label("Words").fill(f"surplus {system.order_id('x')[2:]}")  # not what an earlier run left
    picture(operator, "bulk")
    operator.get_by_role("button", name="Dry run").click()
    expect(operator.get_by_role("heading", name="Terminate 3 workflows?")).to_be_visible()
    accessible(operator)
    picture(operator, "bulk-dry-run")
    later = system.order("surplus-later", "900", description="surplus stock")
    operator.get_by_label("Reason").fill("Ordered twice")
    operator.get_by_role("button", name="Terminate these 3").click()
    expect(operator.get_by_role("heading", name="Terminate: done")).to_be_visible()
    expect(operator.get_by_label("3 of 3 have a result")).to_be_visible()
    accessible(operator)
    picture(operator, "bulk-done")
    assert [order.status() for order in surplus] == ["TERMINATED"] * 3
    assert later.status() == "RUNNING"


def test_one_is_taken_out_of_a_dry_run_and_a_dry_run_of_nothing_asks_for_nothing(
    operator: Page, system: System
) -> None:
    spare, drop = (system.order(f"spare-{name}", "900", description="spare lamps") for name in ("keep", "drop"))
    for order in (spare, drop):
        order.card()
    operator.goto(f"{system.url}/bulk?action=terminate&q=spare {system.order_id('x')[2:]}")
    operator.get_by_role("button", name="Dry run").click()
    operator.get_by_label(f"Leave out order {spare.id}").check()
    accessible(operator)
    operator.get_by_label("Reason").fill("Only one was too many")
    operator.get_by_role("button", name="Terminate this one").click()
    expect(operator.get_by_role("heading", name="Terminate: done")).to_be_visible()
    expect(operator.get_by_text("It was taken out of the list before the start")).to_be_visible()
    assert (spare.status(), drop.status()) == ("RUNNING", "TERMINATED")
    operator.goto(f"{system.url}/bulk?action=terminate&q=nothing-like-this")
    operator.get_by_role("button", name="Dry run").click()
    expect(operator.get_by_role("heading", name="Nothing to terminate")).to_be_visible()


def test_what_cannot_be_done_has_no_button_and_its_page_says_why(operator: Page, system: System) -> None:
    order = system.order("no-buttons", "900")
    order.card()
    operator.goto(f"{system.url}/w/{order.instance_id}")
    manage = operator.get_by_role("region", name="Manage")
    expect(manage.get_by_role("link", name="Terminate…")).to_be_visible()
    expect(manage.get_by_role("link", name="Purge…")).to_have_count(0)
    order.reject("U0MANAGER", "Too dear")
    assert order.output()["outcome"] == "rejected"
    operator.goto(f"{system.url}/w/{order.instance_id}/terminate")
    expect(
        operator.get_by_role("status").filter(has_text="It is over already: Rejected. Nothing was done.")
    ).to_be_visible()
    expect(manage.get_by_role("link", name="Terminate…")).to_have_count(0)
    manage.get_by_role("link", name="Purge…").click()
    operator.get_by_label("Reason").fill("Old")
    operator.get_by_role("button", name="Purge").click()
    expect(manage.get_by_role("link")).to_have_text(["Add a note…"])


def test_statistics_have_plots_with_tables_beside_them(operator: Page) -> None:
    operator.get_by_role("link", name="Statistics").click()
    expect(operator.get_by_role("img", name="Decisions per day by outcome")).to_be_visible()
    for summary in operator.get_by_text("As a table").all():
        summary.click()
    accessible(operator)
    for summary in operator.get_by_text("As a table").all():
        summary.click()
    picture(operator, "statistics")


def test_the_statistics_follow_what_happens_and_stay_in_utc(
    operator: Page, system: System, orders: dict[str, Order]
) -> None:
    operator.goto(f"{system.url}/statistics")
    waiting = operator.locator("dl.figures div").filter(has_text="Waiting now").locator("dd")
    before = int(waiting.inner_text().replace(",", ""))
    system.order("figures", "900").card()
    expect(waiting).to_have_text(f"{before + 1:,}")
    expect(operator.locator(".lead time")).to_contain_text("UTC")


def test_what_is_over_is_found_by_its_filter_in_every_order(operator: Page, system: System) -> None:
    """Three of four orders dropped whatever was over."""
    order = system.order("over", "900")
    order.card()
    order.click("U0MANAGER")
    assert order.output()["outcome"] == "approved"
    for sort in SORTS:
        for query in ("phase=approved", "phase=any&outcome=approved"):
            operator.goto(f"{system.url}/?{query}&sort={sort}&q={order.id}")
            expect(operator.locator("table.list").get_by_role("link", name=f"order {order.id}")).to_be_visible()


def test_a_page_has_one_clock_the_readers_own(browser: Browser, system: System) -> None:
    order = system.order("clocks", "900")
    order.card()
    page = browser.new_context(timezone_id="Asia/Tokyo", locale="en-GB").new_page()
    page.goto(f"{system.url}/sign-in")
    page.get_by_label("API key").fill(system.token("operator@example.com", "operator"))
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{system.url}/w/{order.instance_id}")
    expect(page.locator(".answers time").first).to_be_visible()
    assert "UTC" not in page.locator("main").inner_text()
    page.context.close()


def test_the_audit_is_searched_and_verified(operator: Page, orders: dict[str, Order]) -> None:
    operator.get_by_role("link", name="Audit").click()
    operator.get_by_role("button", name="Verify the whole chain").click()
    expect(operator.get_by_role("status").filter(has_text="The audit is whole")).to_be_visible()
    picture(operator, "audit")
    operator.get_by_role("textbox", name="Order or workflow").fill(orders["desks"].id)
    operator.get_by_role("button", name="Search").click()
    expect(operator.get_by_role("link", name="order.started")).to_be_visible()
    expect(operator.get_by_role("link", name="session.began")).to_have_count(0)
    accessible(operator)


def test_who_approved_what_above_an_amount_is_one_search_and_one_file(operator: Page, system: System) -> None:
    large, small = system.order("large", "4900"), system.order("small", "600")
    for order in (large, small):
        order.card()
        order.click("U0MANAGER")
        order.output()
    operator.goto(f"{system.url}/audit")
    operator.get_by_role("link", name="Search decisions by amount").click()
    operator.get_by_label("Amount above").fill("$1,000")
    operator.get_by_label("Since").fill("30d")
    operator.get_by_label("Approver").fill("manager@example.com")
    operator.get_by_role("button", name="Search").click()
    expect(operator.get_by_role("link", name=f"order {large.id}")).to_be_visible()
    expect(operator.get_by_role("link", name=f"order {small.id}")).to_have_count(0)
    accessible(operator)
    fits(operator)
    with operator.expect_download() as started:
        operator.get_by_role("link", name="Download as CSV").click()
    rows = list(csv.DictReader(started.value.path().read_text().splitlines()))
    assert [(row["order"], row["amount"], row["email"]) for row in rows] == [
        (large.id, "4900.00", "manager@example.com")
    ]


def test_the_go_box_takes_an_order_as_people_write_it(operator: Page, orders: dict[str, Order]) -> None:
    desks = orders["desks"].id
    for written in (desks, f"order {desks}", f"#{desks}"):
        operator.get_by_label("Go to an order or workflow").fill(written)
        operator.get_by_role("button", name="Go", exact=True).click()
        expect(operator.get_by_role("heading", level=1)).to_contain_text(f"order {desks}")


def test_an_unknown_page_is_a_page(operator: Page, system: System) -> None:
    operator.goto(f"{system.url}/nothing/here")
    expect(operator.get_by_text("There is no page /nothing/here.")).to_be_visible()
    assert system.http.get("/nothing/here").headers["content-type"] == "application/problem+json"


PAGES = (
    "/",
    "/?phase=any",
    "/bulk",
    "/statistics",
    "/audit",
    "/audit/decisions",
    "/webhooks",
    "/policy",
    "/sign-in",
    "/docs",
    "/no",
)


@pytest.mark.parametrize("address", PAGES)
def test_no_page_loads_anything_from_elsewhere(operator: Page, system: System, address: str) -> None:
    asked: list[str] = []
    refused: list[str] = []
    operator.on("request", lambda request: asked.append(request.url))
    operator.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    answer = operator.goto(f"{system.url}{address}")
    assert answer is not None
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(system.url).netloc}
    assert [text for text in refused if "404" not in text] == []


def test_the_rest_interface_is_described_on_a_page_of_our_own(operator: Page, system: System) -> None:
    operator.goto(f"{system.url}/docs")
    summary = operator.get_by_text("GET /workflows", exact=True)
    summary.click()
    expect(operator.get_by_role("cell", name="whom it waits for")).to_be_visible()
    accessible(operator)
    fits(operator)


def test_the_policy_says_which_rule_would_win(operator: Page) -> None:
    operator.get_by_role("link", name="Policy").click()
    operator.get_by_label("Amount").fill("2400")
    operator.get_by_role("button", name="Which rule?").click()
    expect(operator.get_by_role("status").filter(has_text="a manager within 3 days")).to_be_visible()
    accessible(operator)
    picture(operator, "policy")


def test_who_has_not_the_role_can_neither_see_nor_do_it(
    browser: Browser, system: System, orders: dict[str, Order]
) -> None:
    stranger = "auditor@example.com"
    with tab(browser) as page:
        sign_in(page, system, stranger, "requester")
        for name in ("Bulk", "Statistics", "Audit", "Webhooks", "Policy"):
            expect(page.get_by_role("link", name=name)).to_have_count(0)
        expect(page.get_by_role("link", name=f"order {orders['desks'].id}")).to_have_count(0)
        csrf = page.locator("input[name=csrf]").first.get_attribute("value") or ""
        theirs = f"/w/{orders['desks'].instance_id}"
        page.goto(f"{system.url}{theirs}")
        expect(page.get_by_text("No request of yours, and none that asks you, is known as")).to_be_visible()
        for address in ("/bulk", "/statistics", "/audit", "/policy", f"{theirs}/terminate"):
            page.goto(f"{system.url}{address}")
            expect(page.get_by_text("your role does not include it")).to_be_visible()
        accessible(page)
        picture(page, "not-for-you")
        sent = """([path, csrf]) => fetch(path, {method: 'POST', body: new URLSearchParams({csrf, reason: 'x'})})
            .then((answer) => answer.status)"""
        for address in (f"{theirs}/terminate", "/bulk", "/bulk/start", "/audit/verify"):
            assert page.evaluate(sent, [address, csrf]) == 403
    assert orders["desks"].status() == "RUNNING"


def test_nothing_scrolls_sideways_on_a_phone(
    browser: Browser, system: System, session: StorageState, orders: dict[str, Order]
) -> None:
    with tab(browser, viewport=PHONE, storage_state=session) as page:
        page.goto(system.url)
        fits(page)
        accessible(page)
        picture(page, "phone")
        last = page.get_by_role("link", name="Policy").bounding_box()
        assert last is not None
        assert last["x"] + last["width"] <= PHONE["width"], "a page of the navigation was out of sight"
        long = system.order("long-" + "x" * 66, "900", description="y" * 600)
        long.card()
        instance = f"/w/{orders['desks'].instance_id}"
        for address in (
            instance,
            f"{instance}/terminate",
            "/bulk",
            "/statistics",
            "/audit",
            "/policy?amount=2400",
            "/?phase=any",
            "/",
            f"/w/{long.instance_id}",
        ):
            page.goto(f"{system.url}{address}")
            fits(page)
        page.goto(f"{system.url}/statistics")
        newest = "(plot) => plot.scrollLeft + plot.clientWidth >= plot.scrollWidth - 1"
        assert page.locator(".plot").evaluate(newest), "the plot opened at its empty end"


@pytest.mark.parametrize("percent", [200, 400])
def test_zoomed_in_everything_is_readable_and_nothing_scrolls_sideways(
    browser: Browser, system: System, session: StorageState, orders: dict[str, Order], percent: int
) -> None:
    """A browser that zooms gives the page fewer CSS pixels, each drawn larger."""
    times = percent / 100
    viewport = {"width": int(1280 / times), "height": int(1024 / times)}
    with tab(browser, viewport=viewport, device_scale_factor=times, storage_state=session) as page:
        instance = f"/w/{orders['desks'].instance_id}"
        for address in (
            "/",
            instance,
            f"{instance}/terminate",
            "/bulk",
            "/statistics",
            "/audit",
            "/policy?amount=2400",
        ):
            page.goto(f"{system.url}{address}")
            fits(page)
            accessible(page)


def test_without_javascript_everything_is_read_and_done(browser: Browser, system: System) -> None:
    order = system.order("plain", "900")
    with tab(browser, java_script_enabled=False) as page:
        sign_in(page, system, OPERATOR, *ROLES)
        page.get_by_role("link", name=f"order {order.id}").click()
        page.get_by_role("link", name="Terminate…").click()
        page.get_by_label("Reason").fill("A mistake")
        page.get_by_role("button", name="Terminate").click()
        expect(page.get_by_text("It is terminated.")).to_be_visible()
    assert order.status() == "TERMINATED"


def test_the_keyboard_alone_reaches_the_content(operator: Page) -> None:
    operator.keyboard.press("Tab")
    skip = operator.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    operator.keyboard.press("Enter")
    expect(operator.locator("main")).to_be_focused()


def test_a_revoked_key_ends_its_session_at_once(browser: Browser, system: System) -> None:
    person = "leaving@example.com"
    with tab(browser) as page:
        sign_in(page, system, person, "operator")
        key_id = system.token(person, "operator").split("_")[1]
        system.records(lambda connection: keys.revoke(connection, key_id, datetime.now(UTC)), write=True)
        page.goto(f"{system.url}/policy")
        expect(page.get_by_text("Your API key has expired or was revoked")).to_be_visible()
