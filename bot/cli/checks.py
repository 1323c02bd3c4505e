"""`countersign config check`: each thing that must be right before the app starts, with what to do about it."""

import asyncio
import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from activities.policies import PolicyFile
from activities.slack.channels import channels_of, problems
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError, SlackRefusedError, SlackUnavailableError
from approvals.people import UserGroup
from approvals.policy.lint import lint
from approvals.policy.routing import PolicyError
from approvals.values import Value
from bot.engine.client import Engine, EngineRefusedError, EngineUnavailableError
from bot.process.settings import Settings, without_userinfo
from bot.slack.manifest import scopes
from cards import parts
from records import sent
from records.addresses import missing_file
from records.database import Database
from records.errors import RecordsError

CHECK_PATIENCE_S = 5.0
"""Seconds that a part has to answer."""

TEST_CARD = (
    "This is a test by `countersign config check --send-test`: requests that wait for approval will be posted here."
)

State = Literal["ok", "wrong", "note"]
SEVERITIES: dict[str, State] = {"error": "wrong", "warning": "note", "info": "note"}


class CheckResult(Value):
    """The result of one check, and what to do if it failed."""

    check: str
    state: State
    what_to_do: str = ""


async def findings(settings: Settings, *, send_test: bool = False) -> list[CheckResult]:
    """Run all checks; a failed one does not stop the others.

    With `send_test` a message is posted to each channel of the policy, and a test to COUNTERSIGN_PROCESS_ORDER_URL.
    """
    found = [CheckResult(check="settings", state="wrong", what_to_do=each) for each in settings.missing()]
    found = found or [CheckResult(check="settings", state="ok")]
    found += [CheckResult(check="exposure", state="note", what_to_do=each) for each in settings.cautions()]
    slack = Slack(settings.slack_bot_token.get_secret_value(), settings.slack_api_url)
    try:
        parts = await asyncio.gather(
            _slack(settings, slack),
            _app_token(settings),
            _sidecar(settings),
            _database(settings),
            _policy(settings, slack),
            _channels(settings, slack),
            *([_test_cards(settings, slack), _test_effect(settings)] if send_test else []),
        )
    finally:
        await slack.close()
    return [*found, *(each for part in parts for each in part)]


async def _slack(settings: Settings, slack: Slack) -> list[CheckResult]:
    if not settings.slack_bot_token.get_secret_value().strip():
        return []
    try:
        async with asyncio.timeout(CHECK_PATIENCE_S):
            answer = await slack.client.auth_test()
    except Exception as error:  # noqa: BLE001 whatever the SDK or the network raises, the finding is the same
        return [CheckResult(check="Slack", state="wrong", what_to_do=_slack_sentence(error, settings.slack_api_url))]
    granted = {each.strip() for each in str(answer.headers.get("x-oauth-scopes", "")).split(",") if each.strip()}
    lacking = sorted(scopes() - granted)
    if granted and lacking:
        sentence = (
            f"The bot token lacks the scopes {', '.join(lacking)}: import manifest.yml again and reinstall the app."
        )
        return [CheckResult(check="Slack", state="wrong", what_to_do=sentence)]
    return [CheckResult(check="Slack", state="ok", what_to_do=f"workspace {answer.get('team', '')}")]


def _slack_sentence(error: Exception, url: str) -> str:
    response = getattr(error, "response", None)
    word = response.get("error") if response is not None and hasattr(response, "get") else None
    if word:
        return f"Slack refuses SLACK_BOT_TOKEN ({word}): copy the bot token from the app's OAuth page again."
    return f"Slack does not answer at {url} ({type(error).__name__}): look at the network and SLACK_API_URL."


async def _app_token(settings: Settings) -> list[CheckResult]:
    """Ask Slack for a socket's address: the one call that an app token is for. The socket is not opened."""
    token = settings.slack_app_token.get_secret_value().strip()
    if not token:
        return []
    slack = Slack(token, settings.slack_api_url)
    try:
        await slack.call("apps.connections.open", patience=CHECK_PATIENCE_S, app_token=token)
    except SlackRefusedError as error:
        sentence = (
            f"Slack refuses SLACK_APP_TOKEN ({error.error}): make an app-level token with the scope connections:write "
            "under Basic Information, and copy it again."
        )
        return [CheckResult(check="app token", state="wrong", what_to_do=sentence)]
    except SlackUnavailableError as error:
        return [CheckResult(check="app token", state="wrong", what_to_do=str(error))]
    finally:
        await slack.close()
    return [CheckResult(check="app token", state="ok")]


def _named_channels(settings: Settings) -> tuple[str, ...]:
    try:
        return channels_of(PolicyFile(settings.policy).read())
    except PolicyError:
        return ()  # the policy's own check says what is wrong with it


async def _channels(settings: Settings, slack: Slack) -> list[CheckResult]:
    names = _named_channels(settings)
    if not names or not settings.slack_bot_token.get_secret_value().strip():
        return []
    try:
        found = await problems(slack, names)
    except SlackRefusedError as error:
        sentence = (
            f"Whether the bot is in {', '.join(names)} could not be looked up ({error.error}). Import manifest.yml "
            "again for the scopes channels:read and groups:read, or post a test with --send-test."
        )
        return [CheckResult(check="channels", state="note", what_to_do=sentence)]
    except SlackUnavailableError as error:
        return [CheckResult(check="channels", state="note", what_to_do=f"The channels could not be looked up: {error}")]
    wrong = [CheckResult(check="channels", state="wrong", what_to_do=problem) for problem in found.values()]
    return wrong or [CheckResult(check="channels", state="ok", what_to_do=", ".join(names))]


