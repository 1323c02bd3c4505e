"""What a browser keeps for us comes back as it was, or not at all; and where somebody may be sent after signing in."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from approvals.signing import KeyRing
from bot.dashboard.cookies import CookieSigner, FlashMessage, Session
from bot.dashboard.sessions import local

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
OLD, NEW = "o" * 40, "n" * 40
SESSION = Session(id="s1", kind="key", key_id="abc", began=NOW, ends=NOW)


def test_a_sealed_value_opens_as_it_was_also_after_a_rotation_of_keys() -> None:
    sealed = CookieSigner(KeyRing({"old": OLD})).dumps(SESSION)
    assert CookieSigner(KeyRing({"new": NEW, "old": OLD})).loads(Session, sealed) == SESSION
    assert CookieSigner(KeyRing({"new": NEW})).loads(Session, sealed) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda _: "a.b",
        lambda _: "ä.ö.k1",
        lambda text: text[1:],
        lambda text: text.replace(".", ".0", 1),
        lambda text: f"{text}x",
        lambda text: text * 40,
        lambda text: text.rpartition(".")[0] + ".other",
    ],
)
def test_a_changed_value_does_not_open(change: Callable[[str], str]) -> None:
    cookies = CookieSigner(KeyRing({"k1": NEW}))
    assert cookies.loads(Session, change(cookies.dumps(SESSION))) is None


def test_what_was_sealed_as_one_kind_does_not_open_as_another() -> None:
    cookies = CookieSigner(KeyRing({"k1": NEW}))
    assert cookies.loads(Session, cookies.dumps(FlashMessage(text=SESSION.model_dump_json()))) is None


def test_a_form_token_belongs_to_one_session() -> None:
    cookies = CookieSigner(KeyRing({"k1": NEW}))
    assert cookies.is_token("one", cookies.token("one"))
    assert not cookies.is_token("two", cookies.token("one"))
    assert not cookies.is_token("one", "")


@pytest.mark.parametrize(
    ("wanted", "sent_to"),
    [
        ("/w/42?x=1", "/w/42?x=1"),
        ("/", "/"),
        ("", "/"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example/", "/"),
        ("/\\elsewhere.example/", "/"),
        ("\\\\elsewhere.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/w/42\r\nSet-Cookie: a=b", "/"),
        ("w/42", "/"),
    ],
)
def test_nobody_is_sent_to_another_site_after_signing_in(wanted: str, sent_to: str) -> None:
    assert local(wanted) == sent_to
