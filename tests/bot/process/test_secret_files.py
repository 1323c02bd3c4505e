"""Secrets from files: NAME_FILE in the place of NAME."""

from pathlib import Path

import pytest

from bot.process.secret_files import SecretFileError
from bot.process.settings import Settings
from tests.bot.cli.calling import run

SECRETS = {
    "SLACK_BOT_TOKEN": "slack_bot_token",
    "SLACK_SIGNING_SECRET": "slack_signing_secret",
    "SLACK_APP_TOKEN": "slack_app_token",
    "SLACK_CLIENT_SECRET": "slack_client_secret",
    "DAPR_API_TOKEN": "dapr_api_token",
    "COUNTERSIGN_SECRET_KEY": "secret_key",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*SECRETS, "COUNTERSIGN_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def secret(folder: Path, content: str = "a secret in a file, 32 long or so\n") -> str:
    path = folder / "secret"
    path.write_text(content, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("name", "field"), SECRETS.items())
def test_each_secret_can_lie_in_a_file(name: str, field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{name}_FILE", secret(tmp_path))
    assert getattr(Settings(), field).get_secret_value() == "a secret in a file, 32 long or so"


def test_every_secret_is_one_of_these() -> None:
    found = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert found == set(SECRETS.values())


def test_the_database_s_url_can_lie_in_a_file_named_in_the_env_file(tmp_path: Path) -> None:
    path = secret(tmp_path, "postgresql://countersign:password@db/countersign")
    (tmp_path / ".env").write_text(f"COUNTERSIGN_DATABASE_URL_FILE={path}\n", encoding="utf-8")
    assert Settings().database_url == "postgresql://countersign:password@db/countersign"


def test_a_setting_that_is_no_secret_has_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_PUBLIC_URL_FILE", secret(tmp_path))
    assert Settings().public_url == ""


def test_a_secret_given_twice_is_refused_because_one_of_them_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERSIGN_SECRET_KEY_FILE", secret(tmp_path))
    monkeypatch.setenv("COUNTERSIGN_SECRET_KEY", "another")
    with pytest.raises(SecretFileError, match="both set"):
        Settings()


def test_a_name_that_is_set_to_nothing_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_SECRET_KEY", "a key of the environment, 32 long")
    monkeypatch.setenv("COUNTERSIGN_SECRET_KEY_FILE", "")
    assert Settings().secret_key.get_secret_value() == "a key of the environment, 32 long"


@pytest.mark.parametrize("content", ["", " \n", "x" * 70_000])
def test_a_file_without_a_secret_ends_the_start(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN_FILE", secret(tmp_path, content))
    with pytest.raises(SecretFileError, match="holds no secret"):
        Settings()


def test_the_command_line_names_the_file_that_is_not_there(tmp_path: Path) -> None:
    found = run("config", "show", SLACK_BOT_TOKEN_FILE=str(tmp_path / "nowhere"))
    assert found.code == 2
    assert "SLACK_BOT_TOKEN_FILE names" in found.err
    assert "No such file" in found.err


def test_what_a_file_holds_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN_FILE", secret(tmp_path))
    assert "a secret" not in repr(Settings())
    (tmp_path / "secret").write_bytes(b"canary\xff")
    with pytest.raises(SecretFileError) as raised:
        Settings()
    assert "canary" not in str(raised.value)
