"""Shared by all answers of /approval: the deadline, the error model's map, the request's name."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from activities.slack.failures import SlackRefusedError, SlackUnavailableError
from bot.access.refusals import TRANSLATED, message_of
from bot.engine.client import EngineUnavailableError
from bot.slack import bulk_words
from cards import Message, private
from cards.binding import UnreadableCardError

Body = dict[str, Any]
"""What Slack sends, or a part of it."""

COMMAND_PATIENCE_S = 2.3
"""Seconds for an answer: Slack shows an error after three."""

ENGINE_AWAY = (
    "The workflow engine does not answer now. What waits keeps waiting; try again in a minute. If you asked for a "
    "change, look first with `/approval status ID` whether it took effect."
)
NEEDS_ID = "An order's id or an instance id is missing."


async def answered(work: Awaitable[Message | None], about: str = "") -> Message | None:
    """Return the answer, or the message of what refused: Slack's one map of the error model.

    A refusal begins with the id that was typed, `about`: the answer stands at the end of a busy channel.
    """
    try:
        async with asyncio.timeout(COMMAND_PATIENCE_S):
            return await work
    except (TimeoutError, EngineUnavailableError):
        return private.sentence(ENGINE_AWAY)
    except TRANSLATED as error:
        return private.sentence(naming(about, message_of(error)))
    except UnreadableCardError as error:
        return private.sentence(str(error))
    except (SlackUnavailableError, SlackRefusedError):
        return private.sentence("Slack did not take the answer, so nothing was done. Type the command again.")


def words(text: str) -> tuple[str, str]:
    """Return the verb and what follows it. A line's end, a tab or a no-break space parts them as a space does."""
    verb, *rest = text.split(maxsplit=1) or [""]
    return verb, "".join(rest).strip()


def naming(about: str, message: str) -> str:
    """Return a message that begins with the id that was typed, unless it names it itself."""
    reference = about.split(maxsplit=1)[0] if about else ""
    named = reference and not bulk_words.is_bulk(about) and reference.casefold() not in message.casefold()
    return f"{reference[:100]}: {message}" if named else message
