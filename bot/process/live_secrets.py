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

log = structlog.get_logger(__name__)

SECRETS_EVERY_S: Final = 2.0

LIVE: Final = {
    "secret_key": "COUNTERSIGN_SECRET_KEY",
    "slack_signing_secret": "SLACK_SIGNING_SECRET",
    "slack_bot_token": "SLACK_BOT_TOKEN",
}
"""The settings that change without a restart. The others are needed for connections that stand."""


class TokenUser(Protocol):
    """Calls Slack with the bot's token."""

    def use(self, token: str) -> None:
        """Use another token from the next call on."""


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
        self._users: list[TokenUser] = []
        self.keys: KeyRing = settings.keys
        self.loop = Periodic("secrets", self.look, every_s, passing=(SecretFileError,))

    @property
    def signing(self) -> tuple[bytes, ...]:
        """Slack's signing secrets that are taken."""
        return self._settings.signing_secrets

    @property
    def bot_token(self) -> str:
        """The bot's token."""
        return self._settings.slack_bot_token.get_secret_value()

    def serve(self, user: TokenUser) -> None:
        """Hand a new bot token to this one, too."""
        self._users.append(user)

    async def look(self) -> None:
        """Read the files again and use what changed. Raises: SecretFileError, and then everything stays as it was."""
        found = await asyncio.to_thread(self._read)
        changed = {
            name: SecretStr(value)
            for name, value in found.items()
            if name in LIVE and getattr(self._settings, name).get_secret_value() != value
        }
        if not changed:
            return
        updated = self._settings.model_copy(update=changed)
        if problems := updated.missing():
            raise SecretFileError(" ".join(problems))
        token = self.bot_token
        self.keys.become(updated.keys)
        self._settings = updated
        if self.bot_token != token:
            for user in self._users:
                user.use(self.bot_token)
        log.info("secrets are rotated", settings=sorted(LIVE[name] for name in changed), keys=self.keys.ids)
