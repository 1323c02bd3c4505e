"""The page of settings: the app's and the command line's."""

from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from bot.cli.remote import ClientSettings
from bot.process.settings import Settings
from tools.docs import tables

ABOUT = """Read from the environment and from a file `.env` in the folder in which the program is started.
`countersign config check` says what is missing, wrong or unreachable; `countersign config show` prints every
setting and its value, without secrets.

A secret can lie in a file: `NAME_FILE` names the file that holds `NAME`, such as `COUNTERSIGN_SECRET_KEY_FILE`. Set
only one of both."""

APP = "SLACK_BOT_TOKEN, COUNTERSIGN_SECRET_KEY and one of SLACK_SIGNING_SECRET and SLACK_APP_TOKEN are required."
HEADING = ("setting", "meaning", "default")


def page() -> str:
    """Return the page."""
    return tables.page(
        "Settings",
        "`bot/process/settings.py` and `bot/cli/remote.py`",
        ABOUT,
        f"## The app\n\n{APP}",
        tables.table(HEADING, rows(Settings)),
        "## The command line",
        tables.table(HEADING, rows(ClientSettings)),
    )


def rows(settings: type[BaseSettings]) -> list[tuple[str, str, str]]:
    """Return name, meaning and default of each setting.

    Raises: ValueError for a setting without a description.
    """
    prefix = settings.model_config.get("env_prefix", "")
    found = []
    for name, field in settings.model_fields.items():
        if not field.description:
            raise ValueError(f"{settings.__name__}.{name} has no description")
        found.append((tables.code(_name(f"{prefix}{name}".upper(), field)), field.description, _default(field.default)))
    return found


def _name(plain: str, field: FieldInfo) -> str:
    alias: Any = field.validation_alias
    return str(getattr(alias, "choices", [alias])[0]) if alias is not None else plain


def _default(value: Any) -> str:
    if isinstance(value, SecretStr) or value is None:
        return ""
    return tables.code(",".join(value) if isinstance(value, tuple) else str(value).lower() if value is False else value)
