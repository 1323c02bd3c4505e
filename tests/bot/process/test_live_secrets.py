"""Secrets that change while the app runs: used at once, or not at all."""

import time
from typing import Any

import pytest

from approvals.signing import Purpose, parse_key_ring
from bot.process.live_secrets import LiveSecrets
from bot.process.secret_files import SecretFileError
from bot.process.settings import Settings
from bot.slack.signature import Flaw, SignedBytes, flaw_of_any, sign

OLD, NEW = "old:q8Z4xN2vB7mK1pL5tR9wE3yU6iO0aS_dFgH", "new:H7gF2dS5aQ8wE1rT4yU0iO3pL6kJ9hZxCvB"
SIGNING, NEXT = "8f14e45fceea167a5a36dedd4bea2543", "c9f0f895fb98ab9159f51fd0297e236d"


class Files:
    """What the files hold now."""

    def __init__(self) -> None:
        self.values = {"secret_key": OLD, "slack_signing_secret": SIGNING, "slack_bot_token": "xoxb-1"}
        self.tokens: list[str] = []
        self.refused = ""
        settings = Settings(_env_file=None, **self.values)  # type: ignore[arg-type]  # pydantic turns them into secrets
        self.live = LiveSecrets(settings, lambda: self.values)
        self.live.serve("slack_bot_token", self)

    async def use(self, token: str) -> None:
        if self.refused:
            raise SecretFileError(self.refused)
        self.tokens.append(token)

    async def hold(self, **values: Any) -> None:
        self.values |= values
        await self.live.look()


async def test_a_ring_that_grows_and_turns_verifies_what_both_keys_signed() -> None:
    files = Files()
    ring = files.live.keys
    first = ring.mac(Purpose.SESSION, b"x")
    await files.hold(secret_key=f"{OLD},{NEW}")
    assert (ring.current, ring.ids) == ("old", ("old", "new"))
    await files.hold(secret_key=f"{NEW},{OLD}")
    assert ring is files.live.keys
    assert (ring.current, ring.matches(Purpose.SESSION, b"x", "old", first)) == ("new", True)
    await files.hold(secret_key=NEW)
    assert not ring.matches(Purpose.SESSION, b"x", "old", first)


async def test_a_file_without_a_good_secret_changes_nothing_and_is_told_without_it() -> None:
    files = Files()
    for bad in ("short", "a" * 64, f"{OLD},{OLD}"):
        with pytest.raises(SecretFileError) as refused:
            await files.hold(secret_key=bad, slack_signing_secret=NEXT)
        assert bad not in str(refused.value)
    assert (files.live.keys.ids, files.live.signing) == (("old",), (SIGNING.encode(),))


async def test_two_signing_secrets_are_taken_until_the_old_one_goes() -> None:
    files, now = Files(), time.time()

    def said(secret: str) -> Flaw | None:
        at = str(int(now))
        signed = SignedBytes(body=b"x", timestamp=at, signature=sign(at, b"x", secret.encode()))
        return flaw_of_any(signed, files.live.signing, now)

    assert [said(SIGNING), said(NEXT)] == [None, Flaw.SIGNATURE]
    await files.hold(slack_signing_secret=f"{NEXT},{SIGNING}")
    assert [said(SIGNING), said(NEXT), said("another")] == [None, None, Flaw.SIGNATURE]
    await files.hold(slack_signing_secret=NEXT)
    assert [said(SIGNING), said(NEXT)] == [Flaw.SIGNATURE, None]


async def test_a_new_bot_token_is_told_once() -> None:
    files = Files()
    await files.hold(slack_bot_token="xoxb-2")
    await files.hold()
    assert (files.tokens, files.live.bot_token) == (["xoxb-2"], "xoxb-2")


async def test_a_value_that_its_connection_refuses_changes_nothing_and_is_tried_again() -> None:
    files = Files()
    files.refused = "Slack does not take it."
    with pytest.raises(SecretFileError):
        await files.hold(slack_bot_token="xoxb-2", secret_key=NEW)
    assert (files.live.bot_token, files.live.keys.ids) == ("xoxb-1", ("old",))
    files.refused = ""
    await files.live.look()
    assert (files.live.bot_token, files.live.keys.ids) == ("xoxb-2", ("new",))


def test_one_weak_secret_of_two_is_refused() -> None:
    settings = Settings(_env_file=None, slack_bot_token="xoxb-1", secret_key=OLD, slack_signing_secret=f"{NEXT},aaaa")  # type: ignore[arg-type]
    assert "SLACK_SIGNING_SECRET is easy to guess" in " ".join(settings.missing())


def test_a_ring_that_is_replaced_keeps_its_own_copy() -> None:
    ring, other = parse_key_ring(OLD), parse_key_ring(NEW)
    ring.become(other)
    other.become(parse_key_ring(OLD))
    assert ring.ids == ("new",)
