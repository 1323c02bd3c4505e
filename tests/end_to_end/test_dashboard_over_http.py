"""The dashboard as a browser's wire sees it: headers, cookies, forms from elsewhere, sessions that have ended."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from approvals.signing import Purpose
from bot.dashboard.cookies import CookieSigner, Session
from records import audit, keys
from tests.end_to_end.system import Order, System

OPERATOR = "operator@example.com"
SETTINGS = {}  # wrong keys from one address have to wait
NASTY = '"><script>alert(1)</script>{{ 1234567 * 7 }}<!--'


@pytest.fixture(scope="module")
def order(system: System) -> Order:
    started = system.order("nasty", "2400", description=NASTY)
    started.card()
    return started


class Browser:
    """A browser's part of HTTP: cookies, its own origin, forms."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.http = httpx.Client(
            base_url=system.url,
            headers={"Accept": "text/html", "Origin": system.url},
            follow_redirects=True,
            timeout=30,
        )

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def token(self, path: str) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get(path).text)
        assert found
        return found[1]

    def sign_in(self, key: str, then: str = "/") -> httpx.Response:
        return self.http.post("/sign-in", data={"csrf": self.token("/sign-in"), "key": key, "then": then})

    def send(self, path: str, on: str = "/", headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        return self.http.post(path, data={"csrf": self.token(on), **fields}, headers=headers)


@pytest.fixture
def browser(system: System) -> Iterator[Browser]:
    started = Browser(system)
    started.sign_in(system.token(OPERATOR, "operator", "auditor", "admin"))
    yield started
    started.http.close()


def test_every_page_has_the_headers_that_keep_others_out(browser: Browser, order: Order) -> None:
    for path in (
        "/",
        f"/w/{order.id}",
        "/bulk",
        "/statistics",
        "/audit",
        "/webhooks",
        "/policy",
        "/w/nothing",
        "/sign-in",
    ):
        answer = browser.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<[^>]+\s(style|on\w+)=", answer.text), path
        assert "<script>" not in answer.text


def test_the_same_address_answers_programs_with_rest_and_browsers_with_a_page(browser: Browser) -> None:
    key = {"Authorization": f"Bearer {browser.system.token(OPERATOR, 'operator')}"}
    program = httpx.get(f"{browser.system.url}/statistics", headers=key)
    assert program.headers["content-type"] == "application/json"
    assert browser.get("/statistics").headers["content-type"].startswith("text/html")


def test_what_a_user_typed_is_text_on_every_page(browser: Browser, order: Order) -> None:
    for path in (
        f"/w/{order.id}",
        f"/w/{order.id}/terminate",
        f"/?q={NASTY}",
        f"/audit?instance={NASTY}",
        "/?phase=any",
    ):
        answer = browser.get(path)
        assert "<script>alert" not in answer.text
        assert "8641969" not in answer.text


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(system: System) -> None:
    browser = Browser(system)
    browser.http.follow_redirects = False
    cookie = browser.sign_in(system.token(OPERATOR, "operator")).headers["set-cookie"]
    assert cookie.startswith("countersign=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age=43200" in cookie


FORGED = [
    ("another site", {"Origin": "https://evil.example"}, True),
    ("no site at all", {"Origin": "null"}, True),
    ("no token", {}, False),
]


@pytest.mark.parametrize(("headers", "with_token"), [row[1:] for row in FORGED], ids=[row[0] for row in FORGED])
def test_a_form_from_elsewhere_does_nothing(
    browser: Browser, order: Order, headers: dict[str, str], *, with_token: bool
) -> None:
    fields = {"reason": "forged"} | ({} if with_token else {"csrf": "0" * 64 + ".k1"})
    answer = browser.send(f"/w/{order.instance_id}/terminate", headers=headers, **fields)
    assert answer.status_code == 403
    assert order.status() == "RUNNING"


def test_a_form_token_of_another_session_is_worth_nothing(browser: Browser, order: Order) -> None:
    other = Browser(browser.system)
    other.sign_in(browser.system.token(OPERATOR, "operator"))
    answer = browser.send(f"/w/{order.instance_id}/terminate", csrf=other.token("/"), reason="x")
    assert answer.status_code == 403


def test_a_copy_of_the_cookie_is_worth_nothing_after_signing_out(browser: Browser) -> None:
    copy = httpx.Cookies(browser.http.cookies)
    assert "You are signed out" in browser.send("/sign-out").text
    thief = Browser(browser.system)
    thief.http.cookies = copy
    assert "Your session is over" in thief.get("/").text


def test_signing_out_stands_in_the_audit(browser: Browser) -> None:
    browser.send("/sign-out")
    ended = browser.system.records(lambda connection: audit.page(connection, audit.EntryFilter(action="session.ended")))
    assert ended[0].data["email"] == OPERATOR


def test_a_session_ends_after_twelve_hours(system: System) -> None:
    now = datetime.now(UTC)
    key_id = system.token(OPERATOR, "operator").split("_")[1]
    old = Session(id="old", kind="key", key_id=key_id, began=now - timedelta(hours=13), ends=now - timedelta(hours=1))
    browser = Browser(system)
    browser.http.cookies.set("countersign", CookieSigner(system.settings.keys).dumps(old))
    assert "Your session is over" in browser.get("/").text


def test_a_key_of_narrow_scope_does_no_more_in_the_browser(system: System, order: Order) -> None:
    async def make(connection: AsyncConnection) -> str:
        _, token = await keys.create(
            connection,
            system.settings.keys.subkey(Purpose.API_KEY),
            datetime.now(UTC),
            name="narrow",
            person=OPERATOR,
            roles=("operator",),
            created_by="test",
            scopes=("list", "see_request"),
        )
        return token

    browser = Browser(system)
    browser.sign_in(system.records(make, write=True))
    assert browser.get(f"/w/{order.id}").status_code == 200
    assert browser.get(f"/w/{order.id}/terminate").status_code == 403
    assert 'href="/bulk"' not in browser.get("/").text


def test_an_order_that_is_anothers_and_one_that_is_not_known_get_the_same_page(system: System, order: Order) -> None:
    """A requester could try which ids there are."""
    browser = Browser(system)
    browser.sign_in(system.token("vp@example.com", "requester", "approver"))

    def page(order_id: str, rest: str) -> tuple[int, str]:
        found = browser.get(f"/w/{order_id}{rest}")
        shown = re.sub(r"Reference: <code>.*?</code>", "", found.text)
        return found.status_code, shown.replace(order_id, "ID")

    for rest, status in (("", 404), ("/decide?answer=approve", 404), ("/terminate", 403)):
        assert page(order.id, rest) == page("nobody-knows", rest)
        assert page(order.id, rest)[0] == status, rest


def test_nobody_is_led_to_another_site_by_signing_in(system: System) -> None:
    browser = Browser(system)
    browser.http.follow_redirects = False
    answer = browser.sign_in(system.token(OPERATOR, "operator"), then="//elsewhere.example/")
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    "path", ["/w/" + "x" * 300, "/w/%00", "/w/a%2Fb", "/bulk/zzz", "/?cursor=zzz", "/?sort=created&cursor=e30"]
)
def test_an_odd_address_gets_a_sentence(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code in {404, 422}
    assert "<h1>" in answer.text


def test_a_live_stream_needs_a_session_and_tells_that_something_happened(browser: Browser, system: System) -> None:
    assert httpx.get(f"{system.url}/live").status_code == 204
    with browser.http.stream("GET", "/live", headers={"Accept": "text/event-stream"}) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        system.order("heard", "100")
        assert any(line == "event: changed" for line in lines)


def test_the_list_can_be_narrowed_to_what_waits_for_me(system: System, order: Order) -> None:
    browser = Browser(system)
    browser.sign_in(system.token("manager@example.com", "approver", "operator"))
    assert order.instance_id in browser.get("/?waiting_on=me").text
    browser.http.cookies.clear()
    browser.sign_in(system.token("vp@example.com", "approver", "operator"))
    assert order.instance_id not in browser.get("/?waiting_on=me").text


def test_after_a_decision_the_page_leads_on_to_the_next_that_waits(system: System) -> None:
    decided, following = (system.order(name, "900", currency="USD") for name in ("decided", "following"))
    decided.card()
    following.card()
    browser = Browser(system)
    browser.sign_in(system.token("manager@example.com", "approver"))
    decided.click("U0MANAGER")
    assert decided.output()["outcome"] == "approved"
    shown = browser.get(f"/w/{decided.id}").text
    assert re.search(r'Next that waits for you: <a href="/w/[^"]+">order ', shown)
    assert f'href="/w/{decided.instance_id}"' not in shown.partition("Next that waits for you")[2][:200]


def test_too_many_wrong_keys_have_to_wait(system: System) -> None:
    browser = Browser(system)
    answers = [browser.sign_in(f"cs_{number:012d}_{'a' * 43}").status_code for number in range(9)]
    assert answers[0] == 401
    assert answers[-1] == 429
