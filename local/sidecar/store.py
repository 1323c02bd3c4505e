"""Rows in, rows out: every SQL statement of the sidecar. Knows nothing of rules; the caller owns the transaction."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from local.sidecar import events
from local.sidecar.wire import PENDING, pb

START_TIMER = -1  # the timer row of a start that is scheduled for later

type_of_activity = tuple[int, int, int]  # key, run, task


@dataclass(frozen=True, slots=True)
class Instance:
    """One row of instances."""

    key: int
    app: str
    id: str
    status: int
    run: int
    length: int
    execution: str
    parent_app: str | None
    parent: str | None
    parent_task: int | None
    custom_status: str | None


_COLUMNS = "key, app, id, status, run, length, execution, parent_app, parent, parent_task, custom_status"


class Reader:
    """Reads on one connection; sees what is committed."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._execute = database.execute

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def find(self, app: str, instance_id: str) -> Instance | None:
        """Give the instance of an app that has that id."""
        query = f"SELECT {_COLUMNS} FROM instances WHERE app = ? AND id = ?"  # noqa: S608 - a constant
        row = self._execute(query, (app, instance_id)).fetchone()
        return Instance(*row) if row else None

    def get(self, key: int) -> Instance | None:
        """Give the instance of that key."""
        row = self._execute(f"SELECT {_COLUMNS} FROM instances WHERE key = ?", (key,)).fetchone()  # noqa: S608 - a constant
        return Instance(*row) if row else None

    def history(self, key: int) -> list[pb.HistoryEvent]:
        """All committed events, oldest first."""
        rows = self._execute("SELECT event FROM history WHERE key = ? ORDER BY seq", (key,))
        return [pb.HistoryEvent.FromString(event) for (event,) in rows]

    def inbox(self, key: int) -> list[tuple[int, pb.HistoryEvent]]:
        """Give the events that no turn has consumed, numbered, oldest first."""
        rows = self._execute("SELECT seq, event FROM inbox WHERE key = ? ORDER BY seq", (key,))
        return [(seq, pb.HistoryEvent.FromString(event)) for seq, event in rows]

    def activity(self, key: int, run: int, task: int) -> pb.HistoryEvent | None:
        """Give the event that scheduled an activity which has not ended."""
        query = "SELECT event FROM activities WHERE key = ? AND run = ? AND task = ?"
        row = self._execute(query, (key, run, task)).fetchone()
        return pb.HistoryEvent.FromString(row[0]) if row else None

    def page(self, app: str, after: int, size: int) -> list[tuple[int, str]]:
        """Keys and ids of an app's instances in creation order."""
        query = "SELECT key, id FROM instances WHERE app = ? AND key > ? ORDER BY key LIMIT ?"
        return self._execute(query, (app, after, size)).fetchall()

    def waiting_turns(self) -> list[tuple[str, int]]:
        """Apps and keys of the instances with something to do, for a start: a scheduled start alone can wait."""
        query = """
            SELECT app, key FROM inbox JOIN instances USING (key) GROUP BY key
            HAVING count(*) > 1 OR key NOT IN (SELECT key FROM timers WHERE timer = ?)
            ORDER BY min(seq)"""
        return self._execute(query, (START_TIMER,)).fetchall()

    def with_status(self, app: str, status: int) -> list[int]:
        """Keys of an app's instances in that status."""
        query = "SELECT key FROM instances WHERE app = ? AND status = ?"
        return [key for (key,) in self._execute(query, (app, status))]

    def waiting_activities(self) -> list[tuple[str, type_of_activity]]:
        """All activities that have not ended, with the apps that run them."""
        query = "SELECT app, key, activities.run, task, event FROM activities JOIN instances USING (key)"
        return [
            (events.target_app(pb.HistoryEvent.FromString(event), app), (key, run, task))
            for app, key, run, task, event in self._execute(query)
        ]

    def next_timer(self) -> tuple[int, int] | None:
        """When the earliest timer fires: seconds and nanoseconds after 1970 UTC."""
        row: tuple[int, int] | None = self._execute(
            "SELECT seconds, nanos FROM timers ORDER BY seconds, nanos LIMIT 1"
        ).fetchone()
        return row


