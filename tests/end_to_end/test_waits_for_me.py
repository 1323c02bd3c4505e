"""What waits for a person's own decision: complete, the next deadline first, counted and in pages, by every face."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.end_to_end.browsing import tab
from tests.end_to_end.control_room import key
from tests.end_to_end.system import System, eventually
from tests.end_to_end.waiting_rows import waiting

COUNT = 185
MANAGER = "manager@example.com"
SETTINGS = {}


@pytest.fixture(scope="module")
def busy(system: System) -> System:
    """Give a system in which 185 orders wait for the managers."""
    waiting(system, COUNT, "paper")
    return system


def subjects(text: str) -> list[str]:
    """Return the orders that a text names, in its order."""
    return list(dict.fromkeys(re.findall(r"paper-\d{3}", text)))


MOST_URGENT = [f"paper-{number:03}" for number in reversed(range(COUNT))]


def test_rest_gives_all_of_them_in_pages_forwards_and_back(busy: System) -> None:
    who = key(busy, "approver", person=MANAGER)
    query: dict[str, Any] = {"waiting_on": "me", "limit": 50}
    seen: list[str] = []
    pages = []
    while True:
        page = busy.http.get("/workflows", params=query, headers=who).json()
        pages.append(page)
        assert (page["total"], page["before"]) == (COUNT, len(seen))
        seen += [each["subject"] for each in page["workflows"]]
        if page["cursor"] is None:
            break
        query["cursor"] = page["cursor"]
    assert seen == MOST_URGENT
    back = busy.http.get("/workflows", params=query | {"cursor": pages[-1]["previous"]}, headers=who).json()
    assert back["workflows"] == pages[-2]["workflows"]
    assert back["before"] == pages[-2]["before"]


def test_what_a_person_asked_for_does_not_wait_for_them(busy: System) -> None:
    page = busy.http.get("/workflows", params={"waiting_on": "me"}, headers=key(busy, "approver", "requester")).json()
    assert page["total"] == 0


def test_a_search_and_an_amount_narrow_what_waits_for_me(busy: System) -> None:
    who = key(busy, "approver", person=MANAGER)
    query = {"waiting_on": "me", "amount_from": "680", "q": "paper"}
    page = busy.http.get("/workflows", params=query, headers=who).json()
    assert [each["amount"] for each in page["workflows"]] == ["684", "683", "682", "681", "680"]


def answer(system: System, user: str, text: str) -> str:
    """Type a command; returns everything that its answer shows."""
    return str(system.act(system.slack.act_as(user).slash("/approval", text, "approvals")).body)


def test_approval_list_begins_with_what_waits_for_the_asker(busy: System) -> None:
    said = answer(busy, "U0MANAGER", "list")
    assert f"Waits for you (1-10 of {COUNT})" in said
    assert subjects(said)[:10] == MOST_URGENT[:10]
    assert said.index("Waits for you") < said.index("You asked for")
    assert "All that is open" not in said
    operators = answer(busy, "U0OPERATOR", "list")
    assert operators.index("You asked for") < operators.index("All that is open")
    assert subjects(operators)[:5] == MOST_URGENT[:5]


def test_approval_mine_and_decided_say_what_they_are(busy: System) -> None:
    assert "You asked for" in answer(busy, "U0REQUESTER", "mine")
    assert f"of {COUNT})" in answer(busy, "U0REQUESTER", "mine")
    assert "Nothing is decided yet." in answer(busy, "U0MANAGER", "decided")


def test_home_counts_all_and_turns_to_the_next_page_and_back(busy: System) -> None:
    manager = busy.slack.act_as("U0MANAGER")
    busy.act(manager.open_home())

    def shows(part: str) -> Callable[[], bool]:
        return lambda: bool(manager.home and part in str(manager.home))

    assert eventually(shows(f"Waits for you (1-20 of {COUNT})"))
    assert subjects(str(manager.home)) == MOST_URGENT[:20]
    busy.act(manager.use(manager.home, "list_page_next"))
    assert eventually(shows(f"Waits for you (21-40 of {COUNT})"))
    assert subjects(str(manager.home)) == MOST_URGENT[20:40]
    busy.act(manager.use(manager.home, "list_page_previous"))
    assert eventually(shows(f"Waits for you (1-20 of {COUNT})"))


def test_the_dashboard_counts_all_and_leads_to_the_last(busy: System, browser: Browser) -> None:
    with tab(browser) as page:
        page.goto(f"{busy.url}/sign-in")
        page.get_by_label("API key").fill(busy.token(MANAGER, "approver"))
        page.get_by_role("button", name="Sign in").click()
        assert page.locator("#mine .count").inner_text() == str(COUNT)
        assert subjects(page.locator("main").inner_text())[:20] == MOST_URGENT[:20]
        page.get_by_role("navigation", name="More of what waits for you").get_by_text("Next").click()
        seen: list[str] = MOST_URGENT[:20]
        while True:
            seen += subjects(page.locator("table.list").inner_text())
            following = page.locator(".pager a[rel=next]")
            if not following.count():
                break
            following.click()
        assert seen == MOST_URGENT
        assert f"of {COUNT}" in page.locator(".pager").inner_text()
