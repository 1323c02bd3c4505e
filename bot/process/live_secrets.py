"""The secrets as they are now: their files are read again, so that a rotation needs no restart.

A file that is half written, empty or weak changes nothing: the loop says so, and the secrets that were stay in use.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog
from pydantic import SecretStr

from approvals.signing import KeyRing
from bot.process.periodic import Periodic
from bot.process.secret_files import SecretFileError
from bot.process.settings import Settings
from records.errors import RecordsError, public_message

log = structlog.get_logger(__name__)

SECRETS_EVERY_S: Final = 2.0

LIVE: Final = {
    "secret_key": "COUNTERSIGN_SECRET_KEY",
    "slack_signing_secret": "SLACK_SIGNING_SECRET",
    "slack_bot_token": "SLACK_BOT_TOKEN",
    "slack_app_token": "SLACK_APP_TOKEN",
    "dapr_api_token": "DAPR_API_TOKEN",
    "database_url": "COUNTERSIGN_DATABASE_URL",
}
"""The settings that change without a restart."""


class SecretUser(Protocol):
    """Has connections that need a secret."""

    async def use(self, value: str, /) -> None:
        """Use a new value from now on. Raises: SecretFileError, RecordsError if it is refused; the old one stays."""


class LiveSecrets:
    """Holds the secrets and the shared key ring."""

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Mapping[str, str]],
        every_s: float = SECRETS_EVERY_S,
    ) -> None:
        self._settings = settings
        self._read = read
        self._users: dict[str, SecretUser] = {}
        self.keys: KeyRing = settings.keys
        self.loop = Periodic(
            "secrets", self.look, every_s, passing=(SecretFileError, RecordsError), public=public_message
        )

    @property
    def signing(self) -> tuple[bytes, ...]:
        """Slack's signing secrets that are taken."""
        return self._settings.signing_secrets

    @property
    def bot_token(self) -> str:
        """The bot's token."""
        return self._settings.slack_bot_token.get_secret_value()

    def serve(self, name: str, user: SecretUser) -> None:
        """Hand a setting's new values to this one, before they count."""
        self._users[name] = user

    async def look(self) -> None:
        """Read the files again and use what changed. Raises: SecretFileError, RecordsError; what was then stays."""
        found = await asyncio.to_thread(self._read)
        changed = {name: value for name, value in found.items() if name in LIVE and self._value(name) != value}
        if not changed:
            return
        updated = self._settings.model_copy(update={name: _kept(name, value) for name, value in changed.items()})
        if problems := updated.missing():
            raise SecretFileError(" ".join(problems))
        for name in changed.keys() & self._users.keys():
            await self._users[name].use(changed[name])
        self.keys.become(updated.keys)
        self._settings = updated
        log.info("secrets are rotated", settings=sorted(LIVE[name] for name in changed), keys=self.keys.ids)

    def _value(self, name: str) -> str:
        held = getattr(self._settings, name)
        return str(held.get_secret_value() if isinstance(held, SecretStr) else held)


def _kept(name: str, value: str) -> SecretStr | str:
    return value if name == "database_url" else SecretStr(value)