class Store(Reader):
    """Reads and writes on the one writing connection."""

    def insert(self, app: str, instance_id: str, start: pb.ExecutionStartedEvent) -> int:
        """Add an instance; return its key."""
        cursor = self._execute(
            "INSERT INTO instances (app, id, status, execution, parent_app, parent, parent_task)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (app, instance_id, PENDING, start.workflowInstance.executionId.value, *_parent(start)),
        )
        return cursor.lastrowid or 0

    def restart(self, key: int, start: pb.ExecutionStartedEvent) -> None:
        """Wipes an ended instance for a new run under the same key."""
        self.wipe(key)
        self._execute(
            "UPDATE instances SET status = ?, run = run + 1, length = 0, execution = ?, parent_app = ?, parent = ?,"
            " parent_task = ?, custom_status = NULL WHERE key = ?",
            (PENDING, start.workflowInstance.executionId.value, *_parent(start), key),
        )

    def wipe(self, key: int) -> None:
        """Delete everything of an instance but its row and the activities still running."""
        self._execute("DELETE FROM history WHERE key = ?", (key,))
        self.silence(key)

    def cancel_all(self, key: int) -> None:
        """Delete an instance's history and timers for its next generation."""
        self._execute("DELETE FROM history WHERE key = ?", (key,))
        self._execute("DELETE FROM timers WHERE key = ?", (key,))

    def silence(self, key: int) -> None:
        """Delete what could still wake an instance."""
        self._execute("DELETE FROM inbox WHERE key = ?", (key,))
        self._execute("DELETE FROM timers WHERE key = ?", (key,))

    def remove(self, key: int) -> None:
        """Delete an instance."""
        self.wipe(key)
        self._execute("DELETE FROM activities WHERE key = ?", (key,))
        self._execute("DELETE FROM instances WHERE key = ?", (key,))

    def append(self, key: int, length: int, history: Sequence[pb.HistoryEvent]) -> int:
        """Add events after the first `length`; return the new length."""
        rows = [(key, length + n, event.SerializeToString()) for n, event in enumerate(history)]
        self._database.executemany("INSERT INTO history (key, seq, event) VALUES (?, ?, ?)", rows)
        return length + len(rows)

    def update(self, row: Instance) -> None:
        """Write an instance's changed columns."""
        self._execute(
            "UPDATE instances SET status = ?, run = ?, length = ?, execution = ?, custom_status = ? WHERE key = ?",
            (row.status, row.run, row.length, row.execution, row.custom_status, row.key),
        )

    def deliver(self, key: int, event: pb.HistoryEvent) -> None:
        """Put an event into an instance's inbox."""
        self._execute("INSERT INTO inbox (key, event) VALUES (?, ?)", (key, event.SerializeToString()))

    def consume(self, key: int, last: int) -> None:
        """Delete the inbox up to and including a number."""
        self._execute("DELETE FROM inbox WHERE key = ? AND seq <= ?", (key, last))

    def add_timer(self, key: int, timer: int, seconds: int, nanos: int) -> None:
        """Set a timer; one that never fires isn't stored."""
        if seconds < events.FIRES_NEVER:
            self._execute("INSERT OR REPLACE INTO timers VALUES (?, ?, ?, ?)", (key, timer, seconds, nanos))

    def cancel_timers(self, key: int, timers: Iterable[int]) -> None:
        """Delete timers."""
        self._database.executemany("DELETE FROM timers WHERE key = ? AND timer = ?", [(key, t) for t in timers])

    def due_timers(self, seconds: int, nanos: int, limit: int) -> list[tuple[str, int, int, int, int]]:
        """App, key, timer, seconds and nanoseconds of what has fired, earliest first."""
        query = """
            SELECT app, key, timer, seconds, nanos FROM timers JOIN instances USING (key)
            WHERE (seconds, nanos) <= (?, ?) ORDER BY seconds, nanos, timer DESC LIMIT ?"""
        return self._execute(query, (seconds, nanos, limit)).fetchall()

    def add_activity(self, key: int, run: int, event: pb.HistoryEvent) -> None:
        """Add an activity that is to be run."""
        self._execute(
            "INSERT OR REPLACE INTO activities VALUES (?, ?, ?, ?)",
            (key, run, event.eventId, event.SerializeToString()),
        )

    def end_activity(self, key: int, run: int, task: int) -> None:
        """Delete an activity."""
        self._execute("DELETE FROM activities WHERE key = ? AND run = ? AND task = ?", (key, run, task))


def _parent(start: pb.ExecutionStartedEvent) -> tuple[str | None, str | None, int | None]:
    if not start.HasField("parentInstance"):
        return None, None, None
    parent = start.parentInstance
    return parent.appID, parent.workflowInstance.instanceId, parent.taskScheduledId
