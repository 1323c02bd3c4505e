"""Settings with which anybody could come in are refused at the start."""

import secrets

import pytest

from bot.process.settings import Settings, is_weak

GOOD = {
    "slack_bot_token": "xoxb-1",
    "slack_signing_secret": secrets.token_hex(16),
    "secret_key": secrets.token_urlsafe(48),
}


def refused(**changes: str) -> str:
    return " ".join(Settings(_env_file=None, **GOOD | changes).missing())


def test_good_settings_are_taken() -> None:
    assert not refused()
    assert not refused(slack_api_url="http://127.0.0.1:9000/api/")


@pytest.mark.parametrize(
    "weak", ["x" * 40, "changeme" * 5, "ab" * 20, "a", "password12345", "secret-0123456789-0123456789-0"]
)
def test_a_secret_that_people_try_first_is_refused_by_name_and_not_shown(weak: str) -> None:
    assert is_weak(weak)
    said = refused(slack_signing_secret=weak)
    assert "SLACK_SIGNING_SECRET is easy to guess" in said
    assert weak not in said or len(weak) < 2
    assert "COUNTERSIGN_SECRET_KEY is" in refused(secret_key=f"one:{weak},two:{GOOD['secret_key']}")


def test_slack_is_called_over_https_alone() -> None:
    assert "SLACK_API_URL" in refused(slack_api_url="http://slack.example.com/api/")


def test_a_blank_token_opens_no_distant_sidecar() -> None:
    assert "DAPR_API_TOKEN" in refused(dapr_api_token=" ", dapr_grpc_host="10.0.0.9")
