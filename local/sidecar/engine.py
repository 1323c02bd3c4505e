"""What every call changes in the database, inside a transaction that the writer opens and commits.

Each operation checks first and writes after, so that a Refused leaves nothing behind. What must happen outside once
the transaction is durable (turns to hand out, callers to wake) is collected as Effects, never done here.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from local.sidecar import errors, events
from local.sidecar.clock import Clock
from local.sidecar.identifiers import check_id
from local.sidecar.rerun import fork
from local.sidecar.store import START_TIMER, Instance, Store
from local.sidecar.turn import Child, Outcome, descendants
from local.sidecar.wire import ENDED, PENDING, RUNNING, STALLED, StringValue, moment, pb

GONE = -1  # the "status" of an instance that was purged
TIMER_BATCH = 500  # timers fired in one transaction

Activity = tuple[int, int, int]  # key, run, task


@dataclass(slots=True)
class Effects:
    """What a committed transaction asks of the dispatcher."""

    ready: list[tuple[str, int]] = field(default_factory=list)  # app and key
    activities: list[tuple[str, Activity]] = field(default_factory=list)  # with the app that runs it
    changed: dict[Child, int] = field(default_factory=dict)  # by app and id
    gone: list[int] = field(default_factory=list)
    timers: bool = False  # an earlier timer may have been set


class Engine:
    """The operations; not thread-safe, used by the writer's thread alone."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._now = clock.now
        self._effects = Effects()

    def take_effects(self) -> Effects:
        """Give the effects since the last call."""
        effects, self._effects = self._effects, Effects()
        return effects

    def start(self, app: str, request: pb.CreateInstanceRequest) -> str:
        """Create an instance of an app; return its id."""
        if not request.instanceId:
            request.instanceId = uuid.uuid4().hex
        check_id(request.instanceId, app)
        self._begin(app, request.instanceId, events.execution_started(self._now(), app, request))
        return request.instanceId

    def _begin(self, app: str, instance_id: str, event: pb.HistoryEvent) -> None:
        start, row = event.executionStarted, self._store.find(app, instance_id)
        if row is None:
            key = self._store.insert(app, instance_id, start)
        elif row.status == STALLED:
            raise errors.stalled(instance_id).within(errors.CREATE)
        elif row.status not in ENDED:
            raise errors.already_active(instance_id)
        else:
            self._check_descendants(row)
            key = row.key
            self._store.restart(key, start)
        self._store.deliver(key, event)
        self._effects.changed[app, instance_id] = PENDING
        if start.HasField("scheduledStartTimestamp"):
            due = start.scheduledStartTimestamp
            self._store.add_timer(key, START_TIMER, due.seconds, due.nanos)
            self._effects.timers = True
        else:
            self._effects.ready.append((app, key))

    def _check_descendants(self, row: Instance) -> None:
        for named in descendants(self._store.history(row.key), row.app):
            child = self._store.find(*named)
            if child is not None and child.status not in ENDED:
                raise errors.children_active(row.id, child.id)
            if child is not None:
                self._check_descendants(child)

    def deliver(self, app: str, instance_id: str, event: pb.HistoryEvent) -> None:
        """Put an event into an instance's inbox; one for an ended instance is dropped."""
        row = self._store.find(app, instance_id)
        if row is None:
            raise errors.no_such_instance()
        if row.status == STALLED:
            raise errors.stalled(instance_id)
        if row.status not in ENDED:
            self._deliver(row.app, row.key, event)

    def _deliver(self, app: str, key: int, event: pb.HistoryEvent) -> None:
        self._store.deliver(key, event)
        self._effects.ready.append((app, key))

    def commit_turn(self, row: Instance, last: int, outcome: Outcome) -> None:
        """Store what a turn left behind; nothing if the instance has been purged, started anew or moved on since."""
        current = self._store.get(row.key)
        if current is None or (current.run, current.length) != (row.run, row.length):
            return
        length = current.length
        if outcome.continued:
            self._store.cancel_all(row.key)
            length, current = 0, replace(current, run=current.run + 1)
        length = self._store.append(row.key, length, outcome.history)
        current = replace(
            current,
            status=outcome.status,
            length=length,
            execution=outcome.execution_id or current.execution,
            custom_status=outcome.custom_status,
        )
        self._store.update(current)
        if not outcome.stalled:
            self._store.consume(row.key, last)
        self._effects.changed[row.app, row.id] = outcome.status
        self._carry_out(current, outcome)

    def _carry_out(self, row: Instance, outcome: Outcome) -> None:
        for event in outcome.activities:
            self._run(row, event)
        for event in outcome.children:
            self._start_child(row, event)
        self._store.cancel_timers(row.key, outcome.cancelled)
        self._set_timers(row.key, outcome.timers, set(outcome.cancelled))
        if outcome.status in ENDED:
            self._store.silence(row.key)
        if outcome.report is not None and outcome.parent is not None:
            self._report(outcome.parent, outcome.report)
        for child in outcome.terminate:
            self._terminate_child(child, outcome.terminate_output)

    def _run(self, row: Instance, event: pb.HistoryEvent) -> None:
        self._store.add_activity(row.key, row.run, event)
        self._effects.activities.append((events.target_app(event, row.app), (row.key, row.run, event.eventId)))

    def _set_timers(self, key: int, timers: Sequence[pb.HistoryEvent], cancelled: set[int]) -> None:
        for event in timers:
            if event.eventId not in cancelled:
                due = event.timerCreated.fireAt
                self._store.add_timer(key, event.eventId, due.seconds, due.nanos)
                self._effects.timers = True

    def _start_child(self, parent: Instance, event: pb.HistoryEvent) -> None:
        start, app = event.executionStarted, events.target_app(event, parent.app)
        child_id, task = start.workflowInstance.instanceId, start.parentInstance.taskScheduledId
        there = self._store.find(app, child_id)
        same = there and (there.parent_app, there.parent, there.parent_task) == (parent.app, parent.id, task)
        if there and same and there.status not in ENDED:
            return
        try:
            check_id(child_id, app)
            self._begin(app, child_id, event)
        except errors.Refused as refusal:
            text = refusal.text.rpartition(" desc = ")[2]
            failure = events.child_refused(self._now(), task, "WorkflowInstanceAlreadyExists", text)
            self._deliver(parent.app, parent.key, failure)

    def _report(self, parent: pb.ParentInstanceInfo, event: pb.HistoryEvent) -> None:
        row = self._store.find(parent.appID, parent.workflowInstance.instanceId)
        execution = parent.workflowInstance.executionId.value
        if row is None or row.status in ENDED or (execution and execution != row.execution):
            return  # the parent is gone, over, or another run of the same id
        self._deliver(row.app, row.key, event)

    def _terminate_child(self, child: Child, output: StringValue | None) -> None:
        row = self._store.find(*child)
        if row is not None and row.status not in ENDED:
            self._deliver(row.app, row.key, events.terminated(self._now(), output, recurse=True))

    def end_activity(self, app: str, activity: Activity, response: pb.ActivityResponse) -> None:
        """Pass the end of an activity that an app ran on to its instance, once; a second or late one is dropped."""
        scheduled, row = self._store.activity(*activity), self._store.get(activity[0])
        if scheduled is None or row is None or events.target_app(scheduled, row.app) != app:
            return
        self._store.end_activity(*activity)
        if row.run == activity[1] and row.status not in ENDED:
            self._deliver(row.app, row.key, events.activity_ended(self._now(), scheduled, response))

    def fire_timers(self) -> None:
        """Turn what is due into events."""
        now = self._now()
        seconds, nanos = divmod(now, 1_000_000_000)
        for app, key, timer, due, due_nanos in self._store.due_timers(seconds, nanos, TIMER_BATCH):
            self._store.cancel_timers(key, (timer,))
            if timer == START_TIMER:
                self._effects.ready.append((app, key))
            else:
                fire_at = moment(due * 1_000_000_000 + due_nanos)
                self._deliver(app, key, events.timer_fired(self._now(), timer, fire_at))
        self._effects.timers = True

    def purge(self, app: str, instance_id: str, *, recursive: bool, force: bool) -> int:
        """Delete an instance and, if recursive, its descendants, all or nothing; return how many."""
        try:
            rows = self._purgeable((app, instance_id), recursive=recursive, force=force)
        except errors.Refused as refusal:
            raise refusal.within(errors.PURGE) from None
        for row in rows:
            self._store.remove(row.key)
            self._effects.changed[row.app, row.id] = GONE
            self._effects.gone.append(row.key)
        return len(rows)

    def _purgeable(self, named: Child, *, recursive: bool, force: bool) -> list[Instance]:
        row = self._store.find(*named)
        if row is None:
            unknown = errors.no_such_instance()
            raise unknown.within("failed to fetch workflow state") if recursive else unknown
        if recursive and row.length == 0:
            raise errors.no_such_instance()
        if not force and not recursive and row.status == STALLED:
            raise errors.stalled(row.id)
        if not force and row.status not in ENDED:
            raise errors.not_completed()
        rows = []
        if recursive:
            for child in descendants(self._store.history(row.key), row.app):
                there = self._store.find(*child)
                if there is not None and there.length:
                    kind = "child" if there.app == row.app else "cross-app child"
                    rows += self._purge_child(child, kind, force=force)
        return [*rows, row]

    def _purge_child(self, child: Child, kind: str, *, force: bool) -> list[Instance]:
        try:
            return self._purgeable(child, recursive=True, force=force)
        except errors.Refused as refusal:
            raise refusal.within(f"failed to purge {kind} workflow") from None

    def rerun(self, app: str, request: pb.RerunWorkflowFromEventRequest) -> str:
        """Create an instance with another's history up to an event; return its id."""
        source = self._store.find(app, request.sourceInstanceID)
        if not request.newInstanceID:
            request.newInstanceID = uuid.uuid4().hex
        check_rerun(request, source)
        if source is None:
            return ""  # check_rerun has refused it
        history, again = fork(self._store.history(source.key), request, self._now())
        if self._store.find(app, request.newInstanceID) is not None:
            raise errors.already_created(request.newInstanceID)
        check_id(request.newInstanceID, app)
        self._resurrect((app, request.newInstanceID), history, again)
        return request.newInstanceID

    def _resurrect(self, named: Child, history: Sequence[pb.HistoryEvent], again: Sequence[pb.HistoryEvent]) -> None:
        start = next(e.executionStarted for e in history if e.HasField("executionStarted"))
        key = self._store.insert(*named, start)
        length = self._store.append(key, 0, [*history, *again])
        row = self._store.get(key)
        if row is None:
            return
        row = replace(row, status=RUNNING, length=length)
        self._store.update(row)
        self._effects.changed[named] = RUNNING
        for event in again:
            if event.HasField("taskScheduled"):
                self._run(row, event)
            elif event.HasField("childWorkflowInstanceCreated"):
                child = events.child_restarted(self._now(), event, start.name, row.id, row.app)
                self._start_child(row, child)
        self._set_timers(key, [e for e in again if e.HasField("timerCreated")], set())


def check_rerun(request: pb.RerunWorkflowFromEventRequest, source: Instance | None) -> None:
    """Refuses what can't be rerun."""
    if source is None:
        raise errors.rerun_unknown(request.sourceInstanceID)
    if request.sourceInstanceID == request.newInstanceID:
        raise errors.rerun_same_id()
    if source.status == STALLED:
        raise errors.stalled(source.id)
    if source.status not in ENDED:
        raise errors.rerun_active(source.id)
    if source.parent is not None:
        raise errors.rerun_child(source.id)
