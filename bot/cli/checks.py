"""`countersign config check`: each thing that must be right before the app starts, with what to do about it."""

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from activities.policies import PolicyFile
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError, SlackRefusedError
from approvals.people import UserGroup
from approvals.policy.lint import lint
from approvals.policy.routing import PolicyError
from approvals.values import Value
from bot.engine.client import Engine, EngineRefusedError, EngineUnavailableError
from bot.process.settings import Settings, without_userinfo
from bot.slack.manifest import scopes
from records import sent
from records.addresses import missing_file
from records.database import Database
from records.errors import RecordsError

PATIENCE = 5.0

State = Literal["ok", "wrong", "note"]
SEVERITIES: dict[str, State] = {"error": "wrong", "warning": "note", "info": "note"}


class Finding(Value):
    """What was looked at, and what to do where it is wrong."""

    check: str
    state: State
    what_to_do: str = ""


async def findings(settings: Settings) -> list[Finding]:
    """Look at everything; one that is wrong does not keep the others from being looked at."""
    found = [Finding(check="settings", state="wrong", what_to_do=each) for each in settings.missing()]
    found = found or [Finding(check="settings", state="ok")]
    found += [Finding(check="exposure", state="note", what_to_do=each) for each in settings.cautions()]
    slack = Slack(settings.slack_bot_token.get_secret_value(), settings.slack_api_url)
    try:
        parts = await asyncio.gather(
            _slack(settings, slack), _sidecar(settings), _database(settings), _policy(settings, slack)
        )
    finally:
        await slack.close()
    return [*found, *(each for part in parts for each in part)]


async def _slack(settings: Settings, slack: Slack) -> list[Finding]:
    if not settings.slack_bot_token.get_secret_value().strip():
        return []
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await slack.client.auth_test()
    except Exception as error:  # noqa: BLE001 whatever the SDK or the network raises, the finding is the same
        return [Finding(check="Slack", state="wrong", what_to_do=_slack_sentence(error, settings.slack_api_url))]
    granted = {each.strip() for each in str(answer.headers.get("x-oauth-scopes", "")).split(",") if each.strip()}
    lacking = sorted(scopes() - granted)
    if granted and lacking:
        sentence = (
            f"The bot token lacks the scopes {', '.join(lacking)}: import manifest.yml again and reinstall the app."
        )
        return [Finding(check="Slack", state="wrong", what_to_do=sentence)]
    return [Finding(check="Slack", state="ok", what_to_do=f"workspace {answer.get('team', '')}")]


def _slack_sentence(error: Exception, url: str) -> str:
    response = getattr(error, "response", None)
    word = response.get("error") if response is not None and hasattr(response, "get") else None
    if word:
        return f"Slack refuses SLACK_BOT_TOKEN ({word}): copy the bot token from the app's OAuth page again."
    return f"Slack does not answer at {url} ({type(error).__name__}): look at the network and SLACK_API_URL."


async def _sidecar(settings: Settings) -> list[Finding]:
    engine = Engine(settings.sidecar_address, settings.dapr_api_token.get_secret_value(), PATIENCE)
    try:
        await engine.ping()
    except (EngineUnavailableError, EngineRefusedError) as error:
        sentence = (
            f"The Dapr sidecar does not answer at {settings.sidecar_address} ({str(error)[:120]}): start it, or set "
            "DAPR_GRPC_ENDPOINT or DAPR_GRPC_PORT, and DAPR_API_TOKEN if it demands one."
        )
        return [Finding(check="sidecar", state="wrong", what_to_do=sentence)]
    finally:
        await engine.close()
    return [Finding(check="sidecar", state="ok", what_to_do=settings.sidecar_address)]


async def _database(settings: Settings) -> list[Finding]:
    try:
        missing = missing_file(settings.database_url)
        if missing is not None:
            return [_place_for(missing)]
        database = Database.open(settings.database_url)
    except RecordsError as error:
        return [Finding(check="database", state="wrong", what_to_do=str(error))]
    try:
        async with asyncio.timeout(PATIENCE):
            await database.migrate()
            async with database.write() as connection:
                await sent.probe(connection, datetime.now(UTC))
    except (RecordsError, TimeoutError) as error:
        sentence = str(error) or "The database does not answer: look at COUNTERSIGN_DATABASE_URL."
        return [Finding(check="database", state="wrong", what_to_do=sentence)]
    finally:
        await database.close()
    return [Finding(check="database", state="ok")]


def _place_for(missing: Path) -> Finding:
    """Return whether the app can make its database when it starts: looking must not make it."""
    folder = missing.parent
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return Finding(check="database", state="note", what_to_do=f"{missing} is not there yet: `run` will make it.")
    sentence = f"{folder} is no folder that can be written, so {missing.name} cannot be made there: correct "
    return Finding(check="database", state="wrong", what_to_do=f"{sentence}COUNTERSIGN_DATABASE_URL.")


async def _policy(settings: Settings, slack: Slack) -> list[Finding]:
    try:
        policy = PolicyFile(settings.policy).read()
    except PolicyError as error:
        return [Finding(check="policy", state="wrong", what_to_do=str(error))]
    found = [
        Finding(
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
        for approver in stage.approvers
        if isinstance(approver, UserGroup)
    }
    try:
        for group in sorted(named):
            if await directory.group_id(group) is None:
                sentence = f"Slack knows no user group {group}: create it there, or correct `groups` in the policy."
                found.append(Finding(check="policy", state="wrong", what_to_do=sentence))
    except (LookupFailedError, SlackRefusedError) as error:
        found.append(Finding(check="policy", state="note", what_to_do=f"The groups could not be looked up: {error}"))
    return found or [Finding(check="policy", state="ok", what_to_do=f"version {policy.version}")]


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
