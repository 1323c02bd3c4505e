"""The texts that a purge clears, also in rows that were not over at the purge."""

from typing import Any

import sqlalchemy as sa

from records.tables import instances


def unless_purged(column: sa.Column[Any], empty: Any) -> sa.ColumnElement[Any]:
    """Return what a column keeps once its row is over: `empty` if the row's request was purged meanwhile.

    The request's row is locked: of a purge that is not committed yet PostgreSQL would see nothing.
    """
    own = instances.c.instance_id == column.table.c.instance_id
    phase = sa.select(instances.c.phase).where(own).with_for_update(read=True).scalar_subquery()
    return sa.case((phase == "purged", sa.literal(empty, column.type)), else_=column)
