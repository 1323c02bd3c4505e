"""Whether a key's person is one of the workspace: asked of Slack, if the settings say how to ask it."""

import asyncio
import difflib

from activities.slack.client import Slack
from activities.slack.failures import SlackRefusedError, SlackUnavailableError
from bot.cli import output
from bot.cli.database_session import missing_file_of, with_database
from bot.process.settings import Settings
from records import instances, keys
from records.database import Database

NOT_FOUND = "users_not_found"
NEWEST = 1000


def demand_known(settings: Settings, person: str) -> None:
    """End with a message if Slack knows nobody by this e-mail; note it if Slack cannot be asked."""
    token = settings.slack_bot_token.get_secret_value()
    if not token:
        return
    problem = asyncio.run(_problem(Slack(token, settings.slack_api_url), person))
    if problem == NOT_FOUND:
        near = difflib.get_close_matches(person, _known(settings), n=3, cutoff=0.75)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        output.fail(
            f"Slack knows nobody by the address {person}, so the key would be of no use and was not made.{hint} Give "
            "the address that stands in their Slack profile.",
            output.MISUSED,
        )
    if problem:
        output.note(f"Whether {person} is in Slack is not checked: Slack says {problem}. The key is made all the same.")


async def _problem(slack: Slack, person: str) -> str:
    try:
        await slack.call("users.lookupByEmail", email=person)
    except SlackRefusedError as error:
        return error.error
    except SlackUnavailableError as error:
        return str(error)
    finally:
        await slack.close()
    return ""


def _known(settings: Settings) -> list[str]:
    return [] if missing_file_of(settings) is not None else with_database(settings, _addresses)


async def _addresses(database: Database) -> list[str]:
    async with database.read() as connection:
        found = (*await keys.persons(connection), *await instances.requesters(connection, NEWEST))
    return [each for each in dict.fromkeys(found) if "@" in each]
