"""Changes of people and groups, as Slack tells of them: what is kept of them is forgotten in all processes."""

from slack_bolt.async_app import AsyncAck, AsyncApp

from activities.slack.directory import Directory
from activities.slack.shared_answers import SharedAnswers
from bot.process.background import Background
from bot.slack.answers import Body
from bot.slack.shapes import PEOPLE_CHANGES
from records.slack_answers import GROUPS


class DirectoryChanges:
    """Listens to Slack's events about people and groups. An answer is at most a minute old without them."""

    def __init__(self, directory: Directory, shared: SharedAnswers, background: Background) -> None:
        self._directory = directory
        self._shared = shared
        self._background = background

    def register(self, app: AsyncApp) -> None:
        """Register the listeners."""
        app.event("user_change")(self.changed)
        app.event("team_join")(self.changed)
        app.event("subteam_created")(self.changed)
        app.event("subteam_updated")(self.changed)
        app.event("subteam_members_changed")(self.changed)

    async def changed(self, ack: AsyncAck, event: Body) -> None:
        """Forget at once here, and tell the others beside the answer."""
        await ack()
        what = GROUPS
        if event["type"] in PEOPLE_CHANGES:
            user = event.get("user")
            what = str(user.get("id", "") if isinstance(user, dict) else user)[:64]
        self._directory.on_notification(what)
        self._background.start(self._shared.changed(what), "telling of a change in Slack's directory")
