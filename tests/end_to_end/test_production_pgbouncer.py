"""Two apps behind PgBouncer in transaction mode: orders are decided, and an answer at the other app is found."""

import asyncio
from pathlib import Path

import pytest

from records.database import Database
from tests.end_to_end.processes import running_apps
from tests.end_to_end.system import eventually
from tests.pgbouncer import pooled
from tests.postgres import running_cluster

pytestmark = pytest.mark.postgres


async def _migrated(url: str) -> None:
    database = Database.open(url)
    await database.migrate()
    await database.close()


def test_orders_are_decided_at_two_apps_through_pgbouncer(tmp_path: Path) -> None:
    with running_cluster() as cluster, pooled(cluster) as url:
        asyncio.run(_migrated(cluster.url))
        with running_apps(tmp_path, 2, database_url=f"{url}?pgbouncer=true") as (system, apps):
            orders = [system.order(f"pooled-{number}", "900") for number in range(6)]
            for number, order in enumerate(orders):
                order.card()
                system.slack.deliver_to = f"{apps[number % 2].url}/slack/events"
                assert order.click("U0MANAGER").ok
            for order in orders:
                assert order.result() == {"status": "completed"}
                eventually(lambda order=order: len(order.processed()) == 1)  # type: ignore[misc]
            for app in apps:
                assert app.end()[0] == 0
                assert "Traceback" not in app.written
