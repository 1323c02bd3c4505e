"""`countersign health`: the health check of a container, which has no shell and no curl to ask with."""

import ipaddress
from http.client import HTTPConnection, HTTPException

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.cli import output

HEALTH_PATIENCE_S = 2.0
"""Less than the three seconds that container engines are told to wait, so that the message is still read."""


class HealthSettings(BaseSettings):
    """The address on which the app listens. Reading all settings would import the Dapr SDK every ten seconds."""

    model_config = SettingsConfigDict(env_file=".env", env_prefix="COUNTERSIGN_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)


def health() -> None:
    """Say whether the app on this machine answers at /livez. Exit code 0 if it does, 1 if not.

    Example: countersign health
    """
    try:
        settings = HealthSettings()
    except (ValidationError, UnicodeDecodeError):
        output.fail("COUNTERSIGN_PORT is not a port. Set it to the one that the app listens on.", output.FAILED)
    host = _own(settings.host)
    connection = HTTPConnection(host, settings.port, timeout=HEALTH_PATIENCE_S)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        output.fail(f"The app does not answer at {host}:{settings.port} ({error}). Look at its log.", output.FAILED)
    finally:
        connection.close()
    if status != 200:  # noqa: PLR2004 HTTP's number
        output.fail(f"The app answers {status} at {host}:{settings.port}. Look at its log.", output.FAILED)
    output.say("The app is alive.")


def _own(host: str) -> str:
    """Return this machine's own address in the place of one that stands for all interfaces."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host
    if not address.is_unspecified:
        return str(address)
    return "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004 the protocol's number
