"""The settings, by the names that people know. Read once, by the composition root or the command line."""

import ipaddress
import logging
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from dapr.conf.helpers import GrpcEndpoint
from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from activities.callbacks import allowed_host
from approvals.signing import KeyRing, parse_key_ring
from bot.process.secret_files import SecretFiles


class Settings(BaseSettings):
    """From the environment and a .env file. A secret is never shown: not in repr, logs or errors."""

    model_config = SettingsConfigDict(
        env_file=".env", env_prefix="COUNTERSIGN_", extra="ignore", hide_input_in_errors=True, populate_by_name=True
    )

    slack_bot_token: SecretStr = Field(
        SecretStr(""), validation_alias=AliasChoices("SLACK_BOT_TOKEN"), description="the app's bot token (xoxb-…)"
    )
    slack_signing_secret: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("SLACK_SIGNING_SECRET"),
        description="verifies what Slack sends over HTTP; POST /slack/events is open only if it is set. "
        "Two with a comma between are both taken, while it is rotated",
    )
    slack_app_token: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("SLACK_APP_TOKEN"),
        description="the app token (xapp-…); setting it enables Socket Mode",
    )
    slack_api_url: str = Field(
        "https://slack.com/api/",
        validation_alias=AliasChoices("SLACK_API_URL"),
        description="another Slack, such as the local one",
    )
    slack_posts_per_second: float = Field(
        1.0, gt=0, le=100, description="messages a second in one channel after Slack has refused more; Slack promises 1"
    )
    slack_client_id: str = Field(
        "", validation_alias=AliasChoices("SLACK_CLIENT_ID"), description="signs people in to the dashboard with Slack"
    )
    slack_client_secret: SecretStr = Field(
        SecretStr(""), validation_alias=AliasChoices("SLACK_CLIENT_SECRET"), description="belongs to SLACK_CLIENT_ID"
    )

    dapr_grpc_endpoint: str = Field(
        "",
        validation_alias=AliasChoices("DAPR_GRPC_ENDPOINT"),
        description="the sidecar, like https://dapr.example.com:443; it goes before host and port",
    )
    dapr_grpc_host: str = Field(
        "127.0.0.1", validation_alias=AliasChoices("DAPR_RUNTIME_HOST"), description="the sidecar's host"
    )
    dapr_grpc_port: int = Field(
        50001,
        validation_alias=AliasChoices("DAPR_GRPC_PORT"),
        description="the sidecar's gRPC port; `dapr run` sets it",
    )
    dapr_api_token: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("DAPR_API_TOKEN"),
        description="the token that the sidecar demands; required if it is on another machine",
    )
    dapr_api_timeout_seconds: float = Field(
        10.0,
        gt=0,
        validation_alias=AliasChoices("DAPR_API_TIMEOUT_SECONDS"),
        description="the deadline of each call to the sidecar",
    )

    database_url: str = Field(
        "sqlite:///countersign.db",
        repr=False,  # it may hold a password
        description="where requests, decisions and the audit are kept: sqlite:///FILE or postgresql://…",
    )
    policy: Path = Field(Path("policy.yml"), description="the policy file")
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="signs decisions, sessions, keys and checkpoints; at least 32 random characters. "
        "`id:secret,id2:secret2` is a ring: the first signs, all verify",
    )
    host: str = Field("127.0.0.1", description="the address on which the app listens")
    port: int = Field(8000, ge=0, le=65535, description="the port on which the app listens; 0 takes a free one")
    only: Literal["", "web", "worker"] = Field(
        "",
        description="`web` takes clicks and calls, `worker` does activities and background jobs; empty: both in one",
    )
    public_url: str = Field("", description="where people reach this app, for links; empty: http://HOST:PORT")
    process_order_url: str = Field(
        "", repr=False, description="gets an HTTP POST for every approved order; empty: the order ledger"
    )
    callback_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="HOST or HOST:PORT that a request's callback may name, with commas between; https only, port 443 "
        "if none is named. Beside a local Slack, http to this machine too",
    )
    callback_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="networks that webhooks may reach beside public addresses, with commas between, like 10.0.0.0/8",
    )
    accept_unsigned_decisions: bool = Field(
        default=False, description="for tutorials only: takes decisions that carry no signature. Never in production"
    )
    checkpoint_dir: Path | None = Field(None, description="where signed checkpoints of the audit are kept as files too")
    checkpoint_every_minutes: float = Field(60.0, gt=0, description="how often the audit's newest entry is signed")
    reconcile_every_seconds: float = Field(
        60.0, gt=0, description="how often the engine's whole list is compared; what runs is looked at more often"
    )
    migrate_at_start: bool = Field(
        default=True,
        description="whether the start brings the database to what the program needs; else it waits for `migrate`",
    )
    database_patience_seconds: float = Field(
        60.0, ge=0, le=3600, description="how long a start waits for a database server that is away"
    )
    retention_days: float = Field(
        0, ge=0, description="how long what has ended keeps its content and its history; 0 keeps it until it is purged"
    )
    engine_retention_days: float = Field(
        0,
        ge=0,
        description="the engine's own stateRetentionPolicy: what ended longer ago may be missing there, and nothing is "
        "noted; 0 if it has none",
    )
    leader_lease_seconds: float = Field(
        15.0, ge=1, le=300, description="how long a job of a process that died, such as reconciling, waits for another"
    )
    drain_seconds: float = Field(
        2.0, ge=0, le=60, description="how long to serve on after SIGTERM, while /readyz says that the process ends"
    )
    oidc_issuer: str = Field("", description="the identity provider whose bearer tokens are taken; an https address")
    oidc_audience: str = Field("", description="the audience that its tokens must name")
    oidc_algorithms: Annotated[tuple[str, ...], NoDecode] = Field(
        ("RS256", "ES256"), description="the algorithms by which its tokens may be signed, with commas between"
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 pydantic calls it by name
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read secrets from the files that NAME_FILE names, too."""
        files = SecretFiles(settings_cls, dotenv_settings, env_settings)
        return init_settings, files, env_settings, dotenv_settings

    @field_validator("callback_hosts", "callback_networks", "oidc_algorithms", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("callback_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(allowed_host(each) for each in value)

    @field_validator("callback_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(each)) for each in value)

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.upper() not in logging.getLevelNamesMapping():
            raise ValueError("it is one of DEBUG, INFO, WARNING, ERROR and CRITICAL")
        return value.upper()

    @field_validator("dapr_grpc_endpoint")
    @classmethod
    def _reachable(cls, value: str) -> str:
        """Refuse an address that the SDK would refuse later, with a traceback."""
        address = value.strip()
        host, _, port = address.rpartition(":")
        try:
            if address and not (host and port):
                raise ValueError("a part is missing")  # noqa: TRY301 the same sentence as for what the SDK refuses
            GrpcEndpoint(address or "localhost")
        except ValueError as error:
            raise ValueError(f"write it like 127.0.0.1:50001 or https://dapr.example.com:443 ({error})") from error
        return address

    @property
    def socket_mode(self) -> bool:
        """Whether Slack talks to us over a socket that we open: by which tokens are set."""
        return bool(self.slack_app_token.get_secret_value().strip())

    @property
    def slack_is_local(self) -> bool:
        """Whether Slack is one on this machine: development, a demo or a test."""
        return is_loopback(urlsplit(self.slack_api_url).hostname or "")

    @property
    def sidecar_address(self) -> str:
        """HOST:PORT of the Dapr sidecar."""
        return self.dapr_grpc_endpoint or f"{self.dapr_grpc_host}:{self.dapr_grpc_port}"

    @property
    def keys(self) -> KeyRing:
        """The key ring from COUNTERSIGN_SECRET_KEY. Raises: ValueError with a message that does not show it."""
        return parse_key_ring(self.secret_key.get_secret_value())

    @property
    def signing_secrets(self) -> tuple[bytes, ...]:
        """Slack's signing secrets: while it is rotated there are two, with a comma between."""
        parts = self.slack_signing_secret.get_secret_value().split(",")
        return tuple(part.strip().encode() for part in parts if part.strip())

    @property
    def link_base(self) -> str:
        """The base of links that people get."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    def missing(self) -> tuple[str, ...]:
        """Return a message for each setting without which starting would be unsafe (law: fail closed)."""
        found = []
        if not self.slack_bot_token.get_secret_value().strip():
            found.append("SLACK_BOT_TOKEN is missing: set it to the bot token (xoxb-…) of your Slack app.")
        if not self.socket_mode and not self.slack_signing_secret.get_secret_value().strip():
            found.append(
                "SLACK_SIGNING_SECRET is missing: set it to the signing secret of your Slack app, or set "
                "SLACK_APP_TOKEN (xapp-…) to use Socket Mode."
            )
        if not self.secret_key.get_secret_value().strip():
            found.append("COUNTERSIGN_SECRET_KEY is missing: set it to at least 32 random characters of your own.")
        else:
            try:
                _ = self.keys
            except ValueError as error:
                found.append(f"COUNTERSIGN_SECRET_KEY is unusable: {error}")
        return (*found, *self._unsafe())

    def _unsafe(self) -> list[str]:
        """Return a message for each combination that would open a door."""
        found = [*self._weak()]
        api = urlsplit(self.slack_api_url)
        if api.scheme != "https" and not is_loopback(api.hostname or ""):
            found.append("SLACK_API_URL must be an https address: the bot token goes there with every call.")
        if not self.dapr_api_token.get_secret_value().strip() and not is_loopback(_host_of(self.sidecar_address)):
            found.append(
                "DAPR_API_TOKEN is missing: the sidecar is not on this machine, and whoever reaches its port could "
                "steer every workflow. Set the token that the sidecar demands, or use a sidecar on 127.0.0.1."
            )
        real = not self.slack_is_local or self.process_order_url or self.callback_hosts
        if self.accept_unsigned_decisions and real:
            found.append(
                "COUNTERSIGN_ACCEPT_UNSIGNED_DECISIONS works with a local Slack only, and never beside "
                "COUNTERSIGN_PROCESS_ORDER_URL or COUNTERSIGN_CALLBACK_HOSTS: anybody at the sidecar's port could "
                "approve what is then sent. Turn it off."
            )
        if self.oidc_issuer and not self.oidc_audience.strip():
            found.append("COUNTERSIGN_OIDC_AUDIENCE is missing: without it a token for any other service would do.")
        unfit = sorted({each for each in self.oidc_algorithms if each not in ASYMMETRIC})
        if self.oidc_issuer and (unfit or not self.oidc_algorithms):
            found.append(
                f"COUNTERSIGN_OIDC_ALGORITHMS may name {', '.join(ASYMMETRIC)}: only these are signed by a key that "
                "the issuer alone has."
            )
        issuer = urlsplit(self.oidc_issuer)
        if self.oidc_issuer and issuer.scheme != "https" and not is_loopback(issuer.hostname or ""):
            found.append("COUNTERSIGN_OIDC_ISSUER must be an https address: its keys decide who somebody is.")
        return found

    def _weak(self) -> list[str]:
        """Return a message for each secret that could be guessed."""
        secrets = {
            "SLACK_SIGNING_SECRET": [secret.decode() for secret in self.signing_secrets],
            OWN_KEY: [
                part.partition(":")[2] if ":" in part else part
                for part in self.secret_key.get_secret_value().strip().split(",")
            ],
        }
        return [
            f"{name} is easy to guess: use a long random value, such as that of: openssl rand -hex 32."
            for name, values in secrets.items()
            if any(is_weak(each.strip()) for each in values if name != OWN_KEY or len(each.strip()) >= SHORTEST_KEY)
        ]

    def cautions(self) -> tuple[str, ...]:
        """Return a message for each setting that is risky and allowed; it is said loudly at every start."""
        found = []
        if self.accept_unsigned_decisions:
            found.append(
                "COUNTERSIGN_ACCEPT_UNSIGNED_DECISIONS is on: whoever reaches the sidecar can approve. Turn it off."
            )
        if not is_loopback(self.host) and not self.public_url.startswith("https://"):
            found.append(
                f"The app listens on {self.host} without https: API keys and sessions can be read on the way. Put a "
                "proxy with TLS in front of it and set COUNTERSIGN_PUBLIC_URL to its https address."
            )
        return tuple(found)


ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


OWN_KEY = "COUNTERSIGN_SECRET_KEY"
SHORTEST_KEY = 32
"""Characters. A shorter one is refused by the key ring, which says so."""

FEWEST_LETTERS = 6
WELL_KNOWN = ("changeme", "change-me", "password", "secret", "example", "123456", "abcdef", "qwerty")


def is_weak(secret: str) -> bool:
    """Return whether a secret that is set is one that people try first: few letters, a repetition, a known word."""
    text = secret.lower()
    if not text:
        return False
    repeats = len(text) > 1 and text in (text + text)[1:-1]
    known = any(text.replace(word, "").strip("-_ 0123456789.!") == "" for word in WELL_KNOWN if word in text)
    return len(set(text)) < FEWEST_LETTERS or repeats or known


def is_loopback(host: str) -> bool:
    """Return whether a host's name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _host_of(address: str) -> str:
    return urlsplit(address if "://" in address else f"//{address}").hostname or ""


def without_userinfo(url: str) -> str:
    """Return a URL without the name and password that may stand in it, for people and logs."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url
