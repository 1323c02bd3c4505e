"""User and password of PostgreSQL's connections: another password is used without a restart."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine


class Login:
    """The user and password that connections are opened with now."""

    def __init__(self, url: URL) -> None:
        self._now: dict[str, str | None] = {}
        self.become(url)

    def become(self, url: URL) -> None:
        """Use those of a URL from the next connection on; a connection with others is not taken from a pool again."""
        self._now = {"user": url.username, "password": url.password}

    def of(self, engine: AsyncEngine) -> None:
        """Let an engine's pool open its connections with them."""
        sa.event.listen(engine.sync_engine, "do_connect", self._opens)
        sa.event.listen(engine.sync_engine, "connect", self._opened)
        sa.event.listen(engine.sync_engine, "checkout", self._taken)

    def _opens(self, _dialect: object, _record: object, _arguments: object, named: dict[str, Any]) -> None:
        named.update({name: value for name, value in self._now.items() if value is not None})

    def _opened(self, _connection: object, record: Any) -> None:
        record.info[Login] = self._now

    def _taken(self, connection: Any, record: Any, _proxy: object) -> None:
        """Let the pool open another connection in the place of one with an old login, or that the server has closed.

        asyncpg hears of it without asking. A ping (SQLAlchemy's pool_pre_ping) would cost each transaction three calls.
        """
        if connection.driver_connection.is_closed() or record.info.get(Login) is not self._now:
            raise sa.exc.DisconnectionError
