"""The App Home: what waits for this person's decision, and what they asked for."""

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp

from activities.slack.client import Slack
from activities.slack.failures import LookupFailedError, SlackRefusedError, SlackUnavailableError
from approvals.people import Person
from bot.access.authenticating import Access
from bot.access.refusals import TRANSLATED, message_of
from bot.control.reading.overview import Overview, may_list_all
from bot.process.background import Background
from bot.slack import lines
from bot.slack.answers import Body
from cards import View, home
from cards.home import MOST_HOME_LINES, HomeView
from cards.paging import PageTarget
from records import listing

log = structlog.get_logger(__name__)


class HomeTab:
    """Publishes the home tab each time a person opens it."""

    def __init__(self, access: Access, overview: Overview, slack: Slack, background: Background) -> None:
        self._access = access
        self._overview = overview
        self._slack = slack
        self._background = background

    def register(self, app: AsyncApp) -> None:
        """Register the listeners."""
        app.event("app_home_opened")(self.opened)

    async def opened(self, ack: AsyncAck, body: Body, event: Body) -> None:
        """Publish, beside the answer: Slack repeats an event that is not answered in time."""
        await ack()
        if event.get("tab", "home") == "home":
            person = Person(team=str(body.get("team_id") or ""), user=str(event["user"]))
            self._background.start(self._publish(person), "publish a home tab")

    async def turn_page(self, person: Person, page: PageTarget) -> None:
        """Show another page of one of the lists; the other one begins anew. Its button is among those of all lists."""
        await self._publish(person, page)

    async def _publish(self, person: Person, page: PageTarget | None = None) -> None:
        try:
            view = await self._view(person, page)
        except TRANSLATED as error:
            view = home.unavailable(message_of(error))
        except LookupFailedError:
            view = home.unavailable("Slack does not say who you are now. Open this tab again in a minute.")
        try:
            await self._slack.call("views.publish", user_id=person.user, view=view.payload())
        except (SlackUnavailableError, SlackRefusedError) as error:
            log.warning("a home tab could not be published", why=str(error))

    async def _view(self, person: Person, page: PageTarget | None) -> View:
        caller = await self._access.by_slack(person)
        at = {page.argument: page.cursor} if page else {}
        waiting = await self._overview.waiting_for(caller, cursor=at.get("waiting"), limit=MOST_HOME_LINES)
        asked = await self._overview.page(
            caller, listing.Filter(), cursor=at.get("mine"), limit=MOST_HOME_LINES, mine=True
        )
        operator = may_list_all(caller)
        return home.build(
            HomeView(waiting=lines.of_page(waiting, operator=operator), asked=lines.of_page(asked, operator=operator))
        )
