"""A person who has just clicked is answered by the click's response_url, and as before once that is used up or old."""

from datetime import UTC, datetime
from pathlib import Path

from activities.slack.announcing import Announcer
from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.response_urls import GOOD_FOR_S, USES, ResponseUrls
from cards import private
from local.slack import LocalSlack
from records.database import Database


def test_a_response_url_is_given_a_few_times_and_never_once_it_is_old() -> None:
    now = [0.0]
    urls = ResponseUrls(lambda: now[0])
    urls.keep("C1", "U1", "https://hooks.slack.com/1")
    assert [urls.take("C1", "U1") for _ in range(USES + 1)] == ["https://hooks.slack.com/1"] * USES + [None]
    assert urls.take("C1", "U2") is None
    urls.keep("C1", "U1", "https://hooks.slack.com/2")
    now[0] = GOOD_FOR_S + 1
    assert urls.take("C1", "U1") is None


async def test_who_clicked_is_told_there_and_otherwise_in_the_channels_queue(tmp_path: Path) -> None:
    async with LocalSlack() as workspace:
        slack = Slack(workspace.bot_token, workspace.api_url)
        database = Database.open(f"sqlite:///{tmp_path}/c.db")
        announcer = Announcer(database, slack, Directory(slack), lambda: datetime.now(UTC))
        world, told = workspace.workspace.world, private.sentence("It was over before.")
        announcer.response_urls.keep("C0APPROVALS", "U0MANAGER", world.new_response_url("U0MANAGER", "C0APPROVALS"))
        await announcer.notify("C0APPROVALS", "U0MANAGER", told)
        announcer.response_urls.keep("C0APPROVALS", "U0VP", f"{world.base_url}/response/{world.team.id}/expired")
        await announcer.notify("C0APPROVALS", "U0VP", told)
        assert [call.method for call in workspace.calls()] == ["response_url", "response_url", "chat.postEphemeral"]
        assert len(workspace.ephemerals("U0MANAGER")) == len(workspace.ephemerals("U0VP")) == 1
        await slack.close()
        await database.close()
