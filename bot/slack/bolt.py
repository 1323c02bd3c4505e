"""The Bolt app. Its listeners run before the response (docs/explanation/slack.md#the-default-ack-is-slow)."""

from collections.abc import Callable
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse

from bot.process.correlation import correlation_id
from cards import private

log = structlog.get_logger(__name__)


def bolt_app(token: Callable[[], str]) -> AsyncApp:
    """Return the app without listeners (docs/explanation/slack.md#bolt-asks-slack-before-the-first-listener)."""

    async def authorize(**_context: Any) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id=None, bot_token=token())

    app = AsyncApp(
        signing_secret="unused",  # noqa: S106 the ingress verifies
        authorize=authorize,
        process_before_response=True,
        request_verification_enabled=False,  # the ingress has verified the raw bytes
        ssl_check_enabled=False,
        url_verification_enabled=False,
        ignoring_self_events_enabled=False,
    )

    @app.error
    async def failed(error: Exception, context: AsyncBoltContext, body: dict[str, Any]) -> BoltResponse:
        """Answer for a listener that failed: the person sees a message and a number to quote, the log the rest."""
        log.error("a listener failed", exc_info=error, kind=body.get("type") or body.get("command"))
        sentence = private.SORRY.format(correlation_id=correlation_id())
        if "command" in body:
            return BoltResponse(status=200, body={"response_type": "ephemeral", "text": sentence})
        return BoltResponse(status=500, body="")

    return app
