"""One request's row of the read model, for a face that knows its id and may show it."""

from records import instances
from records.database import Database


class Rows:
    """Reads rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, instance_id: str) -> instances.Instance | None:
        """Return a request's row, None if it is unknown."""
        async with self._database.read() as connection:
            return await instances.get(connection, instance_id)
