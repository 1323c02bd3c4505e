"""What a purge has to clear in rows that were not over when it came."""

from typing import Any

import sqlalchemy as sa

from records.tables import instances


def unless_purged(column: sa.Column[Any], empty: Any) -> sa.ColumnElement[Any]:
    """Return what a column keeps once its row is over: `empty` if the row's request was purged meanwhile."""
    own = column.table.c.instance_id
    purged = sa.exists().where(instances.c.instance_id == own, instances.c.phase == "purged")
    return sa.case((purged, sa.literal(empty, column.type)), else_=column)
