"""Secrets from files: NAME_FILE names the file that holds NAME, as Compose, systemd and Kubernetes hand it over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, PydanticBaseSettingsSource

LARGEST_BYTES = 64 * 1024
"""More is no secret: a wrong path, such as a device that never ends."""


class SecretFileError(Exception):
    """A secret's file cannot be used. The text names the setting and the file, never its content."""


class SecretFiles(PydanticBaseSettingsSource):
    """The settings that NAME_FILE gives. Only secrets have it, and the database's URL, which may hold a password."""

    def __init__(self, settings: type[BaseSettings], *sources: PydanticBaseSettingsSource) -> None:
        super().__init__(settings)
        self._given: dict[str, str] = {}
        for source in sources:  # the later one goes before
            if isinstance(source, EnvSettingsSource | DotEnvSettingsSource):
                self._given |= {name.upper(): value for name, value in source.env_vars.items() if value}

    def __call__(self) -> dict[str, Any]:
        """Return the value of each secret that a file holds.

        Raises:
            SecretFileError: a file cannot be read, is empty, or its setting is there as well.
        """
        prefix = str(self.config.get("env_prefix", ""))
        names = _names(self.settings_cls, prefix)
        secrets = {key: name for key, name in names.items() if f"{name}_FILE" in self._given}
        return {_key(key, name, prefix): self._read(name) for key, name in secrets.items()}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: all values are given at once."""
        raise NotImplementedError(field_name)

    def _read(self, name: str) -> str:
        if self._given.get(name, "").strip():
            raise SecretFileError(f"{name} and {name}_FILE are both set. Keep one of them.")
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


def rereading(settings: type[BaseSettings]) -> Callable[[], dict[str, str]]:
    """Return what reads the files again: the value of each setting that a file holds. Raises: SecretFileError."""
    prefix = str(settings.model_config.get("env_prefix", ""))

    def read() -> dict[str, str]:
        found = SecretFiles(settings, DotEnvSettingsSource(settings), EnvSettingsSource(settings))()
        names = {_key(key, name, prefix): key for key, name in _names(settings, prefix).items()}
        return {names[key]: value for key, value in found.items()}

    return read


def _names(settings: type[BaseSettings], prefix: str) -> dict[str, str]:
    """Return the secrets' fields with their names in the environment."""
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
