"""Secrets from a Dapr secret store, by the sidecar's own API: NAME_SECRET=store/secret/key."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.process.secret_files import SecretFileError, rereading
from bot.process.settings import Settings
from local.sidecar import Sidecar

KEY = "q8Z4xN2vB7mK1pL5tR9wE3yU6iO0aS_dFgH"
NAMES = ("COUNTERSIGN_SECRET_KEY", "SLACK_BOT_TOKEN", "DAPR_API_TOKEN", "DAPR_GRPC_PORT", "DAPR_GRPC_ENDPOINT")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the file of a sidecar's secret store; the environment names that sidecar."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"countersign": {"secret-key": KEY, "bot": "xoxb-1"}, "alone": "xoxb-2"}))
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    with Sidecar(tmp_path / "sidecar.db", token="t" * 20, secrets=file) as sidecar:
        monkeypatch.setenv("DAPR_GRPC_PORT", sidecar.address.rpartition(":")[2])
        monkeypatch.setenv("DAPR_API_TOKEN", "t" * 20)
        yield file


def test_a_secret_comes_from_a_key_of_a_secret_or_from_one_with_a_single_value(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERSIGN_SECRET_KEY_SECRET", "secrets/countersign/secret-key")
    monkeypatch.setenv("SLACK_BOT_TOKEN_SECRET", "secrets/alone")
    settings = Settings()
    assert (settings.secret_key.get_secret_value(), settings.slack_bot_token.get_secret_value()) == (KEY, "xoxb-2")


def test_a_rotation_in_the_store_is_seen_when_what_is_kept_is_old(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN_SECRET", "secrets/countersign/bot")
    read = rereading(Settings)
    assert read() == {"slack_bot_token": "xoxb-1"}
    store.write_text(json.dumps({"countersign": {"bot": "xoxb-3"}}))
    assert read() == {"slack_bot_token": "xoxb-1"}
    assert rereading(Settings, kept_s=0)() == {"slack_bot_token": "xoxb-3"}


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("secrets", "write store/secret"),
        ("secrets/nothing", "no such secret"),
        ("secrets/countersign/nothing", "no such key"),
        ("secrets/countersign", "no such key"),
        ("elsewhere/countersign/bot", "no secret store of that name"),
    ],
)
def test_a_secret_that_is_not_there_ends_the_start_with_its_setting(
    store: Path, monkeypatch: pytest.MonkeyPatch, reference: str, why: str
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN_SECRET", reference)
    with pytest.raises(SecretFileError, match=f"SLACK_BOT_TOKEN_SECRET.*{why}"):
        Settings()


def test_a_wrong_token_of_the_sidecar_is_named(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAPR_API_TOKEN", "wrong")
    monkeypatch.setenv("SLACK_BOT_TOKEN_SECRET", "secrets/alone")
    with pytest.raises(SecretFileError, match="refuses DAPR_API_TOKEN"):
        Settings()


def test_the_sidecar_s_own_token_and_a_secret_given_twice_are_refused(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN_SECRET", "secrets/alone")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-0")
    with pytest.raises(SecretFileError, match="SLACK_BOT_TOKEN and SLACK_BOT_TOKEN_SECRET are both set"):
        Settings()
    monkeypatch.delenv("SLACK_BOT_TOKEN")
    monkeypatch.delenv("DAPR_API_TOKEN")
    monkeypatch.setenv("DAPR_API_TOKEN_SECRET", "secrets/alone")
    with pytest.raises(SecretFileError, match="cannot come from there"):
        Settings()