async def _test_cards(settings: Settings, slack: Slack) -> list[CheckResult]:
    found = []
    for name in _named_channels(settings):
        message = parts.paragraph(parts.words(TEST_CARD))
        try:
            await slack.post(name, message, patience=CHECK_PATIENCE_S)
        except (SlackRefusedError, SlackUnavailableError) as error:
            sentence = f"No message could be posted to {name}: {error}. Invite the bot there: /invite @Countersign"
            found.append(CheckResult(check="test card", state="wrong", what_to_do=sentence))
        else:
            found.append(CheckResult(check="test card", state="ok", what_to_do=f"posted to {name}"))
    return found


async def _test_effect(settings: Settings) -> list[CheckResult]:
    """Post a test to the address that gets approved orders. It names itself a test, and its key is one of its own."""
    url = settings.process_order_url
    if not url:
        return []
    key = f"countersign-test-{uuid.uuid4().hex}"
    try:
        async with httpx.AsyncClient(timeout=CHECK_PATIENCE_S) as http:
            answer = await http.post(url, json={"test": True}, headers={"Idempotency-Key": key})
    except httpx.HTTPError as error:
        sentence = f"COUNTERSIGN_PROCESS_ORDER_URL does not answer ({type(error).__name__}): look at the address."
        return [CheckResult(check="test effect", state="wrong", what_to_do=sentence)]
    if answer.is_success:
        return [CheckResult(check="test effect", state="ok", what_to_do=f"answered {answer.status_code}")]
    sentence = (
        f"COUNTERSIGN_PROCESS_ORDER_URL answered {answer.status_code} to a test: an approved order would be retried."
    )
    return [CheckResult(check="test effect", state="wrong", what_to_do=sentence)]


async def _sidecar(settings: Settings) -> list[CheckResult]:
    engine = Engine(settings.sidecar_address, settings.dapr_api_token.get_secret_value(), CHECK_PATIENCE_S)
    try:
        await engine.ping()
    except (EngineUnavailableError, EngineRefusedError) as error:
        sentence = (
            f"The Dapr sidecar does not answer at {settings.sidecar_address} ({str(error)[:120]}): start it, or set "
            "DAPR_GRPC_ENDPOINT or DAPR_GRPC_PORT, and DAPR_API_TOKEN if it demands one."
        )
        return [CheckResult(check="sidecar", state="wrong", what_to_do=sentence)]
    finally:
        await engine.close()
    return [CheckResult(check="sidecar", state="ok", what_to_do=settings.sidecar_address)]


async def _database(settings: Settings) -> list[CheckResult]:
    try:
        missing = missing_file(settings.database_url)
        if missing is not None:
            return [_place_for(missing)]
        database = Database.open(settings.database_url)
    except RecordsError as error:
        return [CheckResult(check="database", state="wrong", what_to_do=str(error))]
    try:
        async with asyncio.timeout(CHECK_PATIENCE_S):
            await database.migrate()
            async with database.write() as connection:
                await sent.probe(connection, datetime.now(UTC))
    except (RecordsError, TimeoutError) as error:
        sentence = str(error) or "The database does not answer: look at COUNTERSIGN_DATABASE_URL."
        return [CheckResult(check="database", state="wrong", what_to_do=sentence)]
    finally:
        await database.close()
    return [CheckResult(check="database", state="ok")]


def _place_for(missing: Path) -> CheckResult:
    """Return whether the app can make its database when it starts: looking must not make it."""
    folder = missing.parent
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return CheckResult(
            check="database", state="note", what_to_do=f"{missing} is not there yet: `run` will make it."
        )
    sentence = f"{folder} is no folder that can be written, so {missing.name} cannot be made there: correct "
    return CheckResult(check="database", state="wrong", what_to_do=f"{sentence}COUNTERSIGN_DATABASE_URL.")


async def _policy(settings: Settings, slack: Slack) -> list[CheckResult]:
    try:
        policy = PolicyFile(settings.policy).read()
    except PolicyError as error:
        return [CheckResult(check="policy", state="wrong", what_to_do=str(error))]
    found = [
        CheckResult(
            check="policy",
            state=SEVERITIES[each.severity],
            what_to_do=f"line {each.line}: {each.sentence}" if each.line else each.sentence,
        )
        for each in lint(policy)
    ]
    directory = Directory(slack)
    named = {
        policy.groups.get(approver.group, approver.group)
        for rule in policy.rules
        for stage in rule.stages
        for approver in stage.everyone
        if isinstance(approver, UserGroup)
    }
    try:
        for group in sorted(named):
            if await directory.group_id(group) is None:
                sentence = f"Slack knows no user group {group}: create it there, or correct `groups` in the policy."
                found.append(CheckResult(check="policy", state="wrong", what_to_do=sentence))
    except (LookupFailedError, SlackRefusedError) as error:
        found.append(
            CheckResult(check="policy", state="note", what_to_do=f"The groups could not be looked up: {error}")
        )
    return found or [CheckResult(check="policy", state="ok", what_to_do=f"version {policy.version}")]


def shown(settings: Settings, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return every setting with its value; a secret only as set or missing, a URL without its password."""
    found = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        alias = field.validation_alias
        label = alias.choices[0] if alias is not None and hasattr(alias, "choices") else f"COUNTERSIGN_{name.upper()}"
        found.append({"setting": label, "value": _shown(name, value), "from_environment": str(label) in environment})
    return found


def _shown(name: str, value: object) -> str:
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value().strip() else "missing"
    if name == "database_url":
        return _without_password(str(value))
    return without_userinfo(str(value)) if isinstance(value, str) else str(value)


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "unusable"
