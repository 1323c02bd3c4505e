"""PostgreSQL's notifications, on a connection of their own. An optimization: polling finds the same."""

from collections.abc import Mapping
from typing import Any, Protocol

from records.database import Database

LISTEN_S = 5.0
"""Seconds between checks of the connection."""


class NotificationHandler(Protocol):
    """Handles the notifications of one channel."""

    def on_notification(self, payload: str) -> None:
        """Handle one. It is lost while this process is away, so nothing may depend on it."""


class Listener:
    """Listens to channels, again after the connection was lost. On SQLite there is nothing to listen to."""

    def __init__(self, database: Database, by_channel: Mapping[str, NotificationHandler]) -> None:
        self._database = database
        self._by_channel = by_channel
        self._connection: Any = None

    async def look(self) -> None:
        """Listen, unless it does. Raises: RecordsError."""
        if self._connection is not None and not self._connection.driver_connection.is_closed():
            return
        await self.stop()
        self._connection = await self._database.own_connection()
        if self._connection is not None:
            for channel in self._by_channel:
                await self._connection.driver_connection.add_listener(channel, self._told)

    def _told(self, _connection: object, _pid: int, channel: str, payload: str) -> None:
        self._by_channel[channel].on_notification(payload)

    async def stop(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
