"""Secrets from files and stores: NAME_FILE names the file that holds NAME, NAME_SECRET store, secret and key."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, PydanticBaseSettingsSource

from bot.process.secret_store import KEPT_S, STORE_PATIENCE_S, SecretStore, SecretStoreError

LARGEST_BYTES = 64 * 1024
"""More is no secret: a wrong path, such as a device that never ends."""


TOKEN: Final = "DAPR_API_TOKEN"  # noqa: S105 a setting's name
_KEPT: Final[dict[tuple[str, str, str], tuple[str, float]]] = {}
"""What stores gave, by sidecar and reference, and when: they are not asked at each look."""


class SecretFileError(Exception):
    """A secret's file cannot be used. The text names the setting and the file, never its content."""


class SecretFiles(PydanticBaseSettingsSource):
    """The settings that NAME_FILE gives. Only secrets have it, and the database's URL, which may hold a password."""

    def __init__(
        self,
        settings: type[BaseSettings],
        *sources: PydanticBaseSettingsSource,
        patience_s: float = STORE_PATIENCE_S,
        kept_s: float = KEPT_S,
    ) -> None:
        super().__init__(settings)
        self._kept_s = kept_s
        self._patience_s = patience_s
        self._given: dict[str, str] = {}
        for source in sources:  # the later one goes before
            if isinstance(source, EnvSettingsSource | DotEnvSettingsSource):
                self._given |= {name.upper(): value for name, value in source.env_vars.items() if value}

    def __call__(self) -> dict[str, Any]:
        """Return the value of each secret that a file or a store holds.

        Raises:
            SecretFileError: a secret cannot be read, is empty, or is there in another way as well.
        """
        prefix = str(self.config.get("env_prefix", ""))
        names = _names(self.settings_cls, prefix)
        for name in names.values():
            self._refuse_several(name)
        files = {key: name for key, name in names.items() if f"{name}_FILE" in self._given}
        found = {_key(key, name, prefix): self._read(name) for key, name in files.items()}
        stored = {key: name for key, name in names.items() if f"{name}_SECRET" in self._given}
        if not stored:
            return found
        if f"{TOKEN}_SECRET" in self._given:
            raise SecretFileError(f"{TOKEN} opens the sidecar: it cannot come from there. Use {TOKEN}_FILE.")
        token = found.get(TOKEN) or self._given.get(TOKEN, "")
        return found | {_key(key, name, prefix): self._stored(name, token) for key, name in stored.items()}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: all values are given at once."""
        raise NotImplementedError(field_name)

    def _refuse_several(self, name: str) -> None:
        given = [each for each in (name, f"{name}_FILE", f"{name}_SECRET") if self._given.get(each, "").strip()]
        if len(given) > 1 and given[1:]:
            raise SecretFileError(f"{' and '.join(given)} are {'both' if len(given) == 2 else 'all'} set. Keep one.")  # noqa: PLR2004 two

    def _stored(self, name: str, token: str) -> str:
        reference = self._given[f"{name}_SECRET"]
        address = self._given.get("DAPR_GRPC_ENDPOINT") or ":".join(
            (self._given.get("DAPR_RUNTIME_HOST", "127.0.0.1"), self._given.get("DAPR_GRPC_PORT", "50001"))
        )
        key = (address, token, reference)
        value, at = _KEPT.get(key, ("", float("-inf")))
        if time.monotonic() - at > self._kept_s:
            try:
                value = SecretStore(address, token, self._patience_s).read(name, reference)
            except SecretStoreError as error:
                raise SecretFileError(str(error)) from error
            _KEPT[key] = value, time.monotonic()
        return value

    def _read(self, name: str) -> str:
        path = Path(self._given[f"{name}_FILE"])
        try:
            with path.open("rb") as file:
                value = file.read(LARGEST_BYTES + 1)
            text = value.decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SecretFileError(f"{name}_FILE names {path}, which cannot be read: {why}.") from error
        if not text or len(value) > LARGEST_BYTES:
            raise SecretFileError(f"{name}_FILE names {path}, which holds no secret: it is empty or far too long.")
        return text


def rereading(settings: type[BaseSettings], kept_s: float = KEPT_S) -> Callable[[], dict[str, str]]:
    """Return what reads files and stores again: the value of each setting that one of them holds.

    A store is asked again after `kept_s`. What is returned raises SecretFileError.
    """
    prefix = str(settings.model_config.get("env_prefix", ""))

    def read() -> dict[str, str]:
        sources = DotEnvSettingsSource(settings), EnvSettingsSource(settings)
        found = SecretFiles(settings, *sources, patience_s=0, kept_s=kept_s)()
        names = {_key(key, name, prefix): key for key, name in _names(settings, prefix).items()}
        return {names[key]: value for key, value in found.items()}

    return read


def _names(settings: type[BaseSettings], prefix: str) -> dict[str, str]:
    found = {key: _name(key, field, prefix) for key, field in settings.model_fields.items()}
    return {key: name for key, name in found.items() if name is not None}


def _name(key: str, field: FieldInfo, prefix: str) -> str | None:
    """Return a secret's name in the environment, or None for a setting that is no secret."""
    if field.annotation is not SecretStr and key != "database_url":
        return None
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"{prefix}{key}".upper()


def _key(key: str, name: str, prefix: str) -> str:
    """Return the key that the settings read: a setting with an alias is known by that alone among sources."""
    return key if name == f"{prefix}{key}".upper() else name
